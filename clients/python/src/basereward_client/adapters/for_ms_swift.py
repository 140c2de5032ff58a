"""ms-swift: an outcome reward for `swift rlhf --rlhf_type grpo --reward_funcs basereward`.

    --external_plugins PATH_OF_THIS_FILE --reward_funcs basereward

The address is in `BASEREWARD_URL`, a key in `BASEREWARD_API_KEY`. ms-swift adds up rewards in a way that turns None into 0, so that a
failure cannot be handed to it. A failed reward is therefore given the mean of its group: with the group's mean as the baseline, its
advantage is exactly 0 and those of the others keep their order and their zero point. A group without any reward gets the mean of all
others. When more than `max_failed_share` fail, or all, `TooManyFailed` ends the step. A group that is divided among processes has the
mean of the part that its process sees.

Source: ms-swift 4.6, `swift/rewards/orm.py`, `swift/rl_core/grpo_algorithm.py`, `swift/rl_core/advantage.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Union

from swift.rewards import ORM, AsyncORM, orms

from basereward_client.adapters.adapter_support import check_failures, sample, settings
from basereward_client.client import Client
from basereward_client.question import Sample
from basereward_client.replies import Failed

MAX_FAILED_SHARE = 0.5


class BaserewardORM(ORM):  # type: ignore[misc]
    """Scores the last message of each row as the answer to those before it, with the row's `images`."""

    def __init__(self, args: Any = None, **kwargs: Any) -> None:
        super().__init__(args, **kwargs)
        self.client = Client(**settings(kwargs))
        self.max_failed_share = float(kwargs.get("max_failed_share", MAX_FAILED_SHARE))

    def __call__(self, completions: Sequence[str], **columns: Any) -> list[float]:
        samples, groups = _rows(completions, columns)
        results = self.client.score(samples)
        check_failures(results, self.max_failed_share)
        return fill_with_group_mean(results, groups)


class AsyncBaserewardORM(AsyncORM):  # type: ignore[misc]
    """The same, at the same time as other asynchronous rewards."""

    def __init__(self, args: Any = None, **kwargs: Any) -> None:
        super().__init__(args, **kwargs)
        self._blocking = BaserewardORM(args, **kwargs)

    @property
    def client(self) -> Client:
        """The client, with its counters."""
        return self._blocking.client

    async def __call__(self, completions: Sequence[str], **columns: Any) -> list[float]:
        # Each step has an event loop of its own, which connections would not outlive; those of the blocking client do.
        return await asyncio.to_thread(self._blocking, completions, **columns)


def fill_with_group_mean(results: Sequence[Union[float, Failed]], groups: Sequence[Hashable]) -> list[float]:
    """The rewards, where one failed the mean of those of its group; of all when its group has none."""
    scored = [(group, result) for group, result in zip(groups, results) if not isinstance(result, Failed)]
    of_group: dict[Hashable, list[float]] = {}
    for group, reward in scored:
        of_group.setdefault(group, []).append(reward)
    everything = [reward for _, reward in scored]
    return [
        _mean(of_group.get(group, everything)) if isinstance(result, Failed) else result
        for group, result in zip(groups, results)
    ]


def _mean(rewards: Sequence[float]) -> float:
    return sum(rewards) / len(rewards)


def _rows(completions: Sequence[str], columns: Mapping[str, Any]) -> tuple[list[Sample], list[Hashable]]:
    samples: list[Sample] = []
    groups: list[Hashable] = []
    for index, completion in enumerate(completions):
        row = {
            name: columns[name][index] for name in ("messages", "images", "prompt_id") if columns.get(name) is not None
        }
        messages = [{"role": message["role"], "content": message["content"]} for message in row["messages"]]
        # The rollout has put the completion behind the question.
        question = messages[:-1] if messages and messages[-1]["role"] == "assistant" else messages
        samples.append(sample(question, completion, row))
        groups.append(row.get("prompt_id") or json.dumps(question, sort_keys=True, default=repr))
    return samples, groups


orms["basereward"] = BaserewardORM
orms["async_basereward"] = AsyncBaserewardORM
