"""What the client decides, without a server and without anything but the standard library."""

from __future__ import annotations

import pathlib
import pickle
import re
import tempfile
import unittest
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Union

import support
from basereward_client import Client, Failed, NoReply, Refused, Sample, UnexpectedReply, UnusableRequest, errors
from basereward_client.counters import Counters
from basereward_client.exchange import Exchange, Pause, Reply, Send, Steps
from basereward_client.groups import Groups
from basereward_client.pictures import picture_url
from basereward_client.question import Question, has_own_pictures, response_fields, to_json
from basereward_client.replies import parse
from basereward_client.retry import Retry, is_passing, moves_on, retry_after_seconds
from basereward_client.routing import order

URLS = [f"http://replica-{index}:8080" for index in range(4)]
IDENTITY = {"model": "m", "template": "t", "head": "h", "dtype": "f32"}


def reply(rewards: list[Any], identity: Any = IDENTITY, status: int = 200) -> Reply:
    fields = {"rewards": rewards, "ranks": [1] * len(rewards), "usage": {}, "identity": identity, "timings": {}}
    return Reply(status, {}, to_json({**fields, "model": "m", "id": "1"}))


def refusal(status: int, code: str, param: Union[str, None] = None, headers: Any = None) -> Reply:
    return Reply(status, headers or {}, to_json({"error": {"code": code, "message": "a sentence", "param": param}}))


def drive(steps: Steps[Any], answer: Callable[[Send], Union[Reply, Exception]]) -> tuple[Any, list[Send], list[float]]:
    """The result of steps whose requests are answered by a function, with what was sent and the pauses."""
    sent: list[Send] = []
    pauses: list[float] = []
    try:
        step = next(steps)
        while True:
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                step = steps.send(None)
                continue
            sent.append(step)
            answered = answer(step)
            step = steps.throw(answered) if isinstance(answered, Exception) else steps.send(answered)
    except StopIteration as stop:
        return stop.value, sent, pauses


class Routing(unittest.TestCase):
    def test_a_group_always_has_the_same_server(self) -> None:
        self.assertEqual(order(URLS, "group"), order(list(reversed(URLS)), "group"))

    def test_groups_are_spread_over_all_servers(self) -> None:
        firsts = [order(URLS, str(group))[0] for group in range(400)]
        for url in URLS:
            self.assertGreater(firsts.count(url), 50)

    def test_only_the_groups_of_a_server_that_goes_move(self) -> None:
        for group in range(100):
            before = order(URLS, str(group))
            after = order([url for url in URLS if url != before[0]], str(group))
            self.assertEqual(after, before[1:])


class Retries(unittest.TestCase):
    def test_only_what_may_pass_is_tried_again(self) -> None:
        for status in (429, 502, 503, 504):
            self.assertTrue(is_passing(Refused.of("", status, "any")))
        for status in (400, 401, 403, 404, 408, 413, 415, 500, 501):
            self.assertFalse(is_passing(Refused.of("", status, "any")))
        self.assertTrue(is_passing(NoReply("")))
        self.assertFalse(is_passing(UnexpectedReply("")))

    def test_pauses_grow_and_are_jittered(self) -> None:
        for draw, expected in ((0.0, [0.125, 0.25, 0.5]), (1.0, [0.25, 0.5, 1.0])):
            retry = Retry(3, lambda draw=draw: draw)
            pauses = [retry.pause(NoReply(""), failed) for failed in (1, 2, 3, 4)]
            self.assertEqual(pauses, [*expected, None])
        self.assertEqual(Retry(99, lambda: 1.0).pause(NoReply(""), 90), 8.0)

    def test_the_time_that_the_server_asks_for_is_waited_and_an_endless_one_is_not(self) -> None:
        retry = Retry(3, lambda: 1.0)
        self.assertEqual(retry.pause(Refused.of("", 429, "overloaded", None, 3.0), 1), 3.25)
        self.assertIsNone(retry.pause(Refused.of("", 429, "overloaded", None, 600.0), 1))

    def test_an_overloaded_server_keeps_its_groups_and_another_fault_moves_them(self) -> None:
        self.assertFalse(moves_on(Refused.of("", 429, "overloaded")))
        self.assertTrue(moves_on(Refused.of("", 503, "shutting_down")))
        self.assertTrue(moves_on(NoReply("")))

    def test_a_retry_after_is_read_in_both_of_its_forms(self) -> None:
        now = datetime(2026, 1, 1, 12, 0, 0, tzinfo=timezone.utc)
        self.assertEqual(retry_after_seconds("7", now), 7.0)
        self.assertEqual(retry_after_seconds("Thu, 01 Jan 2026 12:00:30 GMT", now), 30.0)
        self.assertEqual(retry_after_seconds("Thu, 01 Jan 2026 11:00:00 GMT", now), 0.0)
        self.assertIsNone(retry_after_seconds("soon", now))
        self.assertIsNone(retry_after_seconds(None, now))


