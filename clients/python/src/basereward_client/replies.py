"""What comes back. Every reply is checked: as many rewards as responses, each of them a number."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from .errors import BaserewardError, Refused, UnexpectedReply
from .retry import retry_after_seconds


@dataclass(frozen=True)
class Rewards:
    """Rewards of the responses to one question."""

    rewards: list[float]
    """One for each response, in order. As a 32-bit float, each has the bits that the model gave."""
    ranks: list[int]
    """Place of each response, 1 for the best; equal rewards have the same place."""
    usage: Mapping[str, Any]
    """Tokens: `prompt_tokens`, `response_tokens`, `image_tokens`, `shared_tokens`, `cached_tokens`."""
    identity: Mapping[str, Any]
    """Hashes of what rewards depend on besides the request: `model`, `template`, `head`, and the `dtype`."""
    timings: Mapping[str, Any]
    """Milliseconds: `queue_ms`, `prepare_ms`, `compute_ms`, `total_ms`."""
    model: str
    id: str


@dataclass(frozen=True)
class Comparison:
    """Two responses side by side."""

    margin: float
    """Reward of the first minus that of the second."""
    probability: float
    """Probability that the first is better."""
    preferred: Optional[int]
    """Index of the better one; nothing when both have the same reward."""
    scored: Rewards


@dataclass(frozen=True)
class Best:
    """The best of several responses."""

    best: int
    order: list[int]
    """Indices of all responses, best first."""
    scored: Rewards


@dataclass(frozen=True)
class Failed:
    """A response without a reward, and why. It is no number, so that nobody takes it for one."""

    error: BaserewardError

    @property
    def code(self) -> str:
        return self.error.code

    def __bool__(self) -> bool:
        return False


def parse(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The body of a good reply. Raises `Refused` for any other, `UnexpectedReply` for none of a basereward server."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if status == 200:
        if isinstance(value, dict):
            return value
        raise UnexpectedReply("the reply is no JSON object; the address may be that of another server")
    retry_after = retry_after_seconds(headers.get("retry-after"))
    facts = value.get("error") if isinstance(value, dict) else None
    if isinstance(facts, dict) and isinstance(facts.get("code"), str):
        raise Refused.of(str(facts.get("message")), status, facts["code"], facts.get("param"), retry_after)
    # A proxy between us and the server does not speak its words.
    raise Refused.of(
        f"a reply with the status {status} and no error of the server", status, f"http_{status}", None, retry_after
    )


def rewards_of(body: Mapping[str, Any], count: int) -> Rewards:
    """The rewards of `count` responses."""
    with _expected():
        rewards = [_number(reward) for reward in body["rewards"]]
        if len(rewards) != count:
            raise UnexpectedReply(f"{len(rewards)} rewards for {count} responses")
        return Rewards(
            rewards=rewards,
            ranks=list(body["ranks"]),
            usage=dict(body["usage"]),
            identity=dict(body["identity"]),
            timings=dict(body["timings"]),
            model=body["model"],
            id=body["id"],
        )


def comparison_of(body: Mapping[str, Any], count: int) -> Comparison:
    """The comparison of two responses."""
    with _expected():
        scored = rewards_of(body["scored"], count)
        return Comparison(_number(body["margin"]), _number(body["probability"]), body.get("preferred"), scored)


def best_of(body: Mapping[str, Any], count: int) -> Best:
    """The best of `count` responses."""
    with _expected():
        return Best(int(body["best"]), list(body["order"]), rewards_of(body["scored"], count))


class _expected:
    """Turns what is missing or of another type into `UnexpectedReply`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, (KeyError, TypeError, ValueError, AttributeError)):
            raise UnexpectedReply(f"the reply is not of the expected shape: {error!r}") from error


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UnexpectedReply(f"`{value}` is no reward")
    return float(value)
