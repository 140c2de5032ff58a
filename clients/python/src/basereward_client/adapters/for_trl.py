"""TRL: a reward function for `GRPOTrainer(reward_funcs=[...])` and the trainers like it.

A reward that failed is None. TRL leaves such a completion out of its group's mean and gives it no advantage. Does not import TRL.

    from basereward_client import Client
    from basereward_client.adapters.for_trl import BaserewardReward

    trainer = GRPOTrainer(model, reward_funcs=BaserewardReward(Client("http://127.0.0.1:8080")), ...)

Source: trl 1.16, `trl/trainer/grpo_trainer.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Optional

from basereward_client.adapters.adapter_support import check_failures, sample
from basereward_client.client import Client
from basereward_client.question import Messages, Response
from basereward_client.replies import Failed


class BaserewardReward:
    """Scores completions, plain or conversational; pictures come from the prompts or from the columns `images` and `image`.

    `name` is what the trainer calls it in its logs. When more than `max_failed_share` of the rewards of a step fail, or all of them,
    it raises `TooManyFailed`, so that a run does not go on without a reward.
    """

    def __init__(self, client: Client, *, name: str = "basereward", max_failed_share: float = 0.5) -> None:
        self.client = client
        self.max_failed_share = max_failed_share
        self.__name__ = name

    def __call__(
        self,
        prompts: Sequence[Messages],
        completions: Sequence[Response],
        *,
        log_metric: Optional[Callable[[str, float], None]] = None,
        **columns: Any,
    ) -> list[Optional[float]]:
        pictures = [name for name in ("images", "image") if name in columns]
        samples = [
            sample(prompt, completion, {name: columns[name][index] for name in pictures})
            for index, (prompt, completion) in enumerate(zip(prompts, completions))
        ]
        results = self.client.score(samples)
        num_failed = check_failures(results, self.max_failed_share)
        if log_metric is not None:
            log_metric("reward_failed", float(num_failed))
        return [None if isinstance(result, Failed) else result for result in results]
