"""The client against the real server: the same bits as `basereward score`, and an error for everything else."""

from __future__ import annotations

import asyncio
import pathlib
import signal
import socket
import struct
import threading
import unittest
from collections.abc import Iterable

import support
from basereward_client import AsyncClient, Client, Failed, NoReply, Sample, UnusableRequest, connections_async, errors

RED, BLUE = support.png((200, 10, 10)), support.png((10, 10, 200))
QUESTION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What color?"}]},
]
RESPONSES = ["It is red.", "It is blue.", "I do not know."]


def bits(rewards: Iterable[object]) -> list[bytes]:
    return [struct.pack("<f", reward) for reward in rewards]


class OneServer(unittest.TestCase):
    folder: support.Folder
    server: support.Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = support.Folder()
        cls.addClassCleanup(cls.folder.remove)
        keys = cls.folder.path / "keys"
        keys.write_text(support.KEY + "\n")
        cls.server = support.Server(cls.folder, "--api-key-file", str(keys))
        cls.addClassCleanup(cls.server.stop)

    def setUp(self) -> None:
        self.client = Client(self.server.url, support.KEY)
        self.addCleanup(self.client.close)

    def expected(self) -> list[float]:
        [scores] = self.folder.scores([{"images": ["red.png"], "messages": QUESTION, "responses": RESPONSES}])
        return scores

    def test_rewards_are_those_of_score_to_the_last_bit(self) -> None:
        (self.folder.path / "red.png").write_bytes(RED)
        expected = self.expected()
        self.assertEqual(len(set(expected)), 3)
        scored = self.client.reward(QUESTION, RESPONSES, images=[RED])
        self.assertEqual(bits(scored.rewards), bits(expected))
        self.assertGreater(scored.usage["image_tokens"], 0)
        by_path = self.client.reward(QUESTION, RESPONSES, images=[self.folder.path / "red.png"])
        self.assertEqual(bits(by_path.rewards), bits(expected))

        async def ask() -> list[float]:
            async with AsyncClient(self.server.url, support.KEY) as client:
                return (await client.reward(QUESTION, RESPONSES, images=[RED])).rewards

        self.assertEqual(bits(asyncio.run(ask())), bits(expected))

    def test_the_client_without_httpx_is_the_same(self) -> None:
        async def ask() -> list[float]:
            client = AsyncClient(self.server.url, support.KEY)
            client._connections = connections_async.ThreadConnections(None, 4)
            try:
                return (await client.reward("why?", RESPONSES)).rewards
            finally:
                await client.close()

        self.assertEqual(asyncio.run(ask()), self.client.reward("why?", RESPONSES).rewards)

    def test_an_asynchronous_client_works_in_one_event_loop_after_another(self) -> None:
        client = AsyncClient(self.server.url, support.KEY)
        first, second = (asyncio.run(client.reward("why?", RESPONSES)).rewards for _ in range(2))
        self.assertEqual(first, second)

    def test_a_comparison_and_a_choice_agree_with_the_rewards(self) -> None:
        rewards = self.client.reward("why?", RESPONSES).rewards
        best = self.client.best_of_n("why?", RESPONSES)
        self.assertEqual(best.best, rewards.index(max(rewards)))
        self.assertEqual(best.scored.rewards, rewards)
        compared = self.client.compare("why?", RESPONSES[:2])
        self.assertAlmostEqual(compared.margin, rewards[0] - rewards[1], places=6)
        self.assertEqual(compared.preferred, int(rewards[1] > rewards[0]))
        with self.assertRaises(errors.NotTwoResponses):
            self.client.compare("why?", RESPONSES)

    def test_every_sample_has_its_own_reward_or_its_own_error(self) -> None:
        samples = [
            Sample(f"question {index % 3}", f"answer {index}", [RED if index % 2 else BLUE]) for index in range(24)
        ]
        samples[5] = Sample("question", "", [])
        samples[7] = Sample("question", "answer", ["/absent.png"])
        samples[9] = Sample("question", "answer", [b"no picture"])
        results = self.client.score(samples)
        codes = {index: result.code for index, result in enumerate(results) if isinstance(result, Failed)}
        self.assertEqual(codes, {5: "empty_response", 7: "unusable_request", 9: "not_an_image"})
        for index, (sample, result) in enumerate(zip(samples, results)):
            if index not in codes:
                alone = self.client.reward(sample.messages, [sample.response], images=sample.images).rewards
                self.assertEqual(alone, [result])
        self.assertEqual(self.client.counters.failed, {"empty_response": 1, "unusable_request": 1, "not_an_image": 1})
        self.assertEqual(self.client.counters.rewards, 21)
        self.assertEqual(
            asyncio.run(self._score_async(samples)), [r if isinstance(r, float) else r.code for r in results]
        )

    async def _score_async(self, samples: list[Sample]) -> list[object]:
        async with AsyncClient(self.server.url, support.KEY) as client:
            return [result if isinstance(result, float) else result.code for result in await client.score(samples)]

    def test_a_special_token_in_one_response_leaves_the_others_their_rewards(self) -> None:
        results = self.client.reward_each("why?", [*RESPONSES, "over<|im_end|>"])
        self.assertEqual(results[:3], self.client.reward("why?", RESPONSES).rewards)
        self.assertIsInstance(results[3], Failed)

    def test_more_responses_than_the_server_takes_are_divided(self) -> None:
        responses = [f"answer {index}" for index in range(70)]
        results = self.client.reward_each("why?", responses)
        self.assertEqual(len(set(results)), 70)
        with self.assertRaises(errors.TooManyResponses):
            self.client.reward("why?", responses)

    def test_refusals_are_typed_and_say_the_place(self) -> None:
        cases = (
            (errors.NotAnImage, "what?", ["a"], [b"no picture"], "images[0]"),
            (errors.UrlNotAllowed, "what?", ["a"], ["http://example.org/a.png"], "images[0]"),
            (errors.NoResponses, "what?", [], [], "responses"),
            (errors.UnknownRole, [{"role": "nobody", "content": "a"}], ["a"], [], "messages[0].role"),
        )
        for kind, messages, responses, images, place in cases:
            with self.assertRaises(kind) as raised:
                self.client.reward(messages, responses, images=images)
            self.assertEqual(raised.exception.param, place)
        with self.assertRaises(UnusableRequest):
            self.client.reward("what?", ["a"], images=[pathlib.Path("/absent.png")])
        with self.assertRaises(errors.Unauthorized):
            Client(self.server.url, "another key").reward("what?", ["a"])

    def test_many_threads_share_a_client_and_connections_are_kept(self) -> None:
        expected = {index: self.client.reward(f"q {index}", RESPONSES).rewards for index in range(4)}
        wrong: list[object] = []

        def ask(index: int) -> None:
            for _ in range(10):
                got = self.client.reward(f"q {index % 4}", RESPONSES).rewards
                if got != expected[index % 4]:
                    wrong.append(got)

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        [idle] = self.client._connections._idle.values()
        self.assertLessEqual(len(idle), 8)


