"""Times the training of a reward model in a plain loop of transformers and PyTorch, as a user of it would.

Pairs about one noise picture each, a question, and two answers; every parameter is trained, the vision tower too, with
the Bradley–Terry loss, gradient clipping and AdamW. Both conversations of a pair hold the picture, as in the loops that
people run. Attention is SDPA, logits are never computed, batches are padded on the right and causal, so no attention
mask is needed. Decoding, tokenizing and loading are not timed.

f32             weights, gradients and AdamW's state in f32
bf16            all of them in bf16, the head in f32
bf16-autocast   weights, gradients and state in f32, products in bf16 by torch.autocast

Every configuration (pairs in a micro-batch, gradient checkpointing on or off) runs in a process of its own, so that its
peak of resident memory is its own; the peak counts the interpreter and its libraries. The faster AdamW of foreach and
fused is found once for each type. The fastest configuration counts. The script fails when two configurations of a type
see another loss in their first step.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import torch
import transformers
from torch import Tensor, nn
from torch.optim import AdamW
from transformers import Qwen2_5_VLProcessor

from peers import DTYPES, Inputs, make_row, padded, prepare
from reward_model import RewardModel
from training import make_optimizer, named_parameters, pair_losses

# Type: weights in the backbone, whether products run under autocast.
TYPES = {"f32": ("f32", False), "bf16": ("bf16", False), "bf16-autocast": ("f32", True)}
MICRO_BATCHES = [1, 2, 4, 8]
CHECKPOINTING = ["off", "on"]
OPTIMIZERS = ["foreach", "fused"]
LEARNING_RATE = 1e-5
MAX_GRAD_NORM = 1.0
PROMPT_WORDS = 20
# Largest distance between the first losses of two configurations of one type: another order of summation.
LARGEST_DISTANCE = {"f32": 1e-3, "bf16": 0.05, "bf16-autocast": 0.05}


def memory_bytes(field: str) -> int:
    """A field of the kernel's account of this process: `VmRSS` is resident now, `VmHWM` was the most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the kernel does not tell `{field}`")


def make_pairs(arguments: argparse.Namespace, model: RewardModel, processor: Qwen2_5_VLProcessor) -> list[Inputs]:
    """The prepared pairs of every step: a picture, a question and two answers of their own."""
    pairs = []
    for index in range(arguments.pairs):
        described = argparse.Namespace(
            seed=index,
            image_size=arguments.image_size,
            words=f"{arguments.words}-{arguments.words}",
            responses=2,
            prompt_words=PROMPT_WORDS,
        )
        with tempfile.TemporaryDirectory() as folder:
            pairs.append(prepare(model, processor, make_row(described, Path(folder)), Path(folder)))
    return pairs


def micro_batch_rewards(model: RewardModel, pairs: list[Inputs]) -> Tensor:
    """Rewards [pairs, 2] of all conversations in one padded batch, each with its own copy of its picture."""
    ids, positions = padded(
        [row for pair in pairs for row in pair.token_ids], [row for pair in pairs for row in pair.position_ids]
    )
    hidden = model.backbone(
        input_ids=ids,
        position_ids=positions,
        pixel_values=torch.cat([pair.pixel_values.repeat(2, 1) for pair in pairs]),
        image_grid_thw=torch.cat([pair.grid.repeat(2, 1) for pair in pairs]),
        use_cache=False,
    ).last_hidden_state
    at = torch.tensor([index for pair in pairs for index in pair.score_at])
    return model.rewards(hidden[torch.arange(len(at)), at]).view(-1, 2)


def add_gradients(model: RewardModel, pairs: list[Inputs], micro_batch: int, autocast: bool) -> float:
    """Adds the gradients of the mean loss over all pairs, micro-batch by micro-batch; gives that loss."""
    total = 0.0
    for start in range(0, len(pairs), micro_batch):
        with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
            rewards = micro_batch_rewards(model, pairs[start : start + micro_batch])
        loss = pair_losses(rewards[:, 0].float(), rewards[:, 1].float()).sum() / len(pairs)
        loss.backward()
        total += loss.item()
    return total


def timed_step(
    model: RewardModel, optimizer: AdamW, pairs: list[Inputs], arguments: argparse.Namespace
) -> dict[str, float]:
    """One step of training: its seconds, those of clipping and AdamW among them, its loss and gradient norm."""
    start = time.perf_counter()
    loss = add_gradients(model, pairs, arguments.micro_batch, TYPES[arguments.type][1])
    middle = time.perf_counter()
    grad_norm = nn.utils.clip_grad_norm_(named_parameters(model).values(), MAX_GRAD_NORM)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    end = time.perf_counter()
    if not (math.isfinite(loss) and 0 < grad_norm.item() < math.inf):
        raise ValueError(f"loss {loss} and gradient norm {grad_norm.item()} are no training")
    return {"secs": end - start, "optimizer_secs": end - middle, "loss": loss, "grad_norm": grad_norm.item()}


def prepare_training(model: RewardModel, checkpointing: bool) -> None:
    """Training mode, in which nothing but checkpointing differs: the model has no dropout."""
    model.backbone.train()
    model.head.train()
    if not checkpointing:
        return
    model.backbone.activation_checkpointing_enable({"use_reentrant": False})
    blocks = [*model.backbone.visual.blocks, *model.backbone.language_model.layers]
    if not all(block.gradient_checkpointing for block in blocks):
        raise RuntimeError("gradient checkpointing is not on everywhere")


