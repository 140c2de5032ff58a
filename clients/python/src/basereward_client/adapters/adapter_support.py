"""What the adapters share: settings from the environment, columns of data sets as samples, and the share of failures that is accepted."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Union

from basereward_client.errors import TooManyFailed
from basereward_client.question import Messages, Response, Sample, has_own_pictures
from basereward_client.replies import Failed

URL_VARIABLE = "BASEREWARD_URL"
KEY_VARIABLE = "BASEREWARD_API_KEY"
TIMEOUT_VARIABLE = "BASEREWARD_TIMEOUT"

logger = logging.getLogger("basereward_client")


def settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a client: `url` (or `urls`), `api_key` and `timeout` as they are given, and otherwise from the environment."""
    urls = given.get("urls") or given.get("url") or os.environ.get(URL_VARIABLE, "")
    urls = [url.strip() for url in urls.split(",")] if isinstance(urls, str) else list(urls)
    urls = [url for url in urls if url]
    if not urls:
        raise ValueError(
            f"no reward server is named; set `{URL_VARIABLE}` to its address, or to several with commas between them"
        )
    timeout = given.get("timeout") or os.environ.get(TIMEOUT_VARIABLE) or 60.0
    return {"urls": urls, "api_key": given.get("api_key") or os.environ.get(KEY_VARIABLE), "timeout": float(timeout)}


def sample(messages: Messages, response: Response, columns: Mapping[str, Any]) -> Sample:
    """A row of a data set with its response. Pictures of `images` or `image` belong to it unless its messages hold their own."""
    if has_own_pictures(messages):
        return Sample(messages, response)
    images = columns.get("images")
    if images is None:
        image = columns.get("image")
        images = [] if image is None else [image]
    return Sample(messages, response, images if isinstance(images, (list, tuple)) else [images])


def check_failures(results: Sequence[Union[float, Failed]], max_failed_share: float) -> int:
    """Number of failures, which are logged. Raises `TooManyFailed` when they are more than is accepted, or all there is."""
    failures = [result for result in results if isinstance(result, Failed)]
    if not failures:
        return 0
    codes = sorted({failure.code for failure in failures})
    words = f"{len(failures)} of {len(results)} rewards failed ({', '.join(codes)}); the first: {failures[0].error}"
    if len(failures) > max_failed_share * len(results) or len(failures) == len(results):
        raise TooManyFailed(words) from failures[0].error
    logger.warning("%s", words)
    return len(failures)
