"""The ms-swift adapter, found and called by ms-swift's own code, up to the advantages."""

from __future__ import annotations

import importlib
import importlib.util
import unittest
from typing import Any

from adapter_case import BLUE, RED, EmptyingClient, ServedCase
from basereward_client import TooManyFailed

HAS_SWIFT = importlib.util.find_spec("swift") is not None


@unittest.skipUnless(HAS_SWIFT, "ms-swift is not installed")
class Swift(ServedCase):
    def samples(self) -> list[Any]:
        from swift.rl_core.data import GRPOSample

        def sample(index: int) -> Any:
            messages = [
                {"role": "user", "content": "<image>What color?"},
                {"role": "assistant", "content": f"answer {index}"},
            ]
            picture = {"bytes": RED if index < 4 else BLUE, "path": None}
            return GRPOSample(messages=messages, images=[picture], prompt_id=str(index // 4), request_id=str(index))

        return [sample(index) for index in range(8)]

    def compute(self, name: str, client: Any = None) -> Any:
        import torch
        from swift.rewards import orms
        from swift.rl_core.grpo_algorithm import compute_rewards_per_func

        importlib.import_module("basereward_client.adapters.for_ms_swift")
        reward = orms[name](args=None)
        if client is not None:
            getattr(reward, "_blocking", reward).client = client
        return compute_rewards_per_func(self.samples(), [reward], [None], torch.device("cpu"))

    def test_the_plugin_is_found_by_its_file(self) -> None:
        from swift.rewards import orms
        from swift.utils import import_external_file

        from basereward_client.adapters import for_ms_swift

        orms.pop("basereward")
        import_external_file(for_ms_swift.__file__)
        self.assertIn("basereward", orms)

    def test_rewards_are_the_servers_for_both_kinds(self) -> None:
        expected = [
            self.reward("<image>What color?", f"answer {index}", [RED if index < 4 else BLUE]) for index in range(8)
        ]
        import torch

        for name in ("basereward", "async_basereward"):
            self.assertTrue(torch.equal(self.compute(name).flatten(), torch.tensor(expected)))

    def test_a_failed_reward_has_no_advantage_and_does_not_move_its_group(self) -> None:
        import torch
        from swift.rl_core.advantage import compute_advantages

        rewards = self.compute("basereward", EmptyingClient(self.server.url))
        there = rewards[[0, 2, 3], 0]
        self.assertAlmostEqual(rewards[1, 0].item(), there.mean().item(), places=6)
        self.assertNotEqual(rewards[1, 0].item(), 0.0)
        advantages, _ = compute_advantages(rewards, torch.ones(1), 4, scale_rewards="none")
        self.assertAlmostEqual(advantages[1].item(), 0.0, places=6)
        torch.testing.assert_close(advantages[[0, 2, 3]], there - there.mean())

    def test_a_step_without_rewards_ends(self) -> None:
        client = EmptyingClient(self.server.url)
        client.emptied = tuple(range(8))
        with self.assertRaises(TooManyFailed):
            self.compute("basereward", client)

    def test_a_group_without_rewards_gets_one_value(self) -> None:
        from basereward_client import Failed, NoReply
        from basereward_client.adapters.for_ms_swift import fill_with_group_mean

        failed = Failed(NoReply("gone"))
        filled = fill_with_group_mean([failed, failed, 1.0, failed, 4.0], ["a", "a", "b", "b", "c"])
        self.assertEqual(filled, [2.5, 2.5, 1.0, 1.0, 4.0])


if __name__ == "__main__":
    unittest.main()
