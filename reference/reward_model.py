"""A reward model made of transformers alone: the reference that goldens and timings are taken from.

`Qwen2_5_VLForConditionalGeneration` without its `lm_head`, and a reward head in f32 on the hidden state (after the
final norm) at the score position. Loading is strict. Rows are the input rows of `basereward score`; only well-formed
ones are handled here, bad ones are for the Rust side to explain.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from PIL import Image
from safetensors import safe_open
from torch import Tensor, nn
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel
from transformers.video_utils import VideoMetadata

ACTIVATIONS = {"none": nn.Identity, "relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh, "gelu": nn.GELU}
POSITIONS = ["end_of_turn", "last_token"]
PLACEHOLDERS = {"<image>": "image", "<video>": "video"}


def make_head(hidden_size: int, head: dict) -> nn.Sequential:
    """The head of a `reward_head` block: linear layers at even indices, the activation between them."""
    widths = [hidden_size] + [head["hidden_size"]] * (head["num_layers"] - 1) + [1]
    modules: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:]):
        modules += [nn.Linear(inputs, outputs, bias=head["bias"]), ACTIVATIONS[head["activation"]]()]
    return nn.Sequential(*modules[:-1])


def load_head(folder: Path, config: dict, hidden_size: int) -> nn.Sequential:
    """Reads the tensors `score.*` into the head; a head of one layer is named `score`, not `score.0`."""
    head = make_head(hidden_size, config["reward_head"])
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as handle:
            for name in handle.keys():
                if name.startswith("score."):
                    tensors[name.removeprefix("score.")] = handle.get_tensor(name).float()
    if config["reward_head"]["num_layers"] == 1:
        tensors = {f"0.{name}": tensor for name, tensor in tensors.items()}
    head.load_state_dict(tensors, strict=True)
    return head.float().eval()


@dataclass
class RewardModel:
    """Backbone in any dtype, head in f32, and the checkpoint's own score position."""

    backbone: Qwen2_5_VLModel
    head: nn.Sequential
    position: str

    @classmethod
    def load(cls, folder: Path, dtype: torch.dtype = torch.float32) -> "RewardModel":
        """Loads a checkpoint folder; a missing or unknown tensor of the backbone is an error."""
        config = json.loads((folder / "config.json").read_text())
        # The load report lists the head's tensors, which are read apart; what is really wrong is raised below.
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        model, report = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            folder, dtype=dtype, output_loading_info=True
        )
        unknown = [name for name in report["unexpected_keys"] if not name.startswith("score.")]
        if report["missing_keys"] or unknown or report["mismatched_keys"]:
            raise ValueError(f"{folder}: missing {report['missing_keys']}, unknown {unknown}")
        hidden_size = model.config.text_config.hidden_size
        head = load_head(folder, config, hidden_size)
        return cls(model.model.eval(), head, config["reward_head"]["position"])

    def hidden_states(self, encoded: dict) -> Tensor:
        """Hidden states [n, tokens, hidden_size] after the final norm, with positions found by the model itself."""
        # The model keeps the offset of the last conversation that had pictures; a fresh one has none.
        self.backbone.rope_deltas = None
        return self.backbone(**encoded, use_cache=False).last_hidden_state

    def rewards(self, hidden: Tensor) -> Tensor:
        """Rewards [n] of hidden states [n, hidden_size] in any dtype; the head's arithmetic is f32."""
        return self.head(hidden.float()).squeeze(-1)


def split_placeholders(text: str) -> list[dict]:
    """A text as parts; `<image>` and `<video>` become parts of their own."""
    parts = [{"type": "text", "text": text}]
    for placeholder, kind in PLACEHOLDERS.items():
        split = []
        for part in parts:
            if part["type"] != "text":
                split.append(part)
                continue
            for index, piece in enumerate(part["text"].split(placeholder)):
                if index > 0:
                    split.append({"type": kind})
                if piece:
                    split.append({"type": "text", "text": piece})
        parts = split
    return parts


def prompt_messages(row: dict) -> list[dict]:
    """The messages before the response. A prompt without placeholders comes after its videos and images."""
    if "messages" in row:
        return [
            message | {"content": split_placeholders(message["content"])}
            if isinstance(message["content"], str)
            else message
            for message in row["messages"]
        ]
    parts = split_placeholders(row["prompt"])
    if all(part["type"] == "text" for part in parts):
        first = [{"type": "video"} for _ in row.get("videos", [])] + [{"type": "image"} for _ in row.get("images", [])]
        parts = first + parts
    return [{"role": "user", "content": parts}]


def conversations(row: dict) -> list[list[dict]]:
    """One conversation per response. A message of text alone keeps its content a string."""
    messages = []
    for message in prompt_messages(row):
        content = message["content"]
        if all(part["type"] == "text" for part in content):
            content = "".join(part["text"] for part in content)
        messages.append({"role": message["role"], "content": content})
    return [messages + [{"role": "assistant", "content": response}] for response in row["responses"]]


def load_picture(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


def video_metadata(num_frames: int, fps: float) -> VideoMetadata:
    """Says that every frame was sampled, at `fps` frames per second, so that the processor drops none."""
    return VideoMetadata(total_num_frames=num_frames, fps=fps, frames_indices=list(range(num_frames)))


def model_inputs(processor: Qwen2_5_VLProcessor, row: dict, base_dir: Path, texts: list[str]) -> dict:
    """The processor's tensors for the rendered `texts`, each of which shows all pictures of the row."""
    images = [load_picture(base_dir / path) for path in row.get("images", [])]
    videos = [[load_picture(base_dir / path) for path in video["frames"]] for video in row.get("videos", [])]
    metadata = [video_metadata(len(video["frames"]), video["fps"]) for video in row.get("videos", [])]
    arguments = {"text": texts, "padding": True, "padding_side": "right", "return_tensors": "pt"}
    if images:
        arguments["images"] = [images for _ in texts]
    if videos:
        arguments |= {"videos": [videos for _ in texts], "video_metadata": [metadata for _ in texts]}
        arguments |= {"do_sample_frames": False}
    return processor(**arguments)


def render(processor: Qwen2_5_VLProcessor, row: dict) -> list[str]:
    """The chat template's text for each response: one pad token per picture, no generation prompt."""
    return [processor.apply_chat_template(conversation, tokenize=False) for conversation in conversations(row)]


def score_positions(token_ids: list[int], end_of_turn_id: int) -> dict[str, int]:
    """Where each kind of head reads: the token that closes the last turn, and the very last token."""
    end_of_turn = len(token_ids) - 1 - token_ids[::-1].index(end_of_turn_id)
    return {"end_of_turn": end_of_turn, "last_token": len(token_ids) - 1}
