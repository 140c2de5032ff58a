"""Writes training goldens: 20 AdamW steps of the tiny model in a plain loop of transformers and PyTorch, in f32.

    python training_goldens.py ../crates/testkit/goldens/tiny

Reads the `model/` that goldens.py made. OUT receives `training/`: pictures, `pairs.jsonl` (the pairs in training order,
four a step, about three in ten without a picture) and `steps.json`; README.md says what it holds. Each
conversation is run alone, pair by pair, and gradients add up. The script fails when the same loop over padded batches
with another attention kernel ends elsewhere, or when training does not change the losses.
"""

import argparse
import json
import random
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import Qwen2_5_VLProcessor

from cases import picture
from goldens import provenance, write_lines
from reward_model import RewardModel
from training import (
    BETAS,
    EPS,
    WEIGHT_DECAY,
    Schedule,
    encode,
    make_optimizer,
    named_parameters,
    pair_losses,
    pair_rewards,
)

SEED = 3
PAIRS_PER_STEP = 4
LEARNING_RATE = 1e-3
MAX_GRAD_NORM = 1.0
SCHEDULE = Schedule(steps=20, warmup_steps=5, floor=0.1)
# Largest absolute distance between the losses of two ways to the same training.
LARGEST_DISTANCE = 1e-4

# Name of the picture: width, height, shape, color.
PICTURES = {
    "red_square": (84, 56, "square", "red"),
    "blue_square": (56, 84, "square", "blue"),
    "green_square": (112, 112, "square", "green"),
    "yellow_square": (98, 70, "square", "yellow"),
    "red_circle": (70, 98, "circle", "red"),
    "blue_circle": (112, 84, "circle", "blue"),
    "green_circle": (56, 56, "circle", "green"),
    "yellow_circle": (90, 61, "circle", "yellow"),
}
COLORS = ["red", "blue", "green", "yellow"]
SHAPES = ["square", "circle"]
NUMBERS = ["Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight"]


