"""Writes gradient goldens: what PyTorch's autograd gives for every parameter of the tiny model.

    python gradient_goldens.py ../crates/testkit/goldens/tiny

Reads `model/` and `images/` that goldens.py made, in f32. The loss is the mean of −log σ(chosen − rejected) over two
pairs: one about a picture of several windows, one of text alone. OUT receives `gradients.safetensors` and
`gradients.json`; README.md says what they hold. The script fails when another way to the same gradients (both responses
in one padded batch, another attention kernel) disagrees, or when a parameter has no gradient.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import Qwen2_5_VLProcessor

from goldens import provenance, write_lines
from reward_model import RewardModel
from training import encode, named_parameters, pair_losses, pair_rewards, score_indices

PAIRS = [
    {
        "id": "image_pair",
        "images": ["images/windows.png"],
        "prompt": "What is in the picture?",
        "chosen": "A white circle.",
        "rejected": "A red square on a table; I see nothing else.",
    },
    {
        "id": "text_pair",
        "prompt": "How many is two and two?",
        "chosen": "Four.",
        "rejected": "The answer is 10.",
    },
]
# Chosen and rejected move the head's last bias by exactly opposite amounts.
WITHOUT_GRADIENT = {"score.2.bias"}
# Largest relative distance, in the Euclidean norm, between two ways to one tensor's gradient.
LARGEST_DISTANCE = 1e-4


def gradients(model: RewardModel) -> dict[str, Tensor]:
    """A copy of every parameter's gradient; a parameter that the loss never reached has one of zeros."""
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in named_parameters(model).items()
    }


def pair_gradients(
    model: RewardModel, processor: Qwen2_5_VLProcessor, pair: dict, folder: Path, padded: bool
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Rewards [2] and loss of one pair, and the gradients of that loss."""
    model.backbone.zero_grad()
    model.head.zero_grad()
    rewards = pair_rewards(model, processor, encode(processor, pair, folder, padded))
    loss = pair_losses(rewards[0], rewards[1])
    loss.backward()
    return rewards.detach(), loss.detach(), gradients(model)


def encoded_response(model: RewardModel, processor: Qwen2_5_VLProcessor, encoded: dict) -> dict:
    """What the model read: ids, M-RoPE positions [t, h, w] of each token, and the token that the head reads."""
    token_ids = encoded["input_ids"]
    if "image_grid_thw" in encoded:
        positions, _ = model.backbone.get_rope_index(
            token_ids, encoded["mm_token_type_ids"], image_grid_thw=encoded["image_grid_thw"]
        )
        positions = positions[:, 0].T.tolist()
    else:
        positions = [[index] * 3 for index in range(token_ids.shape[1])]
    return {
        "token_ids": token_ids[0].tolist(),
        "position_ids": positions,
        "position": score_indices(model, processor, encoded)[0],
    }


def relative_distance(value: Tensor, reference: Tensor) -> float:
    distance, norm = (value - reference).norm().item(), reference.norm().item()
    return distance / norm if norm > 0 else distance


def mean_gradients(of_pairs: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([pair[name] for pair in of_pairs]).mean(0) for name in of_pairs[0]}


def check_gradients(mean: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest relative distance to the gradients found another way; raises when the goldens prove nothing."""
    without = {name for name, value in mean.items() if not value.any()}
    if without != WITHOUT_GRADIENT:
        raise ValueError(f"parameters without a gradient: {sorted(without)}, not {sorted(WITHOUT_GRADIENT)}")
    distances = {name: relative_distance(other[name], value) for name, value in mean.items()}
    worst = max(distances, key=distances.__getitem__)
    if not distances[worst] <= LARGEST_DISTANCE:
        raise ValueError(f"two ways to the gradient of `{worst}` differ by {distances[worst]}")
    return distances[worst]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    out = arguments.out
    model = RewardModel.load(out / "model")
    processor = Qwen2_5_VLProcessor.from_pretrained(out / "model")
    pairs, of_pairs, losses = [], [], []
    for pair in PAIRS:
        with sdpa_kernel(SDPBackend.MATH):
            rewards, loss, of_pair = pair_gradients(model, processor, pair, out, padded=False)
        batches = encode(processor, pair, out, padded=False)
        pairs.append(
            {
                "pair": pair,
                "grids": batches[0]["image_grid_thw"].tolist() if "image_grid_thw" in batches[0] else [],
                "rewards": dict(zip(["chosen", "rejected"], rewards.tolist())),
                "loss": loss.item(),
                "encoded": {
                    name: encoded_response(model, processor, encoded)
                    for name, encoded in zip(["chosen", "rejected"], batches)
                },
                "gradient_norms": {name: value.norm().item() for name, value in of_pair.items()},
            }
        )
        of_pairs.append(of_pair)
        losses.append(loss)
    mean = mean_gradients(of_pairs)
    other = mean_gradients([pair_gradients(model, processor, pair, out, padded=True)[2] for pair in PAIRS])
    facts = provenance("goldens.py's tiny model") | {
        "script": "reference/gradient_goldens.py",
        "dtype": "f32, SDPA attention in its plain form, each conversation alone",
        "largest_distance_of_another_way": f"{check_gradients(mean, other):.1e}",
    }
    save_file(mean, out / "gradients.safetensors", metadata={"provenance": json.dumps(facts)})
    loss = torch.stack(losses).mean().item()
    write_lines(out / "gradients.json", {"provenance": facts, "loss": loss}, "pairs", pairs)
    print(f"loss {loss:.6f}, {len(mean)} gradients, two ways agree within {facts['largest_distance_of_another_way']}")


if __name__ == "__main__":
    main()
