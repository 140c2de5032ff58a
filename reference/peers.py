"""Times transformers scoring one image and question with N answers, as a user of it would.

batched   each conversation in full, with the best batch size of 1, 2, 4 and 8, sorted by length
careful   image and question once, then the key/value cache repeated for all answers in one batch
one       the first conversation alone

All three use SDPA attention, inference mode and a head in f32; logits are never computed. Batches are padded on
the right and causal, so padding changes no score and batched needs no attention mask. Preprocessing is
timed apart. The peers must agree with each other, or the script fails.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from torch import Tensor
from transformers import DynamicCache, Qwen2_5_VLConfig, Qwen2_5_VLProcessor
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as modeling

from make_model import SIZES, published_config
from make_tokenizer import write_processor_files
from reward_model import RewardModel, make_head, model_inputs, render, score_positions
from texts import sentences

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
BATCH_SIZES = [1, 2, 4, 8]


@dataclass
class Inputs:
    """Everything that the timed parts read. All conversations show the same image."""

    token_ids: list[list[int]]
    position_ids: list[Tensor]  # per conversation [3, tokens]
    score_at: list[int]
    pixel_values: Tensor  # [patches, 1176] of the one image
    grid: Tensor  # [1, 3]


def random_model(size_name: str, dtype: torch.dtype, head_layers: int) -> RewardModel:
    """A model of a published size with random weights in memory. Matrices are filled by repeating one block of
    normal numbers: a product's time does not depend on the values."""
    config = Qwen2_5_VLConfig(**published_config(SIZES[size_name], True, "bf16"))
    with torch.device("meta"):
        backbone = modeling.Qwen2_5_VLModel(config).to(dtype)
    backbone.to_empty(device="cpu")
    block = torch.randn(1 << 22, generator=torch.Generator().manual_seed(0)).to(dtype)
    for name, parameter in backbone.named_parameters():
        if parameter.ndim == 1:
            parameter.data.fill_(0.0 if name.endswith("bias") else 1.0)
            continue
        flat = parameter.data.view(-1)
        for start in range(0, flat.numel(), block.numel()):
            part = flat[start : start + block.numel()]
            part.copy_(block[: part.numel()])
        if "embed_tokens" not in name:
            flat.mul_(1.0 / parameter[0].numel() ** 0.5)
    # `to_empty` leaves the rotary frequencies, which are not parameters, without values.
    backbone.visual.rotary_pos_emb = modeling.Qwen2_5_VLVisionRotaryEmbedding(config.vision_config)
    backbone.language_model.rotary_emb = modeling.Qwen2_5_VLRotaryEmbedding(config.text_config)
    hidden = config.text_config.hidden_size
    head = make_head(hidden, {"num_layers": head_layers, "activation": "silu", "hidden_size": hidden, "bias": True})
    return RewardModel(backbone.eval(), head.eval(), "end_of_turn")


def make_row(arguments: argparse.Namespace, folder: Path) -> dict:
    """A question about one noise image with answers of random lengths; the image is written to `folder`."""
    rng = random.Random(arguments.seed)
    side = arguments.image_size
    noise = np.random.default_rng(arguments.seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "image.png")
    shortest, longest = (int(part) for part in arguments.words.split("-"))
    responses = [sentences(rng.randint(shortest, longest), rng) for _ in range(arguments.responses)]
    prompt = "Describe the image in detail. " + sentences(arguments.prompt_words, rng)
    return {"id": "peers", "images": ["image.png"], "prompt": prompt, "responses": responses}


def prepare(model: RewardModel, processor: Qwen2_5_VLProcessor, row: dict, folder: Path) -> Inputs:
    """Runs the processor once for each conversation, as a user who scores them one after the other would."""
    im_end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    token_ids, position_ids, score_at = [], [], []
    for text in render(processor, row):
        encoded = model_inputs(processor, row, folder, [text])
        ids = encoded["input_ids"][0].tolist()
        positions, _ = model.backbone.get_rope_index(
            encoded["input_ids"], encoded["mm_token_type_ids"], image_grid_thw=encoded["image_grid_thw"]
        )
        token_ids.append(ids)
        position_ids.append(positions[:, 0])
        score_at.append(score_positions(ids, im_end)[model.position])
    return Inputs(token_ids, position_ids, score_at, encoded["pixel_values"], encoded["image_grid_thw"])