def measure(arguments: argparse.Namespace) -> dict:
    """Runs one configuration in this process: a step to warm up, then the timed ones."""
    torch.set_num_threads(arguments.threads)
    at_start = memory_bytes("VmRSS")
    model = RewardModel.load(arguments.model, DTYPES[TYPES[arguments.type][0]])
    pairs = make_pairs(arguments, model, Qwen2_5_VLProcessor.from_pretrained(arguments.model))
    prepare_training(model, arguments.checkpointing == "on")
    optimizer = make_optimizer(model, LEARNING_RATE, **{arguments.optimizer: True})
    warm_up, *steps = [timed_step(model, optimizer, pairs, arguments) for _ in range(1 + arguments.steps)]
    seconds = statistics.median(step["secs"] for step in steps)
    return {
        "type": arguments.type,
        "micro_batch": arguments.micro_batch,
        "checkpointing": arguments.checkpointing,
        "optimizer": arguments.optimizer,
        "pairs_per_second": arguments.pairs / seconds,
        "step_seconds": seconds,
        "optimizer_seconds": statistics.median(step["optimizer_secs"] for step in steps),
        "peak_resident_bytes": memory_bytes("VmHWM"),
        "resident_bytes_before_loading": at_start,
        "parameters": sum(parameter.numel() for parameter in named_parameters(model).values()),
        "tokens": sum(len(ids) for pair in pairs for ids in pair.token_ids),
        "image_tokens": int(pairs[0].grid.prod()) // 4,
        "warm_up": warm_up,
        "steps": steps,
    }


def measure_apart(arguments: argparse.Namespace, **configuration: object) -> dict | None:
    """One configuration in a process of its own; none when that process was killed, as for want of memory."""
    command = [sys.executable, __file__, str(arguments.model), "--single"]
    shared = {name: getattr(arguments, name) for name in ("pairs", "image_size", "words", "steps", "threads")}
    for name, value in (shared | configuration).items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode < 0:
        print(f"{configuration}: killed by signal {-finished.returncode}", flush=True)
        return None
    if finished.returncode > 0:
        raise RuntimeError(f"`{' '.join(command)}` failed: {finished.stderr.strip()}")
    report = json.loads(finished.stdout.splitlines()[-1])
    print(described(report), flush=True)
    return report


def described(report: dict) -> str:
    return (
        f"{report['type']:13} micro-batch {report['micro_batch']}  checkpointing {report['checkpointing']:3} "
        f"{report['optimizer']:7}  {report['step_seconds']:7.2f} s  {report['pairs_per_second']:6.3f} pairs/s "
        f"{report['peak_resident_bytes'] / 1e9:6.2f} GB"
    )


def check_agreement(reports: list[dict]) -> None:
    """All configurations of a type train on the same pairs from the same weights: their first loss is the same."""
    losses = [report["warm_up"]["loss"] for report in reports]
    if max(losses) - min(losses) > LARGEST_DISTANCE[reports[0]["type"]]:
        raise ValueError(f"configurations of {reports[0]['type']} disagree about their first loss: {losses}")


def search(arguments: argparse.Namespace, kind: str) -> list[dict]:
    """Every configuration of a type, the fastest first."""
    first = {"type": kind, "micro_batch": arguments.micro_batches[0], "checkpointing": arguments.checkpointings[0]}
    both = [measure_apart(arguments, **first, optimizer=optimizer) for optimizer in OPTIMIZERS]
    reports = [report for report in both if report]
    if not reports:
        raise RuntimeError(f"not even the first configuration of {kind} fits into the memory: {first}")
    optimizer = min(reports, key=lambda report: report["optimizer_seconds"])["optimizer"]
    for checkpointing in arguments.checkpointings:
        for micro_batch in arguments.micro_batches:
            configuration = {"type": kind, "micro_batch": micro_batch, "checkpointing": checkpointing}
            if configuration != first and micro_batch <= arguments.pairs:
                reports.append(measure_apart(arguments, **configuration, optimizer=optimizer))
    reports = [report for report in reports if report]
    check_agreement(reports)
    return sorted(reports, key=lambda report: report["step_seconds"])


def facts(arguments: argparse.Namespace) -> dict:
    names = ("pairs", "image_size", "words", "steps", "threads")
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    return {"model": arguments.model.name} | {name: getattr(arguments, name) for name in names} | versions


def arguments_parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="checkpoint folder")
    parser.add_argument("--pairs", type=int, default=8, help="pairs in a step")
    parser.add_argument("--image-size", type=int, default=448, help="side of the square picture in pixels")
    parser.add_argument("--words", type=int, default=100, help="words in each answer")
    parser.add_argument("--steps", type=int, default=3, help="timed steps after the one that warms up")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--micro-batches", type=int, nargs="+", default=MICRO_BATCHES, help="pairs in a micro-batch")
    parser.add_argument("--checkpointings", choices=CHECKPOINTING, nargs="+", default=CHECKPOINTING)
    parser.add_argument("--json", type=Path)
    return parser


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--types", choices=TYPES, nargs="+", default=list(TYPES))
    single = parser.add_argument_group("one configuration in this process, its report as the last line of stdout")
    single.add_argument("--single", action="store_true")
    single.add_argument("--type", choices=TYPES, default="f32")
    single.add_argument("--micro-batch", type=int, default=1)
    single.add_argument("--checkpointing", choices=CHECKPOINTING, default="off")
    single.add_argument("--optimizer", choices=OPTIMIZERS, default="fused")
    arguments = parser.parse_args()
    if arguments.single:
        print(json.dumps(measure(arguments)))
        return
    found = {kind: search(arguments, kind) for kind in arguments.types}
    for reports in found.values():
        print("best " + described(reports[0]))
    if arguments.json:
        report = facts(arguments) | {"configurations": found}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
