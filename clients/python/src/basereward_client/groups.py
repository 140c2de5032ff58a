"""Samples put together by their question, and their results put back in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

from .counters import Counters
from .question import Question, Response, Sample
from .replies import Failed


class Groups:
    """Samples whose questions are ready, or could not be made."""

    def __init__(self, samples: Sequence[Sample], questions: Sequence[Union[Question, Failed]]) -> None:
        self._failed = {index: question for index, question in enumerate(questions) if isinstance(question, Failed)}
        self._indices: dict[str, list[int]] = {}
        by_key: dict[str, Question] = {}
        for index, question in enumerate(questions):
            if isinstance(question, Question):
                by_key.setdefault(question.key, question)
                self._indices.setdefault(question.key, []).append(index)
        self.requests: list[tuple[Question, list[Response]]] = [
            (by_key[key], [samples[index].response for index in indices]) for key, indices in self._indices.items()
        ]
        """Each question once, with its responses."""

    def in_order(
        self, results: Sequence[Sequence[Union[float, Failed]]], counters: Counters
    ) -> list[Union[float, Failed]]:
        """The results of `requests`, one for each sample. Counts the samples that were never sent."""
        counters.count(self._failed.values())
        ordered: dict[int, Union[float, Failed]] = dict(self._failed)
        for indices, of_group in zip(self._indices.values(), results):
            ordered.update(zip(indices, of_group))
        return [ordered[index] for index in range(len(ordered))]
