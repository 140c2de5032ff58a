"""Load on a reward server, every reply checked to the last bit against what `basereward score` said before.

Clients keep their connection and ask the prepared questions in an order of their own. The server is started here and
ends with the script. `--peer` gives the same load to another server of the same routes, whose rewards are only
compared for being close. Prints one JSON object. Exit status 1 when a reply was lost, failed or mixed up.
"""

import argparse
import asyncio
import json
import random
import statistics
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from serving import HOST, Running, expected_rewards, percentile, rows_of, running, serve_command, written

ROUTE = "/v1/reward"
TOLERANCE = {"f32": 1e-3, "bf16": 0.5}
"""How far the rewards of a peer may be from ours: rounding, which in bf16 is coarse."""
ROUNDS = 200
"""Requests of each kind in the comparisons of one client, which have no duration of their own."""


@dataclass
class Tally:
    """What the clients saw: for each reply the question's number, seconds, status and body."""

    replies: list[tuple[int, float, int, bytes]] = field(default_factory=list)
    broken: int = 0


def request_bytes(body: dict) -> bytes:
    data = json.dumps(body).encode()
    lines = [
        f"POST {ROUTE} HTTP/1.1",
        f"Host: {HOST}",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + data


async def exchange(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes) -> tuple[int, bytes]:
    reader, writer = connection
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


async def client(number: int, port: int, requests: list[bytes], until: float, tally: Tally) -> None:
    order = random.Random(number)
    connection = await asyncio.open_connection(HOST, port)
    while time.monotonic() < until:
        index = order.randrange(len(requests))
        begin = time.perf_counter()
        try:
            status, body = await exchange(connection, requests[index])
        except (OSError, EOFError, asyncio.IncompleteReadError):
            tally.broken += 1
            connection = await asyncio.open_connection(HOST, port)
            continue
        tally.replies.append((index, time.perf_counter() - begin, status, body))
    connection[1].close()


async def load(port: int, requests: list[bytes], clients: int, seconds: float) -> tuple[Tally, float]:
    tally, begin = Tally(), time.monotonic()
    until = begin + seconds
    await asyncio.gather(*(client(number, port, requests, until, tally) for number in range(clients)))
    return tally, time.monotonic() - begin


def bits(rewards: list[float]) -> bytes:
    """The f32 that JSON numbers stand for."""
    return struct.pack(f"<{len(rewards)}f", *rewards)


def judge(tally: Tally, expected: list[list[float]], tolerance: float | None) -> dict:
    """Counts of what was right and wrong, and the times of what the server says of itself."""
    owners = {bits(rewards): index for index, rewards in enumerate(expected)}
    counts = {"replies": len(tally.replies), "broken_connections": tally.broken, "failed": 0, "wrong": 0, "mixed_up": 0}
    times: dict[str, list[float]] = {"total": [], "queue": [], "compute": [], "overhead": []}
    for index, seconds, status, body in tally.replies:
        reply = json.loads(body)
        if status != 200:
            counts["failed"] += 1
            continue
        rewards = reply["rewards"]
        if tolerance is not None:
            counts["wrong"] += max(abs(a - b) for a, b in zip(rewards, expected[index], strict=True)) > tolerance
        elif bits(rewards) != bits(expected[index]):
            counts["mixed_up" if bits(rewards) in owners else "wrong"] += 1
        times["total"].append(seconds * 1e3)
        if "timings" in reply:
            timings = reply["timings"]
            times["queue"].append(timings["queue_ms"])
            times["compute"].append(timings["compute_ms"])
            times["overhead"].append(seconds * 1e3 - timings["compute_ms"] - timings["queue_ms"])
    quantiles = {
        f"{name}_ms": {f"p{int(share * 100)}": round(percentile(values, share), 3) for share in (0.5, 0.99)}
        for name, values in times.items()
        if values
    }
    return counts | quantiles


def together(port: int, row: dict, fresh: bool) -> dict:
    """One request with all answers against one for each of them sent at once, over a new prompt or a known one.

    Each kind has some hundred requests to itself before it is the other's turn: the server waits for as many requests as came
    together lately, so that a kind would pay for what the other taught it.
    """

    async def rounds() -> dict[str, list[float]]:
        connections = [await asyncio.open_connection(HOST, port) for _ in row["responses"]]
        seconds: dict[str, list[float]] = {"whole": [], "parts": []}
        for turn in range(8 * ROUNDS):
            asked = row | ({"prompt": f"{turn}. {row['prompt']}"} if fresh else {})
            whole, parts = [asked], [asked | {"responses": [text]} for text in row["responses"]]
            name, requests = ("whole", whole) if turn // ROUNDS % 2 else ("parts", parts)
            written = [request_bytes(request) for request in requests]
            begin = time.perf_counter()
            await asyncio.gather(*map(exchange, connections, written))
            seconds[name].append((time.perf_counter() - begin) * 1e3)
        return seconds

    medians = {name: statistics.median(values) for name, values in asyncio.run(rounds()).items()}
    return {f"{name}_ms": round(value, 3) for name, value in medians.items()} | {
        "ratio": round(medians["parts"] / medians["whole"], 3)
    }


def overhead(port: int, row: dict) -> dict:
    """What is not the model's time when one client asks again about a prompt that the server knows."""

    async def rounds() -> list[tuple[float, dict]]:
        connection = await asyncio.open_connection(HOST, port)
        request, seen = request_bytes(row | {"responses": row["responses"][:1]}), []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            _, body = await exchange(connection, request)
            seen.append(((time.perf_counter() - begin) * 1e3, json.loads(body)["timings"]))
        return seen

    seen = asyncio.run(rounds())
    parts = {
        "total": [total for total, _ in seen],
        "without_compute": [total - timings["compute_ms"] for total, timings in seen],
        "without_compute_and_prepare": [
            total - timings["compute_ms"] - timings["prepare_ms"] for total, timings in seen
        ],
        **{name: [timings[f"{name}_ms"] for _, timings in seen] for name in ("queue", "prepare", "compute")},
    }
    return {f"{name}_ms": round(statistics.median(values), 3) for name, values in parts.items()}


def bench(binary: Path, model: Path, rows: list[dict], dtype: str) -> float:
    """Responses a second of `basereward bench score` over one of the rows, which is encoded before."""
    with written(rows[:1]) as file:
        command = [str(binary), "bench", "score", "--model", str(model), "--rows", str(file), "--json"]
        command += ["--responses", str(len(rows[0]["responses"])), "--repeats", str(ROUNDS), "--dtype", dtype]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(finished.stdout)["responses_per_sec"]


def quantile_of(metrics: dict[str, float], name: str, share: float) -> float:
    """Upper bound of the bucket of a histogram of /metrics that holds the quantile."""
    total = metrics[f"basereward_{name}_count"]
    start = f'basereward_{name}_bucket{{le="'
    bounds = [(float(key[len(start) : -2]), count) for key, count in metrics.items() if key.startswith(start)]
    return next((bound for bound, count in sorted(bounds) if count >= share * total), float("inf"))


def measure(server: Running, rows: list[dict], arguments: argparse.Namespace, expected: list[list[float]]) -> dict:
    requests = [request_bytes({key: value for key, value in row.items() if key != "id"}) for row in rows]
    asyncio.run(load(server.port, requests, arguments.clients, arguments.warm_up))
    cpu = server.cpu_seconds()
    tally, seconds = asyncio.run(load(server.port, requests, arguments.clients, arguments.seconds))
    right = sum(status == 200 for _, _, status, _ in tally.replies)
    rates = {
        "seconds": round(seconds, 1),
        "requests_per_second": round(right / seconds, 1),
        "responses_per_second": round(right * arguments.responses / seconds, 1),
        "server_cpus": round((server.cpu_seconds() - cpu) / seconds, 2),
        "peak_mib": server.memory() >> 20,
    }
    return rates | judge(tally, expected, TOLERANCE[arguments.dtype] if arguments.peer else None)


def ours(server: Running, rows: list[dict]) -> dict:
    """What only basereward can be asked."""
    metrics = server.metrics()
    shapes = [{key: value for key, value in row.items() if key != "id"} for row in rows]
    one = shapes[0] | {"responses": [f"{shapes[0]['responses'][0]}{' Yes.' * extra}" for extra in range(8)]}
    names = ("queue_seconds", "prepare_seconds", "compute_seconds", "request_seconds", "batch_requests")
    return {
        "metrics_p99_at_most": {name: quantile_of(metrics, name, 0.99) for name in names},
        "cached_share": round(metrics["basereward_cached_tokens_total"] / metrics["basereward_tokens_total"], 3),
        "new_prompt": together(server.port, one, fresh=True),
        "known_prompt": together(server.port, one, fresh=False),
        "one_client": overhead(server.port, shapes[0]),
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path, help="preference file with pictures, such as the demo's validation.jsonl")
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm-up", type=float, default=3)
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--responses", type=int, default=4)
    parser.add_argument("--dtype", choices=list(TOLERANCE), default="bf16")
    parser.add_argument("--option", action="append", default=[], help="of `serve`: --option=--cache-bytes=0")
    parser.add_argument("--peer", type=Path, help="script of another server, started with this Python")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    rows = rows_of(arguments.rows, arguments.questions, arguments.responses)
    expected = expected_rewards(arguments.binary, arguments.model, rows, arguments.dtype)
    command = serve_command(arguments.binary, arguments.model, "--dtype", arguments.dtype, *arguments.option)
    if arguments.peer:
        command = [sys.executable, str(arguments.peer), str(arguments.model), "--dtype", arguments.dtype]
    with running(command) as server:
        report = measure(server, rows, arguments, expected)
        if not arguments.peer:
            report |= ours(server, rows)
    if not arguments.peer:
        report["bench_responses_per_second"] = round(bench(arguments.binary, arguments.model, rows, arguments.dtype), 1)
        share = report["responses_per_second"] / report["bench_responses_per_second"]
        report["share_of_bench"] = round(share, 3)
    print(json.dumps(report, indent=1))
    sys.exit(any(report[name] for name in ("broken_connections", "failed", "wrong", "mixed_up")))


if __name__ == "__main__":
    main()
