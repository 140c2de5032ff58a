"""Writes goldens: what transformers computes for the cases of `cases.py`, stage by stage.

OUT receives `images/`, `cases.json` (token ids, positions, grids, rewards), `stages.safetensors` and
`heads.safetensors`. Without `--model` it also receives `model/`, the tiny random model, and only what is small
enough to be committed. With `--model DIR` all stages of all cases are written for that model. README.md lists the
names and shapes.
"""

import argparse
import gc
import json
import platform
from dataclasses import dataclass, field
from pathlib import Path

import PIL
import tokenizers
import torch
import torchvision
import transformers
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import Qwen2_5_VLProcessor
from transformers.vision_utils import get_vision_window_index

import make_model
from cases import STAGED, rows, write_pictures
from reward_model import ACTIVATIONS, POSITIONS, RewardModel, make_head, model_inputs, render, score_positions

SEED = 0
# Rows of `pixel_values` that are kept when the goldens must be small; `pixels` holds all of them as bytes.
FEW_ROWS = 4
TINY_MODEL = ["--size", "tiny", "--head-layers", "2", "--activation", "silu", "--dtype", "bf16", "--seed", str(SEED)]


@dataclass
class Recorder:
    """Forward hooks that keep the outputs of one forward pass in the order in which they are computed."""

    values: dict[str, list[Tensor]] = field(default_factory=dict)

    def keep(self, name: str, value: Tensor) -> None:
        self.values.setdefault(name, []).append(value.detach().clone())

    def attach(self, model: RewardModel) -> None:
        """Hooks the embedding, every block and layer, the final norm and the rotary positions."""

        def output(name: str):
            def hook(_module: nn.Module, _inputs: tuple, result: Tensor) -> None:
                self.keep(name, result)

            return hook

        visual, language = model.backbone.visual, model.backbone.language_model
        visual.patch_embed.register_forward_hook(output("patch_embed"))
        for index, block in enumerate(visual.blocks):
            block.register_forward_hook(output(f"blocks.{index}"))
        for index, layer in enumerate(language.layers):
            layer.register_forward_hook(output(f"layers.{index}"))
        language.norm.register_forward_hook(output("norm"))
        language.layers[0].register_forward_pre_hook(lambda _, inputs: self.keep("inputs_embeds", inputs[0]))
        language.rotary_emb.register_forward_pre_hook(
            lambda _, inputs, keywords: self.keep("position_ids", keywords.get("position_ids", inputs[-1])),
            with_kwargs=True,
        )
        visual.register_forward_hook(lambda _, inputs, result: self.keep("merged", result.pooler_output))


def visual_order(token_ids: list[int], config: transformers.PreTrainedConfig) -> list[tuple[str, int]]:
    """The pictures in the order in which the tokens show them: ("image" or "video", index within its kind)."""
    kinds = {config.image_token_id: "image", config.video_token_id: "video"}
    counts = {"image": 0, "video": 0}
    order = []
    for before, token_id in zip(token_ids, token_ids[1:]):
        if before == config.vision_start_token_id:
            kind = kinds[token_id]
            order.append((kind, counts[kind]))
            counts[kind] += 1
    return order


def pixel_bytes(pixel_values: Tensor, processor: Qwen2_5_VLProcessor, is_video: bool) -> Tensor:
    """The resized pixels [patches, channels, frames, patch, patch] that normalise to exactly `pixel_values`; one
    frame for an image, whose second frame is a copy."""
    images = processor.image_processor
    scale = 1.0 / images.rescale_factor
    mean = (torch.tensor(images.image_mean) * scale).view(1, 3, 1, 1, 1)
    std = (torch.tensor(images.image_std) * scale).view(1, 3, 1, 1, 1)
    values = pixel_values.view(-1, 3, images.temporal_patch_size, images.patch_size, images.patch_size)
    levels = (values * std + mean).round().to(torch.uint8)
    if not torch.equal((levels.float() - mean) / std, values):
        raise ValueError("pixel_values are not normalised bytes")
    return levels if is_video else levels[:, :, :1].contiguous()


@dataclass
class Visuals:
    """Stages of the vision tower for each picture of a conversation, and its patch grids."""

    grids: list[list[int]]
    stages: dict[str, Tensor]


