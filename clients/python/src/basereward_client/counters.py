"""What a client has counted: rewards, failures by their code, tries that were repeated."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Union

from .replies import Failed


class Counters:
    """Counts of a client since it was made; may be used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.rewards = 0
        """Responses that have a reward."""
        self.failed: dict[str, int] = {}
        """Responses that have none, by the code of the error."""
        self.retries = 0
        """Requests that were sent again."""

    @property
    def num_failed(self) -> int:
        """Responses that have no reward."""
        return sum(self.failed.values())

    def count(self, results: Iterable[Union[float, Failed]]) -> None:
        with self._lock:
            for result in results:
                if isinstance(result, Failed):
                    self.failed[result.code] = self.failed.get(result.code, 0) + 1
                else:
                    self.rewards += 1

    def retried(self) -> None:
        with self._lock:
            self.retries += 1
