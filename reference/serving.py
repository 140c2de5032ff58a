"""What the scripts about `basereward serve` share: a server as a child process, its memory, questions, and percentiles.

Standard library only. Nothing is measured or judged here.
"""

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

HOST = "127.0.0.1"


@dataclass
class Running:
    """A server that was started here."""

    process: subprocess.Popen
    port: int

    def memory(self, field: str = "VmHWM") -> int:
        """Bytes of a line of /proc/PID/status; `VmHWM` is the peak of resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024

    def cpu_seconds(self) -> float:
        """Processor time of all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connect(self, timeout: float = 60) -> HTTPConnection:
        return HTTPConnection(HOST, self.port, timeout=timeout)

    def ask(self, method: str, path: str, body: object = None, timeout: float = 60) -> tuple[int, bytes]:
        """One request over a connection of its own; a body that is not bytes is sent as JSON."""
        connection = self.connect(timeout)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": "application/json"} if data is not None else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Every line of /metrics by its name and labels."""
        _, text = self.ask("GET", "/metrics")
        lines = [line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def kill(self) -> None:
        """Ends it at once, without a chance to finish anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def start(command: list[str]) -> Running:
    """Starts a server that says its address in its first line of standard output."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    found = re.search(r"://[^:]+:(\d+)", line)
    if not found:
        process.kill()
        raise RuntimeError(f"`{' '.join(command)}` did not start: {line}{process.stderr.read()}")
    return Running(process, int(found[1]))


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[Running]:
    """A server for as long as the block lasts."""
    server = start(command)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def serve_command(binary: Path, model: Path, *options: str) -> list[str]:
    return [str(binary), "serve", str(model), "--port", "0", *options]


def rows_of(file: Path, count: int, responses: int) -> list[dict]:
    """Questions of the first rows of a preference file, pictures as data: URLs.

    Each has exactly `responses` different answers; one that has fewer of its own repeats them with words behind.
    """
    rows = []
    for line in file.read_text().splitlines():
        row = json.loads(line)
        texts = row["responses"]
        images = [data_url((file.parent / path).read_bytes()) for path in row["images"]]
        answers = [f"{texts[index % len(texts)]}{' Yes.' * (index // len(texts))}" for index in range(responses)]
        rows.append({"id": str(len(rows)), "images": images, "prompt": row["prompt"], "responses": answers})
        if len(rows) == count:
            return rows
    raise ValueError(f"`{file}` has only {len(rows)} rows of the {count} that are asked for")


def data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


@contextlib.contextmanager
def written(rows: list[dict]) -> Iterator[Path]:
    """Rows as a file for the block."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        yield file


def expected_rewards(binary: Path, model: Path, rows: list[dict], dtype: str) -> list[list[float]]:
    """What `basereward score` says of the rows."""
    with written(rows) as file:
        command = [str(binary), "score", str(model), str(file), "--dtype", dtype]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line)["scores"] for line in finished.stdout.splitlines()]


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
