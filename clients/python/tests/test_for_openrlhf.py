"""The OpenRLHF adapter, called by OpenRLHF's own executor of a rollout."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import math
import os
import sys
import types
import unittest
from typing import Any
from unittest import mock

from adapter_case import RED, ServedCase
from basereward_client import UnusableRequest, errors
from basereward_client.adapters import for_openrlhf

HAS_OPENRLHF = importlib.util.find_spec("openrlhf") is not None
MESSAGES = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What color?"}]}]
PICTURE = "data:image/png;base64," + base64.b64encode(RED).decode()
LABEL = json.dumps({"messages": MESSAGES, "images": [PICTURE], "answer": "red"})
PROMPT = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What color?<|im_end|>\n<|im_start|>assistant\n"


class RewardFile(ServedCase):
    def setUp(self) -> None:
        for_openrlhf.client.cache_clear()
        self.addCleanup(os.environ.pop, "BASEREWARD_FAILED", None)

    def test_the_response_is_told_from_the_query(self) -> None:
        query = PROMPT.replace("<|image_pad|>", "<|image_pad|>" * 9) + "It is red.<|im_end|>\n"
        self.assertEqual(for_openrlhf.response_of(query, PROMPT), "It is red.")
        self.assertEqual(for_openrlhf.response_of("Q: a</s>", "Q: "), "a")
        self.assertEqual(for_openrlhf.response_of("Q: a<|endoftext|><|endoftext|>", "Q: "), "a")
        with self.assertRaises(UnusableRequest):
            for_openrlhf.response_of("something else", PROMPT)

    def test_rewards_are_of_the_messages_and_pictures_of_the_labels(self) -> None:
        given = for_openrlhf.reward_func([PROMPT + "It is red.<|im_end|>"], [PROMPT], [LABEL])
        expected = self.reward(MESSAGES, "It is red.", [RED])
        self.assertEqual(given, {"rewards": [expected], "scores": [expected], "extra_logs": {"reward_failed": [0.0]}})

    def test_a_failed_reward_stops_or_is_left_to_the_filter_and_is_never_a_number(self) -> None:
        query, bad = PROMPT + "It is red.", json.dumps({"messages": MESSAGES, "images": ["data:image/png;base64,aGk="]})
        with self.assertRaises(errors.NotAnImage):
            for_openrlhf.reward_func([query, query], [PROMPT, PROMPT], [LABEL, bad])
        with self.assertRaises(UnusableRequest):
            for_openrlhf.reward_func([query], [PROMPT], ["red"])
        os.environ["BASEREWARD_FAILED"] = "filter"
        given = for_openrlhf.reward_func([query] * 3, [PROMPT] * 3, [bad, LABEL, "red"])
        self.assertTrue(math.isnan(given["rewards"][0]) and math.isnan(given["rewards"][2]))
        self.assertEqual(given["rewards"][1], self.reward(MESSAGES, "It is red.", [RED]))
        self.assertEqual(given["extra_logs"], {"reward_failed": [1.0, 0.0, 1.0]})


@unittest.skipUnless(HAS_OPENRLHF, "openrlhf is not installed")
class Executor(ServedCase):
    def execute(self, label: str) -> dict[str, Any]:
        from openrlhf.utils.agent import SingleTurnAgentExecutor
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.folder.path / "model")

        class Engine:
            """Answers the same to everything."""

            async def generate(self, prompt_token_ids: list[int], *_: Any, **__: Any) -> Any:
                ids = tokenizer.encode("It is red.") + [tokenizer.eos_token_id]
                return types.SimpleNamespace(
                    outputs=[types.SimpleNamespace(token_ids=ids, finish_reason="stop", logprobs=None)]
                )

        prompt = "<|im_start|>user\nWhat color?<|im_end|>\n<|im_start|>assistant\n"
        executor = SingleTurnAgentExecutor([for_openrlhf.__file__])
        params = types.SimpleNamespace(max_tokens=32, logprobs=None)
        return asyncio.run(executor.execute(prompt, label, params, 512, tokenizer, Engine()))

    def test_the_executor_gets_the_servers_reward(self) -> None:
        output = self.execute(LABEL)
        expected = self.reward(MESSAGES, "It is red.", [RED])
        self.assertEqual((output["reward"], output["scores"]), ([expected], [expected]))

    def test_a_failure_leaves_the_sample_without_a_reward(self) -> None:
        output = self.execute("red")
        self.assertIsNone(output["reward"])

    def test_the_filter_of_openrlhf_drops_a_group_with_a_failure_and_keeps_the_others(self) -> None:
        # Filtering needs no vLLM, only its names.
        stubs = {
            name: mock.MagicMock() for name in ("vllm", "openrlhf.trainer.ray", "openrlhf.trainer.ray.vllm_engine")
        }
        with mock.patch.dict(sys.modules, stubs):
            from openrlhf.trainer.ppo_utils import samples_generator
        os.environ["BASEREWARD_FAILED"] = "filter"
        self.addCleanup(os.environ.pop, "BASEREWARD_FAILED")
        good, bad = self.execute(LABEL), self.execute("red")
        groups = [[good, good], [good, bad]]
        generator = object.__new__(samples_generator.SamplesGenerator)
        generator.args = types.SimpleNamespace(
            algo=types.SimpleNamespace(dynamic_filtering_range=(-1000000.0, 1000000.0))
        )
        generator._dispatch_prompts_to_vllm = lambda prompts, *_, **__: list(range(len(prompts)))
        prompts = iter([(None, ["p", "q"], ["", ""], [None, None])])
        ray = mock.MagicMock(wait=lambda refs, **_: (refs[:1], refs[1:]), get=lambda ref: groups[ref])
        with mock.patch.object(samples_generator, "ray", ray):
            kept, consumed, _ = generator._generate_vllm(prompts, 2, True, max_len=512)
        self.assertEqual((len(kept), consumed), (2, 2))
        for experience in kept:
            self.assertAlmostEqual(experience.rewards.item(), good["reward"][0], places=6)


if __name__ == "__main__":
    unittest.main()
