"""A request from its first try to its reply, without sending or waiting: whoever drives it does both.

The steps are generators that yield what is to be done, so that the client that blocks and the one that does not share them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional, TypeVar, Union
from urllib.parse import urlsplit

from .counters import Counters
from .errors import BaserewardError, DifferentModel, InvalidRequest, Refused, UnusableRequest
from .question import Question, Response, response_fields, to_json
from .replies import Best, Comparison, Failed, Rewards, best_of, comparison_of, parse, rewards_of
from .retry import Retry, moves_on
from .routing import order

# A proxy may hash this header instead of the client choosing a server.
GROUP_HEADER = "X-Group-Key"
# The server ends a request in time and says so; the connection waits a little longer for its words.
GRACE_SECONDS = 2.0

T = TypeVar("T")


@dataclass(frozen=True)
class Send:
    """A request to send. The driver answers with a `Reply` or throws `NoReply`."""

    url: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    timeout: float


@dataclass(frozen=True)
class Pause:
    """A time to wait."""

    seconds: float


@dataclass(frozen=True)
class Reply:
    """What came back; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Steps = Generator[Union[Send, Pause], Optional[Reply], T]


class Exchange:
    """What all requests of a client have in common."""

    def __init__(
        self,
        urls: Union[str, Sequence[str]],
        api_key: Optional[str] = None,
        timeout: float = 60.0,
        retries: int = 4,
        max_responses: int = 64,
    ) -> None:
        self.urls = [url.rstrip("/") for url in ([urls] if isinstance(urls, str) else urls)]
        for url in self.urls:
            _check_address(url)
        if not self.urls:
            raise ValueError("there is no address; give at least one as `http://HOST:PORT`")
        if timeout <= 0 or retries < 0 or max_responses < 1:
            raise ValueError("`timeout` and `max_responses` must be above 0, and `retries` not below 0")
        self.timeout = timeout
        self.retry = Retry(retries)
        self.max_responses = max_responses
        self.counters = Counters()
        self._headers = {"Content-Type": "application/json", "X-Timeout-Ms": str(max(1, round(timeout * 1000)))}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._identity: Optional[Mapping[str, Any]] = None

    def reward(self, question: Question, responses: Sequence[Response]) -> Steps[Rewards]:
        """`POST /v1/reward`."""
        return self._ask("/v1/reward", question, responses, rewards_of, lambda reply: reply)

    def compare(self, question: Question, responses: Sequence[Response]) -> Steps[Comparison]:
        """`POST /v1/compare`."""
        return self._ask("/v1/compare", question, responses, comparison_of, lambda reply: reply.scored)

    def best_of_n(self, question: Question, responses: Sequence[Response]) -> Steps[Best]:
        """`POST /v1/best_of_n`."""
        return self._ask("/v1/best_of_n", question, responses, best_of, lambda reply: reply.scored)

    def reward_each(self, question: Question, responses: Sequence[Response]) -> Steps[list[Union[float, Failed]]]:
        """A reward or a failure for each response, in order. A response at fault does not take the others with it."""
        results: list[Union[float, Failed]] = []
        for start in range(0, len(responses), self.max_responses):
            part = responses[start : start + self.max_responses]
            results += yield from self._reward_part(question, part)
        self.counters.count(results)
        return results

    def _reward_part(self, question: Question, responses: Sequence[Response]) -> Steps[list[Union[float, Failed]]]:
        results: dict[int, Union[float, Failed]] = {}
        left = list(range(len(responses)))
        while left:
            try:
                scored = yield from self.reward(question, [responses[index] for index in left])
            except BaserewardError as error:
                at_fault = _response_at_fault(error, len(left))
                if at_fault is not None:
                    results[left.pop(at_fault)] = Failed(error)
                elif len(left) > 1 and _may_be_one_response(error):
                    for index in left:
                        [results[index]] = yield from self._reward_part(question, [responses[index]])
                    left = []
                else:
                    results.update((index, Failed(error)) for index in left)
                    left = []
            else:
                results.update(zip(left, scored.rewards))
                left = []
        return [results[index] for index in range(len(responses))]

    def _ask(
        self,
        path: str,
        question: Question,
        responses: Sequence[Response],
        read: Callable[[Mapping[str, Any], int], T],
        scored: Callable[[T], Rewards],
    ) -> Steps[T]:
        fields = {**question.fields, "responses": [response_fields(response) for response in responses]}
        reply = yield from self._send(path, question.key, to_json(fields))
        result = read(reply, len(responses))
        self._check_identity(scored(result).identity)
        return result

    def _send(self, path: str, key: str, body: bytes) -> Steps[dict[str, Any]]:
        servers = order(self.urls, key)
        headers = {**self._headers, GROUP_HEADER: key}
        num_failed = choice = 0
        while True:
            try:
                url = servers[choice % len(servers)]
                reply = yield Send(url, path, headers, body, self.timeout + GRACE_SECONDS)
                assert reply is not None, "a driver answers a request with its reply"
                return parse(reply.status, reply.headers, reply.body)
            except BaserewardError as error:
                num_failed += 1
                seconds = self.retry.pause(error, num_failed)
                if seconds is None:
                    raise
                choice += moves_on(error)
            self.counters.retried()
            yield Pause(seconds)

    def _check_identity(self, identity: Mapping[str, Any]) -> None:
        if self._identity is None:
            self._identity = identity
        elif self._identity != identity:
            raise DifferentModel(
                f"the reply is from the model `{identity.get('model')}`, earlier ones are from `{self._identity.get('model')}`; "
                "let all servers have the same one, and make a new client after a change"
            )


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise ValueError(f"`{url}` is no address of a server; write it as `http://HOST:PORT`")


def _response_at_fault(error: BaserewardError, count: int) -> Optional[int]:
    """Index of the response that a refusal names, as in `responses[3]` or `responses[3][0].content`."""
    place = (error.param or "") if isinstance(error, InvalidRequest) else ""
    if not place.startswith("responses["):
        return None
    digits = place[len("responses[") :].split("]")[0]
    index = int(digits) if digits.isdigit() else count
    return index if index < count else None


def _may_be_one_response(error: BaserewardError) -> bool:
    """Whether a refusal says neither what is at fault nor that it is the same for all responses."""
    return isinstance(error, UnusableRequest) or (
        isinstance(error, Refused) and error.status == 400 and error.param is None
    )
