"""verl: a reward manager, a scoring function, and the advantage estimator that leaves failed rewards out.

    reward.reward_manager.source=importlib
    reward.reward_manager.module.path=pkg://basereward_client.adapters.for_verl
    reward.reward_manager.name=BaserewardRewardManager
    algorithm.adv_estimator=basereward_grpo

The address is in `BASEREWARD_URL`, or in `+reward.basereward.url`; a key in `BASEREWARD_API_KEY`. verl has no mask for rewards, and NaN
would spread over its group. A failed reward is NaN only under `basereward_grpo`, which takes a group's mean and deviation over the
rewards that are there and gives the others no advantage. Under any other estimator a failure raises, and the run stops.

`compute_score` is for verl's own managers: `reward.custom_reward_function.path` names this file, `reward_kwargs` may hold `url`,
`api_key`, `timeout`, and `failed: nan` together with the estimator above. The question comes in `extra_info`: `messages` or
`prompt`, and `images`.

Source: verl 0.9.1, `verl/experimental/reward_loop`, `verl/trainer/ppo/core_algos.py`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, Optional, Union

import torch
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, register_adv_est

from basereward_client.adapters.adapter_support import logger, sample, settings
from basereward_client.async_client import AsyncClient
from basereward_client.replies import Failed

ESTIMATOR = "basereward_grpo"
DEVIATION_FLOOR = 1e-6


class BaserewardRewardManager(RewardManagerBase):  # type: ignore[misc]
    """Scores the response of a row as the answer to its `raw_prompt`, with its pictures."""

    def __init__(
        self,
        config: Any,
        tokenizer: Any,
        compute_score: Any = None,
        reward_router_address: Optional[str] = None,
        reward_model_tokenizer: Any = None,
    ) -> None:
        super().__init__(config, tokenizer, compute_score)
        self.client = AsyncClient(**settings(config.reward.get("basereward") or {}))
        self.may_be_nan = config.algorithm.adv_estimator == ESTIMATOR

    async def run_single(self, data: Any) -> dict[str, Any]:
        """The reward of the last response of `data`."""
        row = data[-1:][0]
        response_ids = row.batch["responses"]
        length = int(row.batch["attention_mask"][-response_ids.shape[-1] :].sum())
        decode = functools.partial(self.tokenizer.decode, response_ids[:length], skip_special_tokens=True)
        response = await self.loop.run_in_executor(None, decode)
        columns = row.non_tensor_batch
        asked = sample(list(columns["raw_prompt"]), response, _pictures(columns))
        [result] = await self.client.score([asked])
        score = _score(result, self.may_be_nan)
        return {"reward_score": score, "reward_extra_info": {"reward_failed": float(math.isnan(score))}}


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Optional[Mapping[str, Any]] = None,
    *,
    failed: str = "raise",
    **given: Any,
) -> dict[str, float]:
    """The reward of a response to the question in `extra_info`."""
    question = extra_info or {}
    messages = question.get("messages")
    if messages is None:
        messages = question.get("prompt")
    if messages is None or len(messages) == 0:
        raise ValueError(
            "`extra_info` has neither `messages` nor `prompt`; put the question there, without a chat template"
        )
    asked = sample(messages if isinstance(messages, str) else list(messages), solution_str, _pictures(question))
    arguments = settings(given)
    [result] = await _client(tuple(arguments["urls"]), arguments["api_key"], arguments["timeout"]).score([asked])
    score = _score(result, failed == "nan")
    return {"score": score, "reward_failed": float(math.isnan(score))}


def grpo_without_failed(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: Any,
    config: Any = None,
    norm_adv_by_std_in_grpo: bool = True,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages within groups, over the rewards that are numbers; those that are not, and single ones, have none.

    Shapes: rewards and mask `[rows, tokens]`, `index` names the group of each row; returns two of `[rows, tokens]`.
    """
    if config is not None:
        norm_adv_by_std_in_grpo = config.get("norm_adv_by_std_in_grpo", norm_adv_by_std_in_grpo)
    with torch.no_grad():
        scores = token_level_rewards.sum(dim=-1)
        advantages = torch.zeros_like(scores)
        rows_of_group: dict[Any, list[int]] = {}
        for row in torch.nonzero(~torch.isnan(scores)).flatten().tolist():
            rows_of_group.setdefault(index[row], []).append(row)
        for rows in rows_of_group.values():
            if len(rows) > 1:
                centered = scores[rows] - scores[rows].mean()
                scale = scores[rows].std() + DEVIATION_FLOOR if norm_adv_by_std_in_grpo else 1.0
                advantages[rows] = centered / scale
        spread = advantages.unsqueeze(-1) * response_mask
    return spread, spread


# verl may load a module more than once, each time with a function of its own.
if ESTIMATOR not in ADV_ESTIMATOR_REGISTRY:
    register_adv_est(ESTIMATOR)(grpo_without_failed)


def _pictures(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Pictures of a row, wherever verl left them."""
    for holder in (columns, columns.get("multi_modal_data"), columns.get("extra_info")):
        images = holder.get("images") if isinstance(holder, Mapping) else None
        if images is not None and len(images) > 0:
            return {"images": list(images)}
    return {}


def _score(result: Union[float, Failed], may_be_nan: bool) -> float:
    if not isinstance(result, Failed):
        return result
    if not may_be_nan:
        raise result.error
    logger.warning("a reward failed and is left out of its group: %s", result.error)
    return math.nan


@functools.cache
def _client(urls: tuple[str, ...], api_key: Optional[str], timeout: float) -> AsyncClient:
    return AsyncClient(urls, api_key, timeout=timeout)