class Exchanges(unittest.TestCase):
    def setUp(self) -> None:
        self.exchange = Exchange(URLS, "key", timeout=2.0, retries=2)
        self.question = Question.of("why?")

    def test_a_request_carries_the_key_its_time_and_its_group(self) -> None:
        _, [sent], _ = drive(self.exchange.reward(self.question, ["a"]), lambda _: reply([0.5]))
        self.assertEqual(sent.headers["Authorization"], "Bearer key")
        self.assertEqual(sent.headers["X-Timeout-Ms"], "2000")
        self.assertEqual(sent.headers["X-Group-Key"], self.question.key)
        self.assertEqual(sent.body, b'{"prompt":"why?","responses":["a"]}')

    def test_a_server_that_is_gone_is_left_for_the_next_of_the_group(self) -> None:
        answers = iter([NoReply("gone"), refusal(503, "shutting_down"), reply([0.5])])
        result, sent, pauses = drive(self.exchange.reward(self.question, ["a"]), lambda _: next(answers))
        self.assertEqual(result.rewards, [0.5])
        self.assertEqual([one.url for one in sent], order(URLS, self.question.key)[:3])
        self.assertEqual(len(pauses), 2)
        self.assertEqual(self.exchange.counters.retries, 2)

    def test_after_the_last_try_the_error_is_told(self) -> None:
        with self.assertRaises(errors.Overloaded):
            drive(self.exchange.reward(self.question, ["a"]), lambda _: refusal(429, "overloaded"))

    def test_a_refusal_is_not_sent_again(self) -> None:
        sent: list[Send] = []

        def answer(send: Send) -> Reply:
            sent.append(send)
            return refusal(400, "unknown_role", "messages[0].role")

        with self.assertRaises(errors.UnknownRole) as raised:
            drive(self.exchange.reward(self.question, ["a"]), answer)
        self.assertEqual((len(sent), raised.exception.param), (1, "messages[0].role"))

    def test_what_is_no_reward_is_never_taken_for_one(self) -> None:
        for rewards in ([], [0.1, 0.2], [None], ["0.5"], [True], [float("1e999")]):
            body = f'{{"rewards":{rewards}'.replace("None", "null").replace("True", "true").replace("'", '"')
            body = (
                body.replace("inf", "1e999") + ',"ranks":[],"usage":{},"identity":{},"timings":{},"model":"m","id":"1"}'
            )
            with self.assertRaises(UnexpectedReply, msg=body):
                drive(self.exchange.reward(self.question, ["a"]), lambda _, body=body: Reply(200, {}, body.encode()))
        for body in (b"", b"<html>", b"[]", b"{}"):
            with self.assertRaises(UnexpectedReply):
                drive(self.exchange.reward(self.question, ["a"]), lambda _, body=body: Reply(200, {}, body))

    def test_a_reply_of_another_model_is_refused(self) -> None:
        drive(self.exchange.reward(self.question, ["a"]), lambda _: reply([0.5]))
        with self.assertRaises(errors.DifferentModel):
            drive(self.exchange.reward(self.question, ["a"]), lambda _: reply([0.5], {**IDENTITY, "model": "other"}))

    def test_a_response_at_fault_does_not_take_its_group_with_it(self) -> None:
        answers = iter([refusal(400, "empty_response", "responses[1]"), reply([0.1, 0.3])])
        results, sent, _ = drive(self.exchange.reward_each(self.question, ["a", "", "c"]), lambda _: next(answers))
        self.assertEqual([results[0], results[2]], [0.1, 0.3])
        self.assertEqual(results[1].code, "empty_response")
        self.assertEqual(sent[1].body, b'{"prompt":"why?","responses":["a","c"]}')
        self.assertEqual((self.exchange.counters.rewards, self.exchange.counters.failed), (2, {"empty_response": 1}))

    def test_a_fault_without_a_place_is_looked_for_one_by_one(self) -> None:
        def answer(send: Send) -> Reply:
            bad = b"<|im_end|>" in send.body
            return refusal(400, "special_token") if bad else reply([0.5])

        results, sent, _ = drive(self.exchange.reward_each(self.question, ["a", "b<|im_end|>", "c"]), answer)
        self.assertEqual([results[0], results[2]], [0.5, 0.5])
        self.assertEqual((results[1].code, len(sent)), ("special_token", 4))

    def test_a_fault_of_the_question_is_every_responses_and_is_asked_once(self) -> None:
        results, sent, _ = drive(
            self.exchange.reward_each(self.question, ["a", "b"]), lambda _: refusal(400, "not_an_image", "images[0]")
        )
        self.assertEqual([result.code for result in results], ["not_an_image"] * 2)
        self.assertEqual(len(sent), 1)

    def test_many_responses_are_divided_among_requests(self) -> None:
        exchange = Exchange(URLS, max_responses=2)
        replies = iter([reply([1.0, 2.0]), reply([3.0])])
        results, sent, _ = drive(exchange.reward_each(self.question, ["a", "b", "c"]), lambda _: next(replies))
        self.assertEqual((results, len({one.url for one in sent})), ([1.0, 2.0, 3.0], 1))

    def test_addresses_and_bounds_are_checked(self) -> None:
        for bad in ([], "localhost:8080", ["http://a", "ftp://b"], "http://", "http://a:b", "http://a:1?b"):
            with self.assertRaises(ValueError):
                Exchange(bad)
        with self.assertRaises(ValueError):
            Exchange(URLS, timeout=0)


