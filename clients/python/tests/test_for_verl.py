"""The verl adapter, loaded and called by verl's own code; its estimator beside verl's."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import os
import unittest
from typing import Any
from unittest import mock

from adapter_case import RED, ServedCase
from basereward_client import errors

HAS_VERL = importlib.util.find_spec("verl") is not None
PATH = "pkg://basereward_client.adapters.for_verl"
QUESTION = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What color?"}]}]


@unittest.skipUnless(HAS_VERL, "verl is not installed")
class Verl(ServedCase):
    def setUp(self) -> None:
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(self.folder.path / "model")

    def config(self, estimator: str = "basereward_grpo", **reward: Any) -> Any:
        from omegaconf import OmegaConf

        manager = {"source": "importlib", "name": "BaserewardRewardManager", "module": {"path": PATH}}
        return OmegaConf.create(
            {"algorithm": {"adv_estimator": estimator}, "reward": {"reward_manager": manager, **reward}}
        )

    def data(self, response: str, **columns: Any) -> Any:
        import numpy
        import torch
        from tensordict import TensorDict
        from verl import DataProto

        ids = torch.tensor([self.tokenizer.encode(response) + [self.tokenizer.eos_token_id]])
        prompt = torch.tensor([[5, 6, 7]])
        padding = torch.full((1, 4), 0)
        tensors = {
            "prompts": prompt,
            "responses": torch.cat([ids, padding], dim=1),
            "attention_mask": torch.cat(
                [torch.ones_like(prompt), torch.ones_like(ids), torch.zeros_like(padding)], dim=1
            ),
        }
        objects = {}
        for name, value in {"raw_prompt": QUESTION, **columns}.items():
            objects[name] = numpy.empty(1, dtype=object)
            objects[name][0] = value
        return DataProto(batch=TensorDict(tensors, batch_size=1), non_tensor_batch=objects)

    def run_manager(self, config: Any, *rows: Any) -> list[dict[str, Any]]:
        from verl.trainer.ppo.reward import load_reward_manager

        async def run() -> list[dict[str, Any]]:
            manager = load_reward_manager(config, self.tokenizer)
            return await asyncio.gather(*(manager.run_single(row) for row in rows))

        return asyncio.run(run())

    def test_the_manager_scores_the_response_with_its_pictures(self) -> None:
        own = [{"role": "user", "content": [{"type": "image", "image": RED}, {"type": "text", "text": "What color?"}]}]
        expected = self.reward(QUESTION, "It is red.", [RED])
        results = self.run_manager(
            self.config(),
            self.data("It is red.", multi_modal_data={"images": [RED]}),
            self.data("It is red.", images=[{"bytes": RED}]),
            self.data("It is red.", raw_prompt=own, images=[RED]),
        )
        for result in results:
            self.assertEqual(result, {"reward_score": expected, "reward_extra_info": {"reward_failed": 0.0}})

    def test_the_configuration_may_name_the_server(self) -> None:
        config = self.config(basereward={"urls": [self.server.url], "timeout": 30})
        with mock.patch.dict(os.environ, BASEREWARD_URL="http://127.0.0.1:9"):
            [result] = self.run_manager(
                config, self.data("It is red.", raw_prompt=[{"role": "user", "content": "Why?"}])
            )
        self.assertEqual(result["reward_score"], self.reward("Why?", "It is red."))

    def test_a_failed_reward_is_nan_only_where_the_estimator_leaves_it_out(self) -> None:
        [result] = self.run_manager(self.config(), self.data("It is red.", images=[b"no picture"]))
        self.assertTrue(math.isnan(result["reward_score"]))
        self.assertEqual(result["reward_extra_info"], {"reward_failed": 1.0})
        with self.assertRaises(errors.NotAnImage):
            self.run_manager(self.config("grpo"), self.data("It is red.", images=[b"no picture"]))

    def test_verls_own_manager_calls_the_scoring_function(self) -> None:
        function = {"path": PATH, "name": "compute_score", "reward_kwargs": {"url": self.server.url, "failed": "nan"}}
        config = self.config(custom_reward_function=function)
        config.reward.reward_manager = {"source": "register", "name": "naive"}
        row = {"data_source": "test", "reward_model": {"ground_truth": None}}
        results = self.run_manager(
            config,
            self.data("It is red.", **row, extra_info={"messages": QUESTION, "images": [RED]}),
            self.data("It is red.", **row, extra_info={"prompt": "What color?"}),
            self.data("It is red.", **row, extra_info={"prompt": "What color?", "images": [b"no picture"]}),
        )
        self.assertEqual(results[0]["reward_score"], self.reward(QUESTION, "It is red.", [RED]))
        self.assertEqual(results[1]["reward_score"], self.reward("What color?", "It is red."))
        self.assertTrue(math.isnan(results[2]["reward_score"]))
        self.assertEqual(results[2]["reward_extra_info"]["reward_failed"], 1.0)

    def test_without_failures_the_estimator_is_verls_own(self) -> None:
        import numpy
        import torch
        from verl.trainer.ppo import core_algos

        from basereward_client.adapters.for_verl import ESTIMATOR

        torch.manual_seed(0)
        mask = (torch.rand(8, 5) > 0.3).float()
        rewards = torch.zeros(8, 5)
        rewards[:, -1] = torch.randn(8)
        groups = numpy.array(list("aabbbabb"), dtype=object)
        ours, _ = core_algos.get_adv_estimator_fn(ESTIMATOR)(
            token_level_rewards=rewards, response_mask=mask, index=groups
        )
        theirs, _ = core_algos.compute_grpo_outcome_advantage(rewards.clone(), mask, groups)
        torch.testing.assert_close(ours, theirs)

    def test_a_failed_reward_has_no_advantage_and_changes_no_other(self) -> None:
        import numpy
        import torch
        from verl.trainer.config import AlgoConfig
        from verl.trainer.ppo import core_algos

        from basereward_client.adapters.for_verl import grpo_without_failed

        there = torch.tensor([1.0, 3.0, 5.0, 2.0, 8.0, 7.0]).unsqueeze(1)
        groups = numpy.array(["a", "a", "a", "b", "b", "c"], dtype=object)
        failed = torch.tensor([math.nan, math.nan]).unsqueeze(1)
        with_failed = torch.cat([there, failed])
        mask = torch.ones_like(with_failed)
        index = numpy.append(groups, ["a", "d"])
        for norm in (True, False):
            config = AlgoConfig(norm_adv_by_std_in_grpo=norm)
            ours, _ = grpo_without_failed(with_failed, mask, index, config)
            theirs, _ = core_algos.compute_grpo_outcome_advantage(
                there[:5].clone(), mask[:5], groups[:5], norm_adv_by_std_in_grpo=norm
            )
            torch.testing.assert_close(ours[:5], theirs)
            # The only one of its group, and the failed ones.
            self.assertEqual(ours[5:].flatten().tolist(), [0.0, 0.0, 0.0])


if __name__ == "__main__":
    unittest.main()
