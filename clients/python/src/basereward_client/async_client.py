"""The client that does not block; otherwise the same as `Client`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from typing import Any, Optional, TypeVar, Union

from .connections_async import connect
from .counters import Counters
from .errors import BaserewardError, NoReply
from .exchange import Exchange, Pause, Steps
from .groups import Groups
from .question import Messages, Question, Response, Sample
from .replies import Best, Comparison, Failed, Rewards

T = TypeVar("T")


class AsyncClient:
    """Asks one reward server, or several with the same model. Arguments and results are those of `Client`.

    Uses httpx where it is installed, and threads where it is not. May be used from many event loops.
    """

    def __init__(
        self,
        urls: Union[str, Sequence[str]],
        api_key: Optional[str] = None,
        *,
        timeout: float = 60.0,
        retries: int = 4,
        max_responses: int = 64,
        server_paths: bool = False,
        concurrency: int = 16,
        tls: Optional[ssl.SSLContext] = None,
    ) -> None:
        self._exchange = Exchange(urls, api_key, timeout, retries, max_responses)
        self._server_paths = server_paths
        self._connections = connect(tls, concurrency)

    @property
    def counters(self) -> Counters:
        """Rewards, failures and retries of `score` and `reward_each`."""
        return self._exchange.counters

    async def reward(self, messages: Messages, responses: Sequence[Response], *, images: Iterable[Any] = ()) -> Rewards:
        """Rewards of the responses to a question. Raises `BaserewardError`."""
        return await self._run(self._exchange.reward(await self._question(messages, images), responses))

    async def compare(
        self, messages: Messages, responses: Sequence[Response], *, images: Iterable[Any] = ()
    ) -> Comparison:
        """Which of two responses is better. Raises `BaserewardError`."""
        return await self._run(self._exchange.compare(await self._question(messages, images), responses))

    async def best_of_n(self, messages: Messages, responses: Sequence[Response], *, images: Iterable[Any] = ()) -> Best:
        """The best of several responses. Raises `BaserewardError`."""
        return await self._run(self._exchange.best_of_n(await self._question(messages, images), responses))

    async def reward_each(
        self, messages: Messages, responses: Sequence[Response], *, images: Iterable[Any] = ()
    ) -> list[Union[float, Failed]]:
        """A reward, or `Failed` with its error, for each response: one at fault does not take the others with it."""
        pictures = list(images)
        return await self.score([Sample(messages, response, pictures) for response in responses])

    async def score(self, samples: Iterable[Sample]) -> list[Union[float, Failed]]:
        """A reward, or `Failed` with its error, for each sample, in order. Samples of one question are sent together."""
        samples = list(samples)
        groups = Groups(samples, await asyncio.gather(*map(self._try_question, samples)))
        results = await asyncio.gather(*(self._run(self._exchange.reward_each(*group)) for group in groups.requests))
        return groups.in_order(results, self.counters)

    async def close(self) -> None:
        """Closes the connections of this event loop."""
        await self._connections.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _question(self, messages: Messages, images: Iterable[Any]) -> Question:
        # Reading and writing pictures would hold up the event loop.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, Question.of, messages, images, self._server_paths)

    async def _try_question(self, sample: Sample) -> Union[Question, Failed]:
        try:
            return await self._question(sample.messages, sample.images)
        except BaserewardError as error:
            return Failed(error)

    async def _run(self, steps: Steps[T]) -> T:
        """Does what the steps ask for."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = steps.send(None)
                    continue
                try:
                    reply = await self._connections.send(step)
                except NoReply as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result