class Questions(unittest.TestCase):
    def test_the_key_is_of_text_and_pictures_and_of_nothing_else(self) -> None:
        messages = [{"role": "user", "content": "what?"}]
        key = Question.of(messages, [b"\x89PNG\r\n\x1a\n1"]).key
        self.assertEqual(key, Question.of([{"content": "what?", "role": "user"}], [b"\x89PNG\r\n\x1a\n1"]).key)
        self.assertNotEqual(key, Question.of(messages, [b"\x89PNG\r\n\x1a\n2"]).key)
        self.assertNotEqual(key, Question.of("what?", [b"\x89PNG\r\n\x1a\n1"]).key)

    def test_keys_without_a_value_are_left_out_and_pictures_of_parts_are_sent(self) -> None:
        parts = [
            {"type": "image", "text": None, "image": None},
            {"type": "image", "bytes": b"GIF8x", "path": None},
            {"type": "image_url", "image_url": "https://example.org/a.png"},
            {"type": "text", "text": "what?", "image": None},
        ]
        fields = Question.of([{"role": "user", "content": parts, "tool_calls": None}]).fields
        self.assertEqual(
            fields["messages"][0]["content"],
            [
                {"type": "image"},
                {"type": "image", "image": "data:image/gif;base64,R0lGOHg="},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {"type": "text", "text": "what?"},
            ],
        )

    def test_pictures_are_sent_by_their_content(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "a")
            path.write_bytes(b"\xff\xd8\xffx")
            url = "data:image/jpeg;base64,/9j/eA=="
            for written in (
                path,
                str(path),
                {"bytes": None, "path": str(path)},
                {"bytes": b"\xff\xd8\xffx"},
                {"image": path},
            ):
                self.assertEqual(picture_url(written), url)
            self.assertEqual(picture_url(path.as_uri()), url)
            self.assertEqual(picture_url(str(path), server_paths=True), str(path))
        for bad in (str(path), 7, {}, None, "a\0b"):
            with self.assertRaises(UnusableRequest):
                picture_url(bad)

    def test_what_json_does_not_know_is_an_unusable_request(self) -> None:
        for bad in ([{"role": "user", "content": float("nan")}], [{"role": "user", "content": object()}], ["text"]):
            with self.assertRaises(UnusableRequest):
                Question.of(bad)  # type: ignore[arg-type]

    def test_one_message_of_a_response_is_sent_as_a_message(self) -> None:
        message = {"role": "assistant", "content": "a", "tool_calls": None}
        self.assertEqual(response_fields([message]), {"role": "assistant", "content": "a"})
        self.assertEqual(len(response_fields([message, message])), 2)

    def test_pictures_of_messages_are_told_from_their_places(self) -> None:
        self.assertFalse(has_own_pictures([{"role": "user", "content": [{"type": "image"}]}]))
        self.assertTrue(has_own_pictures([{"role": "user", "content": [{"type": "image", "image": "a.png"}]}]))
        self.assertFalse(has_own_pictures("text"))

    def test_samples_of_one_question_become_one_request_and_results_keep_their_order(self) -> None:
        samples = [Sample("p", "a"), Sample("q", "b"), Sample("p", "c"), Sample("r", "d")]
        broken = Failed(UnusableRequest("broken"))
        questions = [Question.of(sample.messages) for sample in samples[:3]] + [broken]
        counters = Counters()
        groups = Groups(samples, questions)
        self.assertEqual([responses for _, responses in groups.requests], [["a", "c"], ["b"]])
        self.assertEqual(groups.in_order([[1.0, 3.0], [2.0]], counters), [1.0, 2.0, 3.0, broken])
        self.assertEqual(counters.failed, {"unusable_request": 1})


