"""What the training scripts share: pairs, the Bradley–Terry loss, AdamW's groups, the learning rate of a step.

A pair is `{"id", "images", "prompt", "chosen", "rejected"}`; without pictures it has no `images`. Nothing here runs
on its own, and nothing is meant to be fast.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from transformers import Qwen2_5_VLProcessor

from reward_model import RewardModel, model_inputs, render, score_positions

BETAS = (0.9, 0.999)
EPS = 1e-8
WEIGHT_DECAY = 0.01


def named_parameters(model: RewardModel) -> dict[str, nn.Parameter]:
    """Every parameter by its name in a checkpoint of transformers 5; the head's are `score.…`."""
    return dict(checkpoint_names(model))


def checkpoint_names(model: RewardModel) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in model.backbone.named_parameters():
        yield f"model.{name}", parameter
    single = len(model.head) == 1
    for name, parameter in model.head.named_parameters():
        yield f"score.{name.removeprefix('0.') if single else name}", parameter


def scored_row(pair: dict) -> dict:
    """The pair as an input row of `basereward score`: the chosen response first."""
    row = {key: pair[key] for key in ("id", "images", "prompt") if key in pair}
    return row | {"responses": [pair["chosen"], pair["rejected"]]}


def encode(processor: Qwen2_5_VLProcessor, pair: dict, folder: Path, padded: bool) -> list[dict]:
    """The model's inputs of both conversations: one after the other, or as one batch padded on the right."""
    row = scored_row(pair)
    texts = render(processor, row)
    return [model_inputs(processor, row, folder, part) for part in ([texts] if padded else [[text] for text in texts])]


def score_indices(model: RewardModel, processor: Qwen2_5_VLProcessor, encoded: dict) -> list[int]:
    """The token that the head reads in each conversation; padding is not part of a conversation."""
    im_end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    lengths = encoded["attention_mask"].sum(-1).tolist()
    ids = encoded["input_ids"].tolist()
    return [score_positions(row[:length], im_end)[model.position] for row, length in zip(ids, lengths)]


def pair_rewards(model: RewardModel, processor: Qwen2_5_VLProcessor, batches: list[dict]) -> Tensor:
    """Rewards [2] of the chosen and the rejected response of the pair that `encode` made."""
    rewards = []
    for encoded in batches:
        at = torch.tensor(score_indices(model, processor, encoded))
        hidden = model.hidden_states(encoded)
        rewards.append(model.rewards(hidden[torch.arange(len(at)), at]))
    return torch.cat(rewards)


def pair_losses(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Bradley–Terry: −log σ(chosen − rejected) of each pair."""
    return -nn.functional.logsigmoid(chosen - rejected)


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then a cosine that ends at `floor` times the learning rate in the last step."""

    steps: int
    warmup_steps: int
    floor: float

    def factor(self, step: int) -> float:
        """The learning rate of `step`, counted from 0, relative to the largest one."""
        if step < self.warmup_steps:
            return min(1.0, (step + 1) / self.warmup_steps)
        progress = (step + 1 - self.warmup_steps) / (self.steps - self.warmup_steps)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(model: RewardModel, learning_rate: float, **implementation: bool) -> AdamW:
    """AdamW over every parameter. Weight decay is for parameters of two or more dimensions, without exception: also
    the embeddings, the patch convolution and the head's last row. Biases and norms are not decayed."""
    parameters = list(named_parameters(model).values())
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=learning_rate, betas=BETAS, eps=EPS, **implementation)
