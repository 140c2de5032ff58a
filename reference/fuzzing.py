"""Bodies that nobody should send: the document's examples with random changes, and texts that are no JSON."""

import copy
import json
import random
from collections.abc import Iterator

from serving import Running

ODD = [
    None, True, -1, 0, 10**30, 1e308, "", "x", "\x00", "😀" * 50, "<image>", "<|im_end|>", "<|image_pad|>", [], {}, [[]],
    "data:,", "data:image/png;base64,", "data:image/png;base64,////", "file:///etc/passwd", "/etc/passwd", "../x",
    "http://127.0.0.1/", [None], {"role": "user"}, {"type": "image"}, {"type": "text", "text": ""}, ["x"] * 100, "x" * 100_000,
]  # fmt: skip


def operations(server: Running, only: str | None = None) -> Iterator[tuple[str, str, dict | None]]:
    """Method, path and an example of each operation of the OpenAPI document."""
    document = json.loads(server.ask("GET", "/openapi.json")[1])
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if only in (None, method.upper()):
                yield method.upper(), path.replace("{name}", "model"), example(operation)


def example(operation: dict) -> dict | None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    several = [one["value"] for one in content.get("examples", {}).values()]
    return content.get("example") or (several[0] if several else None)


def bodies(chance: random.Random, start: dict, count: int) -> Iterator[bytes]:
    """Changed copies of a body; one in five is damaged as text, too."""
    for _ in range(count):
        body = copy.deepcopy(start)
        for _ in range(chance.randrange(1, 4)):
            change(chance, body)
        text = json.dumps(body).encode()
        yield damaged(chance, text) if chance.random() < 0.2 else text


def change(chance: random.Random, body: dict) -> None:
    """Replaces, removes, repeats or adds something anywhere inside."""
    places = list(containers(body))
    place = chance.choice(places)
    keys = list(place) if isinstance(place, dict) else list(range(len(place)))
    kind = chance.randrange(4) if keys else 3
    if kind == 0:
        del place[chance.choice(keys)]
    elif kind == 1 and isinstance(place, list):
        place.extend(copy.deepcopy(place))
    elif kind == 3 and isinstance(place, dict):
        place[chance.choice(["images", "messages", "model", "timeout_ms", "videos", "x", ""])] = copy.deepcopy(
            chance.choice(ODD)
        )
    elif keys:
        place[chance.choice(keys)] = copy.deepcopy(chance.choice(ODD))


def containers(value: object) -> Iterator[dict | list]:
    if isinstance(value, (dict, list)):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from containers(inner)


def damaged(chance: random.Random, text: bytes) -> bytes:
    at = chance.randrange(len(text))
    return chance.choice([text[:at], text[:at] + chance.randbytes(3) + text[at:], text[:at] + text[at + 1 :]])


def broken() -> list[bytes]:
    """Texts that are no JSON, or no object."""
    return [
        b"", b"{", b"}", b"null", b"[]", b'"x"', b"7", b"\xff\xfe", b"{\"prompt\": \"\\ud800\"}", b"NaN", b'{"a": 1e999}',
        b"[" * 100_000, b'{"a":' * 100_000, b"{" + b'"x":1,' * 100_000, b'{"prompt":"p"} {', b"\x00" * 100,
    ]  # fmt: skip