class Errors(unittest.TestCase):
    def test_every_code_of_the_server_has_a_class(self) -> None:
        sources = sorted((support.ROOT / "crates" / "serve" / "src").rglob("*.rs"))
        self.assertTrue(sources)
        codes: set[str] = set()
        for source in sources:
            text = source.read_text().split("#[cfg(test)]")[0]
            codes.update(re.findall(r'(?:ApiError::invalid|refused)\(\s*"([a-z_]+)"', text))
            codes.update(re.findall(r'(?:ApiError|Self)::new\(\s*StatusCode::\w+,\s*"([a-z_]+)"', text))
            codes.update(re.findall(r'=> \{?\s*\("([a-z_]+)", ', text))
            codes.update(re.findall(r'KeepError::\w+ \{ \.\. \} => "([a-z_]+)"', text))
        self.assertGreater(len(codes), 20)
        self.assertEqual(codes - set(Refused.by_code), set())

    def test_a_code_that_is_not_known_yet_still_has_its_kind(self) -> None:
        self.assertIsInstance(Refused.of("", 422, "new_code"), errors.InvalidRequest)
        self.assertEqual(Refused.of("", 500, "new_code").code, "new_code")
        with self.assertRaises(errors.ServerFault) as raised:
            parse(502, {"retry-after": "2"}, b"<html>bad gateway</html>")
        self.assertEqual((raised.exception.code, raised.exception.retry_after), ("http_502", 2.0))

    def test_errors_and_clients_survive_the_way_to_another_process(self) -> None:
        error = Refused.of("a sentence", 429, "overloaded", "messages", 1.0)
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((type(again), str(again), again.retry_after), (errors.Overloaded, str(error), 1.0))
        client = pickle.loads(pickle.dumps(Client(URLS, "key", retries=7)))
        self.assertEqual((client._exchange.urls, client._exchange.retry.retries), (URLS, 7))

    def test_a_failure_is_no_number(self) -> None:
        failed = Failed(NoReply("gone"))
        self.assertFalse(failed)
        self.assertEqual(failed.code, "no_reply")
        with self.assertRaises(TypeError):
            float(failed)  # type: ignore[arg-type]


if __name__ == "__main__":
    unittest.main()
