"""The client that blocks."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Optional, TypeVar, Union

from .connections import Connections
from .counters import Counters
from .errors import BaserewardError, NoReply
from .exchange import Exchange, Pause, Steps
from .groups import Groups
from .question import Messages, Question, Response, Sample
from .replies import Best, Comparison, Failed, Rewards

T = TypeVar("T")


class Client:
    """Asks one reward server, or several with the same model.

    With several, the responses to one question over the same pictures go to the same server, which then computes what they share once;
    when it cannot be reached, to the next.

    `timeout` is for each try, in seconds; the server gives up by then, too. `retries` are further tries after connections that failed
    and replies of 429, 502, 503 and 504. `server_paths` sends paths of pictures as they are instead of the files. `concurrency` bounds the
    requests of `score`. May be used from many threads.
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
        self._remake = partial(
            Client,
            urls,
            api_key,
            timeout=timeout,
            retries=retries,
            max_responses=max_responses,
            server_paths=server_paths,
            concurrency=concurrency,
            tls=tls,
        )
        self._exchange = Exchange(urls, api_key, timeout, retries, max_responses)
        self._server_paths = server_paths
        self._concurrency = concurrency
        self._connections = Connections(tls)

    @property
    def counters(self) -> Counters:
        """Rewards, failures and retries of `score` and `reward_each`."""
        return self._exchange.counters

    def reward(self, messages: Messages, responses: Sequence[Response], *, images: Iterable[Any] = ()) -> Rewards:
        """Rewards of the responses to a question: a text, or messages of which the last is not from the assistant.

        Raises `BaserewardError`; its subclasses say what is wrong.
        """
        return self._run(self._exchange.reward(self._question(messages, images), responses))

    def compare(self, messages: Messages, responses: Sequence[Response], *, images: Iterable[Any] = ()) -> Comparison:
        """Which of two responses is better. Raises `BaserewardError`."""
        return self._run(self._exchange.compare(self._question(messages, images), responses))

    def best_of_n(self, messages: Messages, responses: Sequence[Response], *, images: Iterable[Any] = ()) -> Best:
        """The best of several responses. Raises `BaserewardError`."""
        return self._run(self._exchange.best_of_n(self._question(messages, images), responses))

    def reward_each(
        self, messages: Messages, responses: Sequence[Response], *, images: Iterable[Any] = ()
    ) -> list[Union[float, Failed]]:
        """A reward, or `Failed` with its error, for each response: one at fault does not take the others with it."""
        pictures = list(images)
        return self.score([Sample(messages, response, pictures) for response in responses])

    def score(self, samples: Iterable[Sample]) -> list[Union[float, Failed]]:
        """A reward, or `Failed` with its error, for each sample, in order. Samples of one question are sent together."""
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="basereward") as threads:
            samples = list(samples)
            groups = Groups(samples, list(threads.map(self._try_question, samples)))
            results = threads.map(lambda group: self._run(self._exchange.reward_each(*group)), groups.requests)
            return groups.in_order(list(results), self.counters)

    def close(self) -> None:
        """Closes the connections."""
        self._connections.close()

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process, the same client begins anew: connections and counts stay here.
        return self._remake, ()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _question(self, messages: Messages, images: Iterable[Any]) -> Question:
        return Question.of(messages, images, self._server_paths)

    def _try_question(self, sample: Sample) -> Union[Question, Failed]:
        try:
            return self._question(sample.messages, sample.images)
        except BaserewardError as error:
            return Failed(error)

    def _run(self, steps: Steps[T]) -> T:
        """Does what the steps ask for."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = steps.send(None)
                    continue
                try:
                    reply = self._connections.send(step)
                except NoReply as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result