def padded(rows: list[list[int]], positions: list[Tensor], pad: int = 0) -> tuple[Tensor, Tensor]:
    """Token ids [n, longest] and positions [3, n, longest], padded on the right."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
    stacked = torch.stack([torch.nn.functional.pad(p, (0, longest - p.shape[1])) for p in positions], dim=1)
    return ids, stacked


def score_full(model: RewardModel, inputs: Inputs, chosen: list[int]) -> Tensor:
    """Rewards of the chosen conversations in one batch, each with its own copy of the image."""
    ids, positions = padded([inputs.token_ids[i] for i in chosen], [inputs.position_ids[i] for i in chosen])
    hidden = model.backbone(
        input_ids=ids,
        position_ids=positions,
        pixel_values=inputs.pixel_values.repeat(len(chosen), 1),
        image_grid_thw=inputs.grid.repeat(len(chosen), 1),
        use_cache=False,
    ).last_hidden_state
    rows = hidden[torch.arange(len(chosen)), torch.tensor([inputs.score_at[i] for i in chosen])]
    return model.rewards(rows)


def score_batched(model: RewardModel, inputs: Inputs, batch_size: int) -> Tensor:
    """All rewards in batches of conversations of similar length."""
    order = sorted(range(len(inputs.token_ids)), key=lambda i: len(inputs.token_ids[i]))
    rewards = torch.empty(len(order))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        rewards[chosen] = score_full(model, inputs, chosen)
    return rewards


def common_prefix(rows: list[list[int]]) -> int:
    """Number of leading tokens that all rows share, less one so that every row keeps a token of its own."""
    shortest = min(len(row) for row in rows)
    length = next((i for i in range(shortest) if len({row[i] for row in rows}) > 1), shortest)
    return min(length, shortest - 1)


def score_careful(model: RewardModel, inputs: Inputs) -> Tensor:
    """All rewards with image and question computed once."""
    rows, count = inputs.token_ids, len(inputs.token_ids)
    shared = common_prefix(rows)
    cache = DynamicCache(config=model.backbone.config.text_config)
    model.backbone(
        input_ids=torch.tensor([rows[0][:shared]]),
        position_ids=inputs.position_ids[0][:, None, :shared],
        pixel_values=inputs.pixel_values,
        image_grid_thw=inputs.grid,
        past_key_values=cache,
        use_cache=True,
    )
    cache.batch_repeat_interleave(count)
    ids, positions = padded([row[shared:] for row in rows], [p[:, shared:] for p in inputs.position_ids])
    hidden = model.backbone.language_model(
        input_ids=ids, position_ids=positions, past_key_values=cache, use_cache=True
    ).last_hidden_state
    return model.rewards(hidden[torch.arange(count), torch.tensor(inputs.score_at) - shared])


def timed(action: Callable[[], Tensor]) -> tuple[float, Tensor]:
    start = time.perf_counter()
    rewards = action()
    return time.perf_counter() - start, rewards


def best_batch_size(model: RewardModel, inputs: Inputs, sizes: list[int]) -> tuple[int, dict[int, float]]:
    """The batch size with the shortest single run, and every size's time; one conversation warms up first."""
    score_full(model, inputs, [0])
    seconds = {size: timed(lambda: score_batched(model, inputs, size))[0] for size in sizes}
    return min(seconds, key=seconds.__getitem__), seconds


def peers(model: RewardModel, inputs: Inputs, batch_size: int) -> dict[str, Callable[[], Tensor]]:
    """The three peers as calls without arguments."""
    return {
        "batched": lambda: score_batched(model, inputs, batch_size),
        "careful": lambda: score_careful(model, inputs),
        "one": lambda: score_full(model, inputs, [0]),
    }