def write_pictures(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, (name, (width, height, shape, color)) in enumerate(PICTURES.items()):
        image: Image.Image = picture(width, height, shape, color, phase=0.4 * index)
        image.save(folder / f"{name}.png", optimize=True)


def image_pair(rng: random.Random) -> dict:
    """A question about one of the pictures; the rejected answer is wrong in color or shape."""
    name = rng.choice(list(PICTURES))
    _, _, shape, color = PICTURES[name]
    other_color = rng.choice([other for other in COLORS if other != color])
    other_shape = next(other for other in SHAPES if other != shape)
    question, chosen, rejected = rng.choice(
        [
            ("Which color has the shape?", f"It is {color}.", f"It is {other_color}."),
            ("Is it a square or a circle?", f"A {shape}.", f"A {other_shape}."),
            ("What is in the picture?", f"A {color} {shape}.", f"A {other_color} {shape}, I think."),
            ("Describe the picture.", f"The picture shows a {color} {shape}.", f"A {color} {other_shape}."),
        ]
    )
    return {"images": [f"pictures/{name}.png"], "prompt": question, "chosen": chosen, "rejected": rejected}


def text_pair(rng: random.Random) -> dict:
    """A sum; the rejected answer is another number."""
    first, second = rng.randint(0, 4), rng.randint(0, 4)
    wrong = rng.choice([number for number in range(len(NUMBERS)) if number != first + second])
    prompt = f"How many is {NUMBERS[first].lower()} and {NUMBERS[second].lower()}?"
    return {"prompt": prompt, "chosen": f"{NUMBERS[first + second]}.", "rejected": f"{NUMBERS[wrong]}."}


def make_pairs() -> list[dict]:
    rng = random.Random(SEED)
    kinds = [rng.choices([image_pair, text_pair], weights=[3, 1])[0] for _ in range(SCHEDULE.steps * PAIRS_PER_STEP)]
    return [{"id": f"pair-{index:02}"} | kind(rng) for index, kind in enumerate(kinds)]


def training_step(
    model: RewardModel, processor: Qwen2_5_VLProcessor, pairs: list[dict], folder: Path, padded: bool
) -> tuple[float, Tensor]:
    """Adds the gradients of the step's mean loss; gives that loss and the rewards [pairs, 2]."""
    losses, rewards = [], []
    for pair in pairs:
        both = pair_rewards(model, processor, encode(processor, pair, folder, padded))
        loss = pair_losses(both[0], both[1])
        (loss / len(pairs)).backward()
        losses.append(loss.detach())
        rewards.append(both.detach())
    return torch.stack(losses).mean().item(), torch.stack(rewards)


def train(
    model: RewardModel, processor: Qwen2_5_VLProcessor, pairs: list[dict], folder: Path, padded: bool
) -> list[dict]:
    """The whole run; what is told of a step was computed before its update."""
    optimizer = make_optimizer(model, LEARNING_RATE)
    told = []
    for step in range(SCHEDULE.steps):
        learning_rate = LEARNING_RATE * SCHEDULE.factor(step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.zero_grad()
        of_step = pairs[step * PAIRS_PER_STEP : (step + 1) * PAIRS_PER_STEP]
        loss, rewards = training_step(model, processor, of_step, folder, padded)
        grad_norm = nn.utils.clip_grad_norm_(named_parameters(model).values(), MAX_GRAD_NORM)
        optimizer.step()
        told.append(
            {
                "step": step,
                "learning_rate": learning_rate,
                "loss": loss,
                "grad_norm": grad_norm.item(),
                "rewards": rewards.tolist(),
            }
        )
    return told


def values(model: RewardModel) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in named_parameters(model).items()}


def check_steps(steps: list[dict], other: list[dict]) -> float:
    """The largest distance between the losses of two ways to the same training; raises when they part, or when the
    run proves nothing because its gradients were never clipped or its losses never moved."""
    distance = max(abs(step["loss"] - twin["loss"]) for step, twin in zip(steps, other, strict=True))
    if not distance <= LARGEST_DISTANCE:
        raise ValueError(f"the losses of two ways to the same training differ by {distance}")
    losses = [step["loss"] for step in steps]
    if max(losses) - min(losses) < 0.1:
        raise ValueError(f"training hardly changes the losses: {losses}")
    norms = [step["grad_norm"] for step in steps]
    if max(norms) <= MAX_GRAD_NORM or min(norms) >= MAX_GRAD_NORM:
        raise ValueError(f"gradients are to be clipped in some steps and not in others, not {norms}")
    return distance


def settings() -> dict:
    return {
        "loss": "mean over the pairs of a step of -log(sigmoid(chosen - rejected))",
        "pairs_per_step": PAIRS_PER_STEP,
        "optimizer": {"name": "adamw", "betas": BETAS, "eps": EPS, "weight_decay": WEIGHT_DECAY},
        "decayed": "every parameter of two or more dimensions: embeddings and the head's last row too",
        "max_grad_norm": MAX_GRAD_NORM,
        "clipping": "gradients * min(1, max_grad_norm / (norm + 1e-6))",
        "learning_rate": LEARNING_RATE,
        "steps": SCHEDULE.steps,
        "warmup_steps": SCHEDULE.warmup_steps,
        "floor": SCHEDULE.floor,
        "schedule": "step s from 0: min(1, (s + 1) / warmup_steps) while s < warmup_steps, then "
        "floor + (1 - floor) * (1 + cos(pi * (s + 1 - warmup_steps) / (steps - warmup_steps))) / 2",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    folder, model_folder = arguments.out / "training", arguments.out / "model"
    write_pictures(folder / "pictures")
    pairs = make_pairs()
    lines = [json.dumps(pair, ensure_ascii=False) for pair in pairs]
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    processor = Qwen2_5_VLProcessor.from_pretrained(model_folder)

    model = RewardModel.load(model_folder)
    before = values(model)
    with sdpa_kernel(SDPBackend.MATH):
        steps = train(model, processor, pairs, folder, padded=False)
    after = values(model)
    other = train(RewardModel.load(model_folder), processor, pairs, folder, padded=True)
    distance = check_steps(steps, other)

    facts = provenance("goldens.py's tiny model") | {
        "script": "reference/training_goldens.py",
        "seed": str(SEED),
        "dtype": "f32, SDPA attention in its plain form, each conversation alone",
        "largest_loss_distance_of_another_way": f"{distance:.1e}",
    }
    changes = {name: (after[name] - before[name]).norm().item() for name in before}
    write_lines(
        folder / "steps.json", {"provenance": facts, "settings": settings(), "change_norms": changes}, "steps", steps
    )
    for step in steps:
        rate = step["learning_rate"]
        print(f"{step['step']:3} loss {step['loss']:.6f}  grad norm {step['grad_norm']:8.4f}  rate {rate:.2e}")
    print(f"two ways agree within {distance:.1e}")


if __name__ == "__main__":
    main()
