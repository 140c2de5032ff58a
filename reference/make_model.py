"""Writes a Qwen2.5-VL reward model with random weights: a whole checkpoint folder, with its tokenizer.

The weights are drawn so that activations keep a scale near one, every bias and every norm differs from its
neutral value, attention is neither uniform nor one-hot, and rewards are of order one and depend on the
images: a wrong bias, norm, head or position must show in the reward. They are not trained.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from make_tokenizer import write_json, write_processor_files

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
TORCH_NAMES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}
SHARD_BYTES = 4_000_000_000

# text: hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads
# vision: depth, hidden_size, intermediate_size, num_heads
SIZES = {
    "tiny": {
        "text": (64, 96, 2, 4, 2),
        "mrope_section": [2, 3, 3],
        "vision": (4, 40, 52, 2),
        "fullatt_block_indexes": [1, 3],
        "vocab_size": 544,
        "vocabulary": "tiny",
        "tied": True,
    },
    "100m": {
        "text": (512, 1408, 8, 8, 2),
        "mrope_section": [8, 12, 12],
        "vision": (4, 320, 860, 4),
        "fullatt_block_indexes": [1, 3],
        "vocab_size": 151936,
        "vocabulary": "qwen",
        "tied": True,
    },
    "100m-deep": {
        "text": (512, 1408, 16, 8, 2),
        "mrope_section": [8, 12, 12],
        "vision": (8, 320, 860, 4),
        "fullatt_block_indexes": [1, 3],
        "vocab_size": 151936,
        "vocabulary": "qwen",
        "tied": True,
    },
    "3b": {
        "text": (2048, 11008, 36, 16, 2),
        "mrope_section": [16, 24, 24],
        "vision": (32, 1280, 3420, 16),
        "fullatt_block_indexes": [7, 15, 23, 31],
        "vocab_size": 151936,
        "vocabulary": "qwen",
        "tied": True,
    },
    "7b": {
        "text": (3584, 18944, 28, 28, 4),
        "mrope_section": [16, 24, 24],
        "vision": (32, 1280, 3420, 16),
        "fullatt_block_indexes": [7, 15, 23, 31],
        "vocab_size": 152064,
        "vocabulary": "qwen",
        "tied": False,
    },
}
# The id of `<|endoftext|>`; the other special tokens follow it in a fixed order.
FIRST_SPECIAL = {"tiny": 512, "qwen": 151643}


def published_config(size: dict, tied: bool, dtype: str) -> dict:
    """config.json in the form of the published checkpoints: text fields at the top level, `rope_scaling`."""
    hidden, intermediate, layers, heads, kv_heads = size["text"]
    depth, vision_hidden, vision_intermediate, vision_heads = size["vision"]
    first = FIRST_SPECIAL[size["vocabulary"]]
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "attention_dropout": 0.0,
        "bos_token_id": first,
        "eos_token_id": first + 2,
        "vision_start_token_id": first + 9,
        "vision_end_token_id": first + 10,
        "vision_token_id": first + 11,
        "image_token_id": first + 12,
        "video_token_id": first + 13,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": intermediate,
        "max_position_embeddings": 128000,
        "max_window_layers": layers,
        "model_type": "qwen2_5_vl",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": tied,
        "torch_dtype": TORCH_NAMES[dtype],
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": {
            "depth": depth,
            "hidden_act": "silu",
            "hidden_size": vision_hidden,
            "intermediate_size": vision_intermediate,
            "num_heads": vision_heads,
            "in_chans": 3,
            "out_hidden_size": hidden,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "window_size": 112,
            "fullatt_block_indexes": size["fullatt_block_indexes"],
            "tokens_per_second": 2,
            "temporal_patch_size": 2,
        },
        "rope_scaling": {"type": "mrope", "mrope_section": size["mrope_section"]},
        "vocab_size": size["vocab_size"],
    }


def nested_config(published: dict, dtype: str) -> dict:
    """config.json in the form that transformers 5 writes: `text_config`, `vision_config`, `rope_parameters`."""
    config = Qwen2_5_VLConfig(**published)
    config.dtype = DTYPES[dtype]
    return json.loads(config.to_json_string(use_diff=True))


def head_shapes(hidden: int, head: dict) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the reward head's tensors; a head of one layer is `score`, others `score.{0,2,..}`."""
    widths = [hidden] + [head["hidden_size"]] * (head["num_layers"] - 1) + [1]
    shapes = {}
    for layer, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        name = "score" if head["num_layers"] == 1 else f"score.{2 * layer}"
        shapes[f"{name}.weight"] = (outputs, inputs)
        if head["bias"]:
            shapes[f"{name}.bias"] = (outputs,)
    return shapes


def gain(name: str) -> float:
    """Scale of a matrix relative to one over the root of its input width."""
    if ".q_proj." in name or ".k_proj." in name:
        return 1.5
    if ".o_proj." in name or ".down_proj." in name or ".attn.proj." in name:
        return 0.8
    if "merger.mlp.2" in name or name.startswith("score."):
        return 1.6
    return 1.0


