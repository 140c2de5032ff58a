"""OpenRLHF: a reward file. `--reward.remote_url PATH_OF_THIS_FILE`, with the address of the server in `BASEREWARD_URL`.

OpenRLHF hands over text after its chat template. The reward model has a template of its own, so the question must come as messages:
each label is JSON, `{"messages": [...], "images": [...]}` (or `"prompt"` with a text in place of `messages`). The response is what
follows the prompt in the query, without end marks (`BASEREWARD_END_MARKS`, separated by spaces).

OpenRLHF has no mask for a single sample. `BASEREWARD_FAILED` says what becomes of a failed reward:

    stop     (default) it raises; OpenRLHF then has no reward for the sample and the run ends with an error at its update
    filter   it is NaN. Only with --algo.dynamic_filtering_enable, which drops a group whose mean is not inside of its range
             (--algo.dynamic_filtering_range -1000000 1000000 keeps all other groups); without it, NaN would reach the update

Source: openrlhf 0.11, `openrlhf/utils/agent.py`, `openrlhf/trainer/ppo_utils/samples_generator.py`.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
from collections.abc import Sequence
from typing import Any, Union

from basereward_client.adapters.adapter_support import logger, sample, settings
from basereward_client.client import Client
from basereward_client.errors import BaserewardError, UnusableRequest
from basereward_client.question import Sample
from basereward_client.replies import Failed

END_MARKS = "<|im_end|> <|endoftext|> <|eot_id|> <|end_of_text|> </s> <eos> <end_of_turn>"
# A prompt has one of these for a picture, the query as many as the picture has tokens.
PICTURE_TOKENS = re.compile(r"(<\|image_pad\|>)+")


def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any]) -> dict[str, Any]:
    """Rewards of queries, each a prompt with its response."""
    made = [_try_sample(*row) for row in zip(queries, prompts, labels)]
    scored = iter(client().score([one for one in made if isinstance(one, Sample)]))
    results: list[Union[float, Failed]] = [next(scored) if isinstance(one, Sample) else one for one in made]
    failures = [result for result in results if isinstance(result, Failed)]
    if failures and os.environ.get("BASEREWARD_FAILED", "stop") != "filter":
        raise failures[0].error
    for failure in failures:
        logger.warning("a reward failed, and its group is to be filtered out: %s", failure.error)
    rewards = [math.nan if isinstance(result, Failed) else result for result in results]
    failed = [float(isinstance(result, Failed)) for result in results]
    return {"rewards": rewards, "scores": rewards, "extra_logs": {"reward_failed": failed}}


@functools.cache
def client() -> Client:
    """The client of this process, with its counters."""
    return Client(**settings({}))


def _try_sample(query: str, prompt: str, label: Any) -> Union[Sample, Failed]:
    try:
        question = _question(label)
        messages = question.get("messages") or question.get("prompt")
        if not messages:
            raise UnusableRequest(
                "the label has neither `messages` nor `prompt`; the question is needed without a chat template"
            )
        return sample(messages, response_of(query, prompt), question)
    except BaserewardError as error:
        return Failed(error)


def _question(label: Any) -> dict[str, Any]:
    try:
        question = json.loads(label) if isinstance(label, str) else label
    except ValueError:
        question = None
    if not isinstance(question, dict):
        raise UnusableRequest(
            "a label must be a JSON object with `messages` (or `prompt`), and `images` where there are any"
        )
    return question


def response_of(query: str, prompt: str) -> str:
    """What follows the prompt, without end marks."""
    if not query.startswith(prompt):
        query, prompt = (PICTURE_TOKENS.sub(r"\1", text) for text in (query, prompt))
    if not query.startswith(prompt):
        raise UnusableRequest("the query does not begin with its prompt, so the response cannot be told from it")
    response = query[len(prompt) :].rstrip()
    marks = os.environ.get("BASEREWARD_END_MARKS", END_MARKS).split()
    while any(response.endswith(mark) for mark in marks):
        mark = next(mark for mark in marks if response.endswith(mark))
        response = response[: -len(mark)].rstrip()
    return response
