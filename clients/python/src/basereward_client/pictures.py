"""Pictures as a request carries them: `data:` URLs of their own bytes.

Files are read here and sent, so that a server needs no access to them. A picture that is in memory is written as PNG, which loses
nothing. Nothing is resized: what the model sees is decided by the server.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping
from typing import Any

from .errors import UnusableRequest

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
# Modes that PNG holds as they are.
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")


def picture_url(picture: Any, server_paths: bool = False) -> str:
    """A picture as text: addresses as they are, everything else as a `data:` URL.

    Takes addresses, paths, bytes, pictures of Pillow, and the mappings that data sets make of them (`bytes`, `path`, `image`, `url`).
    With `server_paths`, a path is one of the server and is sent as it is.
    """
    if isinstance(picture, str) and picture.startswith(("data:", "http://", "https://")):
        return picture
    if isinstance(picture, (str, os.PathLike)):
        path = os.fspath(picture)
        return path if server_paths else _data_url(_read(path))
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return _data_url(bytes(picture))
    if isinstance(picture, Mapping):
        for key in ("bytes", "path", "image", "url"):
            if picture.get(key) is not None:
                return picture_url(picture[key], server_paths)
    if callable(getattr(picture, "save", None)):
        return _data_url(_png(picture))
    raise UnusableRequest(
        f"a picture of type `{type(picture).__name__}` cannot be sent; give a path, bytes, a data: URL or a picture of Pillow"
    )


def _read(path: str) -> bytes:
    path = path[len("file://") :] if path.startswith("file://") else path
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise UnusableRequest(f"the picture `{path}` cannot be read: {error}") from error


def _png(picture: Any) -> bytes:
    out = io.BytesIO()
    try:
        if picture.mode not in _PNG_MODES:
            picture = picture.convert("RGB")
        # The bytes live for one request; a better compression costs more time than it saves.
        picture.save(out, format="PNG", compress_level=1)
    except Exception as error:
        # Pillow decodes late and fails in many ways, each of which means the same here.
        raise UnusableRequest(f"a picture cannot be written as PNG: {error}") from error
    return out.getvalue()


def _data_url(data: bytes) -> str:
    kind = next((kind for start, kind in _SIGNATURES if data.startswith(start)), None)
    if kind is None:
        is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
        kind = "image/webp" if is_webp else "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