def check_agreement(scores: dict[str, list[float]], dtype: str) -> float:
    """The largest distance between the peers' rewards; raises if it is more than rounding explains."""
    batched, careful = scores["batched"], scores["careful"]
    distance = max(abs(a - b) for a, b in zip(batched, careful))
    distance = max(distance, abs(scores["one"][0] - batched[0]))
    # In bf16 the same conversation in another batch is summed in another order.
    scale = max(map(abs, batched))
    limit = 1e-3 if dtype == "f32" else max(0.02, 0.1 * scale)
    if distance > limit:
        raise ValueError(f"peers disagree by {distance}: batched {batched}, careful {careful}, one {scores['one']}")
    return distance


def setup(arguments: argparse.Namespace) -> tuple[RewardModel, Inputs, dict]:
    """The model, the prepared inputs and a report with the facts known before timing."""
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.inputs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.random:
            model = random_model(arguments.random, DTYPES[arguments.dtype], arguments.head_layers)
            tokenizer_folder = folder / "processor"
            write_processor_files(tokenizer_folder, SIZES[arguments.random]["vocabulary"])
        else:
            model = RewardModel.load(arguments.model, DTYPES[arguments.dtype])
            tokenizer_folder = arguments.model
        processor = Qwen2_5_VLProcessor.from_pretrained(tokenizer_folder)
        row = make_row(arguments, folder)
        if arguments.inputs:
            (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
        start = time.perf_counter()
        inputs = prepare(model, processor, row, folder)
        preprocessing = time.perf_counter() - start
    report = {
        "model": arguments.random or arguments.model.name,
        "dtype": arguments.dtype,
        "threads": arguments.threads,
        "image_size": arguments.image_size,
        "image_tokens": int(inputs.grid.prod()) // 4,
        "tokens": [len(ids) for ids in inputs.token_ids],
        "shared_tokens": common_prefix(inputs.token_ids),
        "preprocessing_secs": preprocessing,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    return model, inputs, report


def arguments_parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("model", nargs="?", type=Path, help="checkpoint folder")
    source.add_argument("--random", choices=SIZES, help="a model of this size with random weights in memory")
    parser.add_argument("--dtype", choices=DTYPES, default="bf16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--image-size", type=int, default=448, help="side of the square image in pixels")
    parser.add_argument("--responses", type=int, default=8)
    parser.add_argument("--words", default="60-120", help="shortest and longest answer")
    parser.add_argument("--prompt-words", type=int, default=20)
    parser.add_argument("--head-layers", type=int, default=2, help="with --random")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=BATCH_SIZES)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inputs", type=Path, help="keep the image and rows.jsonl in this folder")
    parser.add_argument("--json", type=Path)
    return parser


def main() -> None:
    arguments = arguments_parser(__doc__).parse_args()
    with torch.inference_mode():
        model, inputs, report = setup(arguments)
        sizes = [size for size in arguments.batch_sizes if size <= arguments.responses]
        batch_size, report["batch_size_secs"] = best_batch_size(model, inputs, sizes)
        report["batch_size"] = batch_size
        print(f"batch sizes {report['batch_size_secs']}, best {batch_size}", flush=True)
        seconds: dict[str, list[float]] = {}
        scores: dict[str, list[float]] = {}
        for _ in range(arguments.repeats):
            for name, peer in peers(model, inputs, batch_size).items():
                elapsed, rewards = timed(peer)
                seconds.setdefault(name, []).append(elapsed)
                scores[name] = rewards.tolist()
    report["peers"] = {
        name: {"median_secs": statistics.median(times), "secs": times, "scores": scores[name]}
        for name, times in seconds.items()
    }
    report["largest_disagreement"] = check_agreement(scores, arguments.dtype)
    for name, peer in report["peers"].items():
        times = peer["secs"]
        print(f"{name:8} {peer['median_secs']:8.3f} s  (of {len(times)}; {min(times):.3f} to {max(times):.3f})")
    print(f"preprocessing {report['preprocessing_secs']:.3f} s")
    print(f"peers agree within {report['largest_disagreement']:.2g}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