def random_tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """One tensor in f32; what it is follows from its name."""
    if name.endswith("bias"):
        return 0.1 * torch.randn(shape, generator=generator)
    if "norm" in name or "ln_q" in name:
        return 0.8 + 0.4 * torch.rand(shape, generator=generator)
    weight = torch.randn(shape, generator=generator)
    if "embed_tokens" in name:
        return weight
    weight *= gain(name) / weight[0].numel() ** 0.5
    if ".attn.qkv." in name:
        # Queries and keys as in the language model; values keep a gain of one.
        weight[: 2 * shape[0] // 3] *= 1.5
    return weight


def published_name(name: str) -> str:
    """A tensor's name in the published checkpoints, from its name in transformers 5."""
    for new, old in [("model.visual.", "visual."), ("model.language_model.", "model.")]:
        if name.startswith(new):
            return old + name.removeprefix(new)
    return name


def tensor_shapes(config: Qwen2_5_VLConfig, tied: bool) -> dict[str, tuple[int, ...]]:
    """Every tensor of the backbone by its transformers 5 name, without allocating any."""
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if tied:
        shapes.pop("lm_head.weight")
    return shapes


class ShardWriter:
    """Collects tensors and writes a shard whenever enough bytes are there; renames the shards at the end."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.pending: dict[str, Tensor] = {}
        self.pending_bytes = 0
        self.total_bytes = 0
        self.shards: list[list[str]] = []

    def add(self, name: str, tensor: Tensor) -> None:
        if self.pending and self.pending_bytes + tensor.nbytes > SHARD_BYTES:
            self.flush()
        self.pending[name] = tensor
        self.pending_bytes += tensor.nbytes
        self.total_bytes += tensor.nbytes

    def flush(self) -> None:
        save_file(self.pending, self.folder / f"shard-{len(self.shards)}", metadata={"format": "pt"})
        self.shards.append(list(self.pending))
        self.pending, self.pending_bytes = {}, 0

    def finish(self) -> None:
        self.flush()
        count = len(self.shards)
        if count == 1:
            (self.folder / "shard-0").rename(self.folder / "model.safetensors")
            return
        weight_map = {}
        for index, names in enumerate(self.shards):
            file = f"model-{index + 1:05}-of-{count:05}.safetensors"
            (self.folder / f"shard-{index}").rename(self.folder / file)
            weight_map.update(dict.fromkeys(names, file))
        index = {"metadata": {"total_size": self.total_bytes}, "weight_map": dict(sorted(weight_map.items()))}
        write_json(self.folder / "model.safetensors.index.json", index)


def reward_head(arguments: argparse.Namespace, hidden_size: int) -> dict:
    """The config block `reward_head`."""
    return {
        "num_layers": arguments.head_layers,
        "activation": arguments.activation,
        "hidden_size": arguments.head_hidden or hidden_size,
        "bias": arguments.head_bias,
        "position": arguments.position,
    }


def is_tied(arguments: argparse.Namespace) -> bool:
    return SIZES[arguments.size]["tied"] if arguments.tied is None else arguments.tied


def checkpoint_config(arguments: argparse.Namespace) -> dict:
    """The whole config.json that the arguments ask for."""
    config = published_config(SIZES[arguments.size], is_tied(arguments), arguments.dtype)
    head = reward_head(arguments, config["hidden_size"])
    if arguments.config == "nested":
        config = nested_config(config, arguments.dtype)
    return config | {"num_labels": 1, "problem_type": "regression", "reward_head": head}


def write_model(arguments: argparse.Namespace) -> None:
    """Writes the folder `arguments.out` shard by shard; a tensor's values follow from its place and the seed."""
    size, out = SIZES[arguments.size], arguments.out
    out.mkdir(parents=True, exist_ok=True)
    write_processor_files(out, size["vocabulary"])
    write_json(out / "config.json", checkpoint_config(arguments))

    published = published_config(size, is_tied(arguments), arguments.dtype)
    shapes = tensor_shapes(Qwen2_5_VLConfig(**published), is_tied(arguments))
    shapes |= head_shapes(published["hidden_size"], reward_head(arguments, published["hidden_size"]))
    writer = ShardWriter(out)
    for index, (name, shape) in enumerate(shapes.items()):
        generator = torch.Generator().manual_seed(arguments.seed * 1_000_003 + index)
        tensor = random_tensor(name, shape, generator).to(DTYPES[arguments.dtype])
        writer.add(published_name(name) if arguments.naming == "old" else name, tensor)
    writer.finish()
    parameters = sum(torch.Size(shape).numel() for shape in shapes.values())
    print(f"{out}: {parameters / 1e6:.1f}M parameters, {writer.total_bytes / 1e6:.1f} MB")


def arguments_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--head-layers", type=int, choices=range(1, 6), default=2)
    parser.add_argument("--head-hidden", type=int, help="width between head layers; default hidden_size")
    parser.add_argument("--head-bias", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--activation", choices=["none", "relu", "silu", "tanh", "gelu"], default="silu")
    parser.add_argument("--position", choices=["end_of_turn", "last_token"], default="end_of_turn")
    parser.add_argument("--dtype", choices=DTYPES, default="bf16")
    parser.add_argument("--naming", choices=["old", "new"], default="old", help="new: as transformers 5")
    parser.add_argument("--config", choices=["flat", "nested"], default="flat")
    parser.add_argument("--tied", action=argparse.BooleanOptionalAction, help="default: as the published size")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main() -> None:
    write_model(arguments_parser().parse_args())


if __name__ == "__main__":
    main()
