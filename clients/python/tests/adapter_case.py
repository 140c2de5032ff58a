"""What tests of adapters share: a server, a tokenizer, and a client that makes one sample fail in the real server."""

from __future__ import annotations

import os
import unittest
from collections.abc import Iterable
from typing import Any, Union

os.environ["HF_HUB_OFFLINE"] = "1"

import support
from basereward_client import Client, Failed, Sample

RED, BLUE = support.png((200, 10, 10), 56, 56), support.png((10, 10, 200), 56, 56)


class ServedCase(unittest.TestCase):
    """A server with the tiny model, whose address is in the environment."""

    folder: support.Folder
    server: support.Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = support.Folder()
        cls.addClassCleanup(cls.folder.remove)
        cls.server = support.Server(cls.folder)
        cls.addClassCleanup(cls.server.stop)
        os.environ["BASEREWARD_URL"] = cls.server.url
        cls.addClassCleanup(os.environ.pop, "BASEREWARD_URL")

    def reward(self, messages: Any, response: str, images: Iterable[Any] = ()) -> float:
        """The reward of one response by itself."""
        with Client(self.server.url) as client:
            [reward] = client.reward(messages, [response], images=images).rewards
        return reward


class EmptyingClient(Client):
    """Sends nothing as the response of some samples, which the server refuses."""

    emptied: tuple[int, ...] = (1,)

    def score(self, samples: Iterable[Sample]) -> list[Union[float, Failed]]:
        return super().score(
            Sample(sample.messages, "", sample.images) if index in self.emptied else sample
            for index, sample in enumerate(samples)
        )
