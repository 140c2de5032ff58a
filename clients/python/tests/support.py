"""A real server for tests: the `basereward` binary with a tiny model, on a port that the system chooses."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY_VARIABLE = "BASEREWARD_BINARY"
KEY = "a-key-for-tests"


def binary() -> str:
    """The binary under test."""
    named = os.environ.get(BINARY_VARIABLE)
    path = pathlib.Path(named) if named else ROOT / "target" / "debug" / "basereward"
    if not path.is_file():
        raise FileNotFoundError(
            f"`{path}` is not there; build it with `cargo build -p cli`, or name it in `{BINARY_VARIABLE}`"
        )
    return str(path)


class Folder:
    """A folder with a model, removed at the end."""

    def __init__(self, seed: int = 0) -> None:
        self._temporary = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self._temporary.name)
        self.run("init", "tiny", "-o", "model", "--seed", str(seed))

    def run(self, *arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BASEREWARD_")}
        done = subprocess.run(
            [binary(), *arguments], cwd=self.path, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def scores(self, rows: Sequence[dict[str, object]]) -> list[list[float]]:
        """What `basereward score` gives for rows."""
        (self.path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        lines = self.run("score", "model", "rows.jsonl").splitlines()
        return [json.loads(line)["scores"] for line in lines]

    def remove(self) -> None:
        self._temporary.cleanup()


class Server:
    """A server that runs until `stop`."""

    def __init__(self, folder: Folder, *arguments: str, port: int = 0) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BASEREWARD_")}
        self._process = subprocess.Popen(
            [binary(), "serve", "model", "--port", str(port), *arguments],
            cwd=folder.path,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert " at http" in line, f"no address in `{line}`"
        self.url = line.strip().rsplit(" ", 1)[1]
        self.port = int(self.url.rsplit(":", 1)[1])

    def stop(self, by: int = signal.SIGTERM) -> None:
        self._process.send_signal(by)
        self._process.wait(timeout=30)
        assert self._process.stdout is not None
        self._process.stdout.close()


def png(color: tuple[int, int, int], width: int = 40, height: int = 32) -> bytes:
    """A picture of one color."""
    row = b"\0" + bytes(color) * width
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * height)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
