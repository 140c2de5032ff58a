"""The TRL adapter, driven by TRL's own GRPOTrainer with random policies of a few thousand parameters."""

from __future__ import annotations

import importlib.util
import math
import tempfile
import unittest
from typing import Any, Optional

from adapter_case import BLUE, RED, EmptyingClient, ServedCase
from basereward_client import Client, TooManyFailed
from basereward_client.adapters.for_trl import BaserewardReward

HAS_TRL = importlib.util.find_spec("trl") is not None


class Recorded(BaserewardReward):
    """Remembers what TRL gave it and what it gave back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: list[tuple[Any, Any, dict[str, Any], list[Optional[float]]]] = []

    def __call__(self, prompts: Any, completions: Any, **columns: Any) -> list[Optional[float]]:
        rewards = super().__call__(prompts, completions, **columns)
        self.calls.append((prompts, completions, columns, rewards))
        return rewards


class WithoutTrl(ServedCase):
    """What needs no trainer."""

    def test_plain_and_conversational_prompts_and_both_columns_of_pictures_are_understood(self) -> None:
        function = BaserewardReward(Client(self.server.url))
        question = [{"role": "user", "content": "What color?"}]
        rewards = function(
            prompts=[
                "What color?",
                question,
                question,
                [{"role": "user", "content": [{"type": "image", "image": RED}]}],
            ],
            completions=[
                "Red.",
                [{"role": "assistant", "content": "Red."}],
                [{"role": "assistant", "content": "Red."}],
                "Red.",
            ],
            images=[[RED], [RED], None, [BLUE]],
        )
        self.assertEqual(rewards[0], self.reward("What color?", "Red.", [RED]))
        self.assertEqual(rewards[1], rewards[0])
        self.assertEqual(rewards[2], self.reward("What color?", "Red."))
        own = [{"role": "user", "content": [{"type": "image"}]}]
        self.assertEqual(rewards[3], self.reward(own, "Red.", [RED]))
        self.assertEqual(function(["What color?"], ["Red."], image=[RED]), [rewards[0]])
        self.assertEqual(len(set(rewards)), 3)

    def test_a_run_without_rewards_does_not_go_on(self) -> None:
        function = BaserewardReward(Client(self.server.url), max_failed_share=0.3)
        with self.assertRaises(TooManyFailed):
            function(["a", "a", "a"], ["", "", "b"])
        self.assertEqual(function(["a"] * 4, ["", "b", "b", "b"])[0], None)
        with self.assertRaises(TooManyFailed):
            BaserewardReward(Client("http://127.0.0.1:9", retries=0), max_failed_share=1.0)(["a"], ["b"])


@unittest.skipUnless(HAS_TRL, "trl is not installed")
class Trainer(ServedCase):
    def setUp(self) -> None:
        self.output = tempfile.TemporaryDirectory()
        self.addCleanup(self.output.cleanup)

    def train(self, function: BaserewardReward, model: Any, processor: Any, rows: list[dict[str, Any]]) -> Any:
        from datasets import Dataset
        from trl import GRPOConfig, GRPOTrainer

        config = GRPOConfig(
            output_dir=self.output.name,
            per_device_train_batch_size=4,
            num_generations=4,
            max_completion_length=8,
            max_steps=2,
            logging_steps=1,
            learning_rate=1e-2,
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            seed=1,
        )
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=function,
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=processor,
        )
        trainer.train()
        return trainer

    def text_policy(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

        torch.manual_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(self.folder.path / "model", padding_side="left")
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        config = Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        return Qwen2ForCausalLM(config), tokenizer

    def check_rewards_are_the_servers(self, function: Recorded) -> None:
        self.assertGreaterEqual(len(function.calls), 2)
        for prompts, completions, _, rewards in function.calls:
            for index, reward in enumerate(rewards):
                completion = (
                    completions[index] if isinstance(completions[index], str) else completions[index][0]["content"]
                )
                text = completion if isinstance(completion, str) else completion[0]["text"]
                if reward is not None:
                    self.assertEqual(reward, self.reward(prompts[index], text))

    def test_a_text_policy_is_trained_with_the_servers_rewards(self) -> None:
        import torch

        function = Recorded(Client(self.server.url))
        model, tokenizer = self.text_policy()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        rows = [{"prompt": [{"role": "user", "content": f"What is {index}?"}]} for index in range(4)]
        trainer = self.train(function, model, tokenizer, rows)
        self.check_rewards_are_the_servers(function)
        logs = [log for log in trainer.state.log_history if "rewards/basereward/mean" in log]
        self.assertEqual(len(logs), 2)
        for log, (_, _, _, rewards) in zip(logs, function.calls):
            self.assertAlmostEqual(log["rewards/basereward/mean"], sum(rewards) / len(rewards), places=5)
            self.assertEqual(log["reward_failed"], 0.0)
        after = trainer.model.state_dict()
        self.assertTrue(any(not torch.equal(before[name], after[name].cpu()) for name in before))
        self.assertTrue(all(torch.isfinite(value).all() for value in after.values()))

    def test_a_failed_reward_has_no_advantage_and_does_not_move_the_mean(self) -> None:
        function = Recorded(EmptyingClient(self.server.url))
        model, tokenizer = self.text_policy()
        trainer = self.train(function, model, tokenizer, [{"prompt": f"What is {index}?"} for index in range(4)])
        logs = [log for log in trainer.state.log_history if "rewards/basereward/mean" in log]
        for log, (_, _, _, rewards) in zip(logs, function.calls):
            self.assertIsNone(rewards[1])
            there = [reward for reward in rewards if reward is not None]
            self.assertEqual(len(there), 3)
            self.assertAlmostEqual(log["rewards/basereward/mean"], sum(there) / 3, places=5)
            self.assertEqual(log["reward_failed"], 1.0)
            self.assertTrue(math.isfinite(log["loss"]))
        # TRL keeps those of its last step.
        advantages = list(trainer._logs["advantages"])[-4:]
        self.assertEqual(advantages[1], 0.0)
        self.assertTrue(all(advantage != 0.0 for index, advantage in enumerate(advantages) if index != 1))
        self.assertEqual(function.client.counters.failed, {"empty_response": len(function.calls)})

    def test_a_vision_policy_is_trained_and_the_reward_sees_its_pictures(self) -> None:
        import torch
        from transformers import AutoProcessor, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

        torch.manual_seed(0)
        folder = self.folder.path / "model"
        processor = AutoProcessor.from_pretrained(folder, padding_side="left")
        model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig.from_pretrained(folder))
        function = Recorded(Client(self.server.url))
        rows = [
            {"prompt": [{"role": "user", "content": "What color?"}], "image": {"bytes": data, "path": None}}
            for data in (RED, BLUE)
        ]
        from datasets import Dataset, Image

        dataset = Dataset.from_list(rows).cast_column("image", Image())
        self.train(function, model, processor, [{**row, "image": row["image"].convert("RGB")} for row in dataset])
        self.check_rewards_are_the_servers(function)
        [prompts, completions, columns, rewards] = function.calls[0]
        self.assertIn("image", columns)
        text = completions[0][0]["content"]
        text = text if isinstance(text, str) else text[0]["text"]
        self.assertEqual(rewards[0], self.reward("What color?", text, [columns["image"][0]]))
        self.assertNotEqual(rewards[0], self.reward("What color?", text))


if __name__ == "__main__":
    unittest.main()