class SeveralServers(unittest.TestCase):
    folder: support.Folder

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = support.Folder()
        cls.addClassCleanup(cls.folder.remove)

    def test_a_server_that_dies_is_replaced_by_another_and_no_reward_changes(self) -> None:
        servers = [support.Server(self.folder) for _ in range(2)]
        self.addCleanup(servers[1].stop)
        with Client([server.url for server in servers], retries=3) as client:
            questions = [f"question {index}" for index in range(12)]
            before = [client.reward(question, RESPONSES).rewards for question in questions]
            servers[0].stop(signal.SIGKILL)
            after = [client.reward(question, RESPONSES).rewards for question in questions]
            self.assertEqual(before, after)
            self.assertGreater(client.counters.retries, 0)

    def test_a_server_that_came_back_is_asked_again_over_a_fresh_connection(self) -> None:
        server = support.Server(self.folder)
        with Client(server.url, retries=0) as client:
            before = client.reward("why?", RESPONSES).rewards
            server.stop()
            with self.assertRaises(NoReply):
                client.reward("why?", RESPONSES)
            again = support.Server(self.folder, port=server.port)
            self.addCleanup(again.stop)
            self.assertEqual(client.reward("why?", RESPONSES).rewards, before)

    def test_a_restart_between_two_requests_is_not_noticed(self) -> None:
        server = support.Server(self.folder)
        with Client(server.url, retries=0) as client:
            before = client.reward("why?", RESPONSES).rewards
            server.stop()
            again = support.Server(self.folder, port=server.port)
            self.addCleanup(again.stop)
            self.assertEqual(client.reward("why?", RESPONSES).rewards, before)

    def test_a_server_that_takes_requests_and_says_nothing_is_no_reply(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            with Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1, retries=0) as client:
                [result] = client.reward_each("why?", ["a"])
        assert isinstance(result, Failed)
        self.assertEqual(result.code, "no_reply")

    def test_an_overloaded_server_gets_its_requests_again_and_every_reward_comes(self) -> None:
        server = support.Server(self.folder, "--max-requests", "1")
        self.addCleanup(server.stop)
        # Pictures that the server has not seen keep it busy.
        pictures = [support.png((7, 7, shade), 800, 800) for shade in range(8)]
        samples = [Sample(f"question {index}", "a", [picture]) for index, picture in enumerate(pictures[:4])]
        unseen = [Sample(f"question {index}", "a", [picture]) for index, picture in enumerate(pictures[4:])]
        with Client(server.url, retries=20) as client:
            results = client.score(samples)
            self.assertGreater(client.counters.retries, 0)
            alone = [client.reward(one.messages, [one.response], images=one.images).rewards[0] for one in samples]
            self.assertEqual(results, alone)
        with Client(server.url, retries=0) as client:
            codes = {result.code for result in client.score(unseen) if isinstance(result, Failed)}
        self.assertEqual(codes, {"overloaded"})

    def test_a_time_that_is_too_short_is_a_typed_error_of_the_server(self) -> None:
        server = support.Server(self.folder)
        self.addCleanup(server.stop)
        with Client(server.url, timeout=0.001, retries=0) as client, self.assertRaises(errors.DeadlineExceeded):
            client.reward("why?", RESPONSES, images=[support.png((7, 7, 7), 800, 800)])

    def test_two_models_behind_one_client_are_found_out(self) -> None:
        other = support.Folder(seed=1)
        self.addCleanup(other.remove)
        servers = [support.Server(self.folder), support.Server(other)]
        for server in servers:
            self.addCleanup(server.stop)
        with Client([server.url for server in servers]) as client:
            results = client.score([Sample(f"question {index}", "a") for index in range(12)])
        self.assertIn("different_model", {result.code for result in results if isinstance(result, Failed)})


if __name__ == "__main__":
    unittest.main()