def split_visuals(model: RewardModel, processor: Qwen2_5_VLProcessor, encoded: dict, recorder: Recorder) -> Visuals:
    """Cuts the tower's outputs, which are concatenated over all images and over all videos, into pictures."""
    config = model.backbone.config
    order = visual_order(encoded["input_ids"][0].tolist(), config)
    runs = [kind for kind in ("image", "video") if f"{kind}_grid_thw" in encoded]
    unit = config.vision_config.spatial_merge_size**2
    visuals = Visuals([], {})
    for visual_index, (kind, index) in enumerate(order):
        run = runs.index(kind)
        grids = encoded[f"{kind}_grid_thw"]
        sizes = grids.prod(-1).tolist()
        start, end = sum(sizes[:index]), sum(sizes[: index + 1])
        pixel_values = encoded["pixel_values" if kind == "image" else "pixel_values_videos"][start:end]
        stages = {"pixel_values": pixel_values, "pixels": pixel_bytes(pixel_values, processor, kind == "video")}
        for name in ["patch_embed", *(f"blocks.{i}" for i in range(config.vision_config.depth))]:
            stages[name] = recorder.values[name][run][start:end]
        stages["merged"] = recorder.values["merged"][run][start // unit : end // unit]
        window_index, _ = get_vision_window_index(
            grids[index : index + 1],
            config.vision_config.spatial_merge_size,
            config.vision_config.window_size,
            config.vision_config.patch_size,
        )
        stages["window_index"] = window_index
        visuals.grids.append(grids[index].tolist())
        visuals.stages |= {f"visual.{visual_index}.{name}": value for name, value in stages.items()}
    return visuals


def run_backbone(model: RewardModel, encoded: dict) -> Tensor:
    """Hidden states [tokens, hidden_size] after the final norm, with positions found by the model itself."""
    return model.hidden_states(encoded)[0]


def language_stages(recorder: Recorder, positions: dict[str, int], num_layers: int) -> dict[str, Tensor]:
    """The language model's stages; of the last layer and the norm only the rows at the score positions."""
    at = torch.tensor([positions[name] for name in POSITIONS])
    stages = {"inputs_embeds": recorder.values["inputs_embeds"][0][0]}
    for index in range(num_layers - 1):
        stages[f"layers.{index}"] = recorder.values[f"layers.{index}"][0][0]
    stages[f"layers.{num_layers - 1}"] = recorder.values[f"layers.{num_layers - 1}"][0][0][at]
    stages["norm"] = recorder.values["norm"][0][0][at]
    return {f"language.{name}": value for name, value in stages.items()}


def keep_few(name: str, value: Tensor) -> Tensor:
    return value[:FEW_ROWS] if name.endswith("pixel_values") else value


def golden_case(
    model: RewardModel, processor: Qwen2_5_VLProcessor, row: dict, folder: Path, recorder: Recorder
) -> tuple[dict, dict[str, Tensor]]:
    """One case: what goes into cases.json, and all of its stages."""
    im_end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    num_layers = model.backbone.config.text_config.num_hidden_layers
    responses, stages, grids = [], {}, []
    for index, text in enumerate(render(processor, row)):
        recorder.values.clear()
        encoded = model_inputs(processor, row, folder, [text])
        hidden = run_backbone(model, encoded)
        token_ids = encoded["input_ids"][0].tolist()
        positions = score_positions(token_ids, im_end)
        visuals = split_visuals(model, processor, encoded, recorder)
        grids = visuals.grids
        if index == 0:
            stages |= visuals.stages
        language = language_stages(recorder, positions, num_layers)
        rewards = model.rewards(hidden[[positions[name] for name in POSITIONS]])
        stages |= {f"{index}.{name}": value for name, value in language.items()}
        stages[f"{index}.rewards"] = rewards
        responses.append(
            {
                "text": text,
                "token_ids": token_ids,
                "position_ids": recorder.values["position_ids"][0][:, 0].T.tolist(),
                "positions": positions,
                "rewards": dict(zip(POSITIONS, rewards.tolist())),
            }
        )
    return {"name": row["id"], "row": row, "grids": grids, "responses": responses}, stages


def add_bf16_rewards(folder: Path, out: Path, processor: Qwen2_5_VLProcessor, cases: list[dict]) -> None:
    """Adds `rewards_bf16`: the same conversations through the backbone in bf16, the head in f32."""
    model = RewardModel.load(folder, torch.bfloat16)
    for case in cases:
        for text, response in zip(render(processor, case["row"]), case["responses"]):
            hidden = run_backbone(model, model_inputs(processor, case["row"], out, [text]))
            rewards = model.rewards(hidden[[response["positions"][name] for name in POSITIONS]])
            response["rewards_bf16"] = dict(zip(POSITIONS, rewards.tolist()))


def write_heads(path: Path, metadata: dict[str, str]) -> None:
    """Heads of 1 to 5 layers with every activation on one hidden state [4, 64]; the weights of a depth are shared."""
    generator = torch.Generator().manual_seed(SEED)
    hidden = 2 * torch.randn(4, 64, generator=generator)
    tensors = {"hidden": hidden}
    for num_layers in range(1, 6):
        shapes = make_model.head_shapes(64, {"num_layers": num_layers, "hidden_size": 16, "bias": True})
        weights = {name: make_model.random_tensor(name, shape, generator) for name, shape in shapes.items()}
        tensors |= {f"{num_layers}.{name}": weight for name, weight in weights.items()}
        prefix = "score" if num_layers == 1 else "score."
        state = {name.replace(prefix, "0" if num_layers == 1 else "", 1): weight for name, weight in weights.items()}
        for activation in ACTIVATIONS:
            block = {"num_layers": num_layers, "activation": activation, "hidden_size": 16, "bias": True}
            head = make_head(64, block)
            head.load_state_dict(state, strict=True)
            tensors[f"{num_layers}.{activation}.rewards"] = head(hidden).squeeze(-1)
    save_file(tensors, path, metadata=metadata)


def provenance(model_name: str) -> dict[str, str]:
    return {
        "script": "reference/goldens.py",
        "model": model_name,
        "seed": str(SEED),
        "dtype": "f32, SDPA attention; rewards_bf16: backbone in bf16, head in f32",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "pillow": PIL.__version__,
    }


def write_tiny_model(out: Path) -> Path:
    """The tiny model with published names and config, and beside it the same config in transformers 5's form."""
    parser = make_model.arguments_parser()
    folder = out / "model"
    make_model.write_model(parser.parse_args([str(folder), *TINY_MODEL]))
    nested = make_model.checkpoint_config(parser.parse_args([str(folder), *TINY_MODEL, "--config", "nested"]))
    make_model.write_json(out / "config.nested.json", nested)
    return folder


def check_pictures_matter(cases: list[dict]) -> None:
    """The same words about another picture must be worth something else, or the goldens prove nothing."""
    rewards = {case["name"]: case["responses"][0]["rewards"]["end_of_turn"] for case in cases}
    if abs(rewards["single_image"] - rewards["other_image"]) < 0.02:
        raise ValueError(f"the reward does not depend on the picture: {rewards}")


def write_lines(path: Path, facts: dict, key: str, items: list[dict]) -> None:
    """JSON with the facts first and then one item per line: small, and a change shows where it is."""
    head = "".join(f"{json.dumps(name)}:{json.dumps(fact)},\n" for name, fact in facts.items())
    lines = [json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in items]
    text = "{" + head + f'"{key}":[\n' + ",\n".join(lines) + "\n]}\n"
    path.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path, help="checkpoint folder; without it the tiny model is made")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    out, small = arguments.out, arguments.model is None
    write_pictures(out / "images")
    folder = write_tiny_model(out) if small else arguments.model
    facts = provenance("make_model.py " + " ".join(TINY_MODEL) if small else folder.name)
    processor = Qwen2_5_VLProcessor.from_pretrained(folder)

    cases, stages = [], {}
    with torch.inference_mode():
        model, recorder = RewardModel.load(folder), Recorder()
        recorder.attach(model)
        for name, row in rows("images").items():
            case, case_stages = golden_case(model, processor, row, out, recorder)
            case["staged"] = not small or name in STAGED
            cases.append(case)
            if case["staged"]:
                kept = {key: keep_few(key, value) if small else value for key, value in case_stages.items()}
                stages |= {f"{name}.{key}": value.clone() for key, value in kept.items()}
        del model, recorder
        gc.collect()
        add_bf16_rewards(folder, out, processor, cases)
        check_pictures_matter(cases)
        # One key, because safetensors writes several in no fixed order.
        metadata = {"provenance": json.dumps(facts)}
        save_file(stages, out / "stages.safetensors", metadata=metadata)
        write_heads(out / "heads.safetensors", metadata)
    write_lines(out / "cases.json", {"provenance": facts}, "cases", cases)
    for case in cases:
        for response in case["responses"]:
            rewards, rewards_bf16 = (list(response[key].values()) for key in ("rewards", "rewards_bf16"))
            print(f"{case['name']:18} {len(response['token_ids']):4} tokens  {rewards}  bf16 {rewards_bf16}")


if __name__ == "__main__":
    main()
