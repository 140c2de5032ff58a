"""What is asked: a question with its pictures, in the words of the server, and the key of its group.

The server checks what the words mean. Here only what it cannot know is done: pictures become text, and keys that data sets fill with
nothing are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from .errors import UnusableRequest
from .pictures import picture_url

Messages = Union[str, Sequence[Mapping[str, Any]]]
Response = Union[str, Mapping[str, Any], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Sample:
    """One response to one question."""

    messages: Messages
    response: Response
    images: Sequence[Any] = ()


@dataclass(frozen=True)
class Question:
    """A question that is ready to be sent. Questions with the same key have the same text and the same pictures."""

    fields: dict[str, Any]
    key: str

    @classmethod
    def of(cls, messages: Messages, images: Iterable[Any] = (), server_paths: bool = False) -> Question:
        """Raises `UnusableRequest` for a picture or a value that cannot be sent."""
        fields: dict[str, Any] = {}
        if isinstance(messages, str):
            fields["prompt"] = messages
        else:
            fields["messages"] = [_message(message, server_paths) for message in messages]
        listed = [picture_url(image, server_paths) for image in images]
        if listed:
            fields["images"] = listed
        return cls(fields, hashlib.sha256(to_json(fields)).hexdigest())


def response_fields(response: Response) -> Any:
    """A response in the words of the server."""
    if isinstance(response, str):
        return response
    if isinstance(response, Mapping):
        return _message(response, False)
    messages = [_message(message, False) for message in response]
    return messages[0] if len(messages) == 1 else messages


def has_own_pictures(messages: Messages) -> bool:
    """Whether a part of the messages holds a picture by itself."""
    if isinstance(messages, str):
        return False
    return any(_names_picture(part) for message in messages for part in _parts(message))


def to_json(value: Any) -> bytes:
    """JSON with one way of writing a value. Raises `UnusableRequest` for what JSON does not know."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError) as error:
        raise UnusableRequest(f"the request cannot be written as JSON: {error}") from error


def _names_picture(part: Any) -> bool:
    return isinstance(part, Mapping) and any(
        part.get(key) is not None for key in ("image", "image_url", "bytes", "path")
    )


def _message(message: Mapping[str, Any], server_paths: bool) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise UnusableRequest(f"a message is a mapping with `role` and `content`, not a `{type(message).__name__}`")
    fields = _filled(message)
    if _is_list(fields.get("content")):
        fields["content"] = [_part(part, server_paths) for part in fields["content"]]
    return fields


def _part(part: Any, server_paths: bool) -> Any:
    if not isinstance(part, Mapping):
        raise UnusableRequest(f"a part of a message is a mapping with `type`, not a `{type(part).__name__}`")
    fields = _filled(part)
    if fields.get("type") == "image_url" and "image_url" in fields:
        url = fields["image_url"]
        url = url.get("url") if isinstance(url, Mapping) else url
        fields["image_url"] = {"url": picture_url(url, server_paths)}
    elif fields.get("type") == "image" and _names_picture(fields):
        # Data sets may spread a picture's `bytes` and `path` over its part.
        return {"type": "image", "image": picture_url(fields.get("image", fields), server_paths)}
    return fields


def _filled(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Tables give every row the keys of all rows, empty where they do not belong."""
    return {key: value for key, value in mapping.items() if value is not None}


def _parts(message: Mapping[str, Any]) -> Sequence[Any]:
    content = message.get("content")
    return content if content is not None and _is_list(content) else ()


def _is_list(content: Any) -> bool:
    return isinstance(content, Sequence) and not isinstance(content, (str, bytes))
