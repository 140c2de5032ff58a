"""What a reward server must survive: nonsense, floods, and ends without a word.

Every fault is a function that does harm and says what it saw. After each one the server must still be there, give the
same bits as before, and have stayed within `--memory` bytes. Prints one JSON line for each; exit status 1 when one
failed. Standard library only; the server is started here.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import struct
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from fuzzing import bodies, broken, operations
from serving import HOST, Running, data_url, rows_of, running, serve_command, start

CONNECTIONS = 10_000
PATIENCE = 90
"""Seconds after which a reply that has not come counts as a hang."""


class Failed(Exception):
    """The server did what it must not."""


def code_of(status: int, body: bytes) -> str:
    """The stable code of a refusal, which is always JSON."""
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        raise Failed(f"status {status} with a body that names no code: {body[:200]!r}") from None
    if status >= 500 and status not in (503, 504):
        raise Failed(f"status {status}: {body[:300]!r}")
    return f"{status} {code}"


def refused(server: Running, path: str, body: object, headers: dict | None = None) -> str:
    connection = server.connect(PATIENCE)
    try:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, data, {"Content-Type": "application/json"} | (headers or {}))
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    return "200" if response.status == 200 else code_of(response.status, answer)


def raw(server: Running, data: bytes, wait: float = 5) -> bytes:
    """What comes back for these bytes."""
    with socket.create_connection((HOST, server.port), timeout=wait) as stream:
        try:
            stream.sendall(data)
            return stream.recv(1 << 16)
        except OSError:
            return b""


def head(length: int | None, path: str = "/v1/reward") -> bytes:
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{framing}\r\n\r\n".encode()


def png(width: int, height: int) -> bytes:
    """A picture of one color, very small for its size."""
    packer = zlib.compressobj(9)
    line = bytes(1 + (width + 7) // 8)
    pixels = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)), (b"IDAT", pixels), (b"IEND", b"")]
    sealed = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(sealed)


def malformed_json(server: Running, _: dict) -> object:
    seen = Counter()
    for method, path, _example in operations(server):
        if method == "POST":
            seen.update(refused(server, path, body) for body in broken())
    if "200" in seen:
        raise Failed("something that is no JSON was taken")
    return seen


def wrong_content_types(server: Running, row: dict) -> object:
    kinds = [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "",
        "image/png",
        "\xff",
    ]
    seen = Counter(
        refused(server, path, row, {"Content-Type": kind})
        for _, path, _e in operations(server, "POST")
        for kind in kinds
    )
    if set(seen) != {"415 unsupported_media_type"}:
        raise Failed(f"content types: {seen}")
    return seen


def no_http(server: Running, _: dict) -> object:
    chance = random.Random(0)
    attempts = [chance.randbytes(chance.randrange(1, 4096)) for _ in range(50)]
    attempts += [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\n\r\n",
    ]
    attempts += [
        b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(5000)) + b"\r\n",
        b"POST /v1/reward HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ]
    attempts += [
        b"POST /v1/reward HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ]
    return Counter(raw(server, data, 1)[9:12].decode(errors="replace") or "closed" for data in attempts)


def huge_bodies(server: Running, row: dict) -> object:
    """Bodies over the limit, announced and not, and base64 just below it."""
    inside = {**row, "images": [f"data:image/png;base64,{'A' * (31 << 20)}"]}
    endless = head(None) + b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
    with socket.create_connection((HOST, server.port), timeout=PATIENCE) as stream:
        answer = b""
        try:
            stream.sendall(endless)
            for _ in range(64):
                stream.sendall(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
        except OSError:
            pass
        try:
            answer = stream.recv(1 << 16)
        except OSError:
            answer = b"closed"
    return {
        "announced 4 GiB": raw(server, head(4 << 30))[9:12].decode(),
        "announced more than fits a number": raw(server, head(10**30))[9:12].decode(),
        "endless": answer[:15].decode(),
        "31 MiB of base64": refused(server, "/v1/reward", inside),
        "eight of them at once": Counter(at_once(8, lambda: refused(server, "/v1/reward", inside))),
    }


def at_once(count: int, call: Callable[[], str]) -> list[str]:
    seen: list[str] = []

    def guarded() -> None:
        try:
            seen.append(call())
        except (OSError, Failed) as error:
            seen.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def bombs(server: Running, row: dict) -> object:
    """Small files of enormous pictures: over the limit of pixels, just below it, and several of those at once."""
    seen = {
        f"{side} x {side}": refused(server, "/v1/reward", {**row, "images": [data_url(png(side, side))]})
        for side in (8000, 30_000)
    }
    seen["65535 x 65535, only its head"] = refused(
        server, "/v1/reward", {**row, "images": [data_url(lying_png(65_535))]}
    )
    just_below = data_url(png(7000, 7000))
    several = {**row, "images": [just_below] * 4, "timeout_ms": PATIENCE * 1000}
    seen["four of 7000 x 7000, four times at once"] = Counter(
        at_once(4, lambda: refused(server, "/v1/reward", several))
    )
    return seen


def lying_png(side: int) -> bytes:
    """A picture that promises more than it holds."""
    small = png(8, 8)
    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    return small[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + small[33:]


def largest_picture(server: Running, row: dict) -> object:
    """As much work as one small request can make, the largest picture that is taken, and one beyond it."""
    return {f"{side} x {side}": beside(server, row, side) for side in (1792, 7000)}


def beside(server: Running, row: dict, side: int) -> dict:
    """What becomes of a picture and of an honest request that comes after it."""
    answers: list[str] = []
    heavy = {**row, "images": [data_url(png(side, side))]}
    begin = time.monotonic()
    worker = threading.Thread(target=lambda: answers.extend(at_once(1, lambda: refused(server, "/v1/reward", heavy))))
    worker.start()
    time.sleep(1)
    asked = time.monotonic()
    honest = refused(server, "/v1/reward", row)
    waited = time.monotonic() - asked
    worker.join()
    if honest != "200":
        raise Failed(f"an honest request got {honest} beside a picture of {side} x {side}")
    return {"it": answers, "it_s": round(time.monotonic() - begin, 1), "honest_s": round(waited, 1)}


def fuzzed(server: Running, row: dict) -> object:
    """Random bodies for every route of the document."""
    chance, seen, count = random.Random(0), Counter(), 0
    for _, path, example in operations(server, "POST"):
        for body in bodies(chance, example or row, 150):
            seen[refused(server, path, body)] += 1
            count += 1
    return {"requests": count, "seen": seen}


def methods(server: Running, _: dict) -> object:
    """Every method on every route, and routes that there are not."""
    seen = Counter()
    paths = [path for _, path, _ in operations(server)] + ["/", "/nothing", "/v1/../etc/passwd", "/%00", "/v1/reward/"]
    for path in paths:
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            status, body = server.ask(method, path)
            seen["200" if status == 200 else code_of(status, body)] += 1
    return seen


def disconnected(server: Running, row: dict) -> object:
    """Clients that go with half a body sent, or before their reply."""
    data = json.dumps(row).encode()
    chance, before = random.Random(0), server.metrics()
    for turn in range(400):
        with socket.create_connection((HOST, server.port)) as stream:
            stream.sendall(head(len(data)) + (data if turn % 2 else data[: len(data) // 2]))
            time.sleep(chance.choice([0, 0.001, 0.003]))
            # Closed with a reset, so that the server cannot take it for an end of sending.
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    settled(server)
    after = server.metrics()
    return {
        name: after.get(name, 0) - before.get(name, 0)
        for name in ("basereward_abandoned_total", "basereward_rewards_total")
    }


def settled(server: Running) -> None:
    """Waits until nobody but this question is connected."""
    end = time.monotonic() + PATIENCE
    while server.metrics()["basereward_connections"] > 1:
        if time.monotonic() > end:
            raise Failed("connections are left that nobody holds")
        time.sleep(0.1)


def slow(server: Running, row: dict) -> object:
    """Heads and bodies that come a byte at a time. The server's patience of 30 s is over before theirs."""
    data = json.dumps(row).encode()
    begin, ended = time.monotonic(), Counter()

    async def drip(text: bytes, first: bytes) -> None:
        reader, writer = await asyncio.open_connection(HOST, server.port)
        writer.write(first)
        answer = asyncio.create_task(reader.read(1 << 16))
        for byte in text:
            writer.write(bytes([byte]))
            done, _ = await asyncio.wait([answer], timeout=1)
            if done:
                break
        try:
            ended[(await answer)[9:12].decode() or "closed"] += 1
        except OSError:
            ended["closed"] += 1
        writer.close()

    async def all_of_them() -> float:
        drips = [drip(head(len(data))[:70], b"") for _ in range(150)] + [
            drip(data[:70], head(len(data))) for _ in range(150)
        ]
        task = asyncio.gather(*drips)
        await asyncio.sleep(5)
        asked = time.monotonic()
        await asyncio.to_thread(server.ask, "POST", "/v1/reward", row)
        meanwhile = time.monotonic() - asked
        await asyncio.wait_for(task, PATIENCE)
        return meanwhile

    meanwhile = asyncio.run(all_of_them())
    return {
        "ended": ended,
        "after_s": round(time.monotonic() - begin, 1),
        "reply_meanwhile_ms": round(meanwhile * 1e3, 1),
    }


def many_connections(server: Running, row: dict) -> object:
    """As many open connections as the system gives, and one honest request among them."""
    held: list[socket.socket] = []
    try:
        for _ in range(CONNECTIONS):
            stream = socket.socket()
            stream.setblocking(False)
            stream.connect_ex((HOST, server.port))
            held.append(stream)
    except OSError:
        pass
    try:
        # The system connects those that it first had no room for in a second attempt.
        time.sleep(5)
        begin = time.monotonic()
        status, _ = server.ask("POST", "/v1/reward", row, timeout=PATIENCE)
        waited = time.monotonic() - begin
        connected = server.metrics()["basereward_connections"]
    finally:
        for stream in held:
            stream.close()
    begin = time.monotonic()
    settled(server)
    return {
        "opened": len(held),
        "open_after": connected,
        "status": status,
        "waited_s": round(waited, 2),
        "settled_s": round(time.monotonic() - begin, 2),
    }


FAULTS = [
    malformed_json,
    wrong_content_types,
    methods,
    no_http,
    fuzzed,
    huge_bodies,
    bombs,
    disconnected,
    slow,
    many_connections,
    largest_picture,
]


def rewards(server: Running, row: dict) -> list[float]:
    status, body = server.ask("POST", "/v1/reward", row, timeout=PATIENCE)
    if status != 200:
        raise Failed(f"an honest request got {status}: {body[:200]!r}")
    return json.loads(body)["rewards"]


def killed(command: list[str], row: dict, expected: list[float]) -> object:
    """Ends in the middle of work: at once, and by SIGTERM, after which what has begun is finished."""
    return {sent.name: ended(command, row, expected, sent) for sent in (signal.SIGKILL, signal.SIGTERM)}


def ended(command: list[str], row: dict, expected: list[float], sent: signal.Signals) -> dict:
    server, replies = start(command), []
    worker = threading.Thread(target=lambda: replies.extend(at_once(16, lambda: refused(server, "/v1/reward", row))))
    worker.start()
    time.sleep(0.02)
    os.kill(server.process.pid, sent)
    status = server.process.wait(PATIENCE)
    worker.join()
    begin = time.monotonic()
    with running([*command[:4], str(server.port), *command[5:]]) as again:
        if rewards(again, row) != expected:
            raise Failed("other rewards after a restart")
    counts = Counter(reply.split(":")[0] for reply in replies)
    return {"exit": status, "replies": counts, "again_after_s": round(time.monotonic() - begin, 2)}


def outcomes(server: Running, row: dict, expected: list[float], limit: int, only: list[str]) -> Iterator[dict]:
    for fault in FAULTS:
        if only and fault.__name__ not in only:
            continue
        begin, report = time.monotonic(), {"fault": fault.__name__, "ok": True}
        try:
            report["seen"] = fault(server, row)
            if rewards(server, row) != expected:
                raise Failed("other rewards than before")
            if server.memory() > limit:
                raise Failed("too much memory")
        except (Failed, OSError) as error:
            report |= {"ok": False, "error": f"{type(error).__name__}: {error}"}
        if server.process.poll() is not None:
            yield report | {"ok": False, "error": f"the server is gone with status {server.process.returncode}"}
            return
        yield report | {"seconds": round(time.monotonic() - begin, 1), "peak_mib": server.memory() >> 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path, help="preference file with pictures, such as the demo's validation.jsonl")
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--memory", type=int, default=3 << 30, help="bytes that the server may use")
    parser.add_argument("--only", action="append", default=[], help="name of a fault; may be repeated")
    arguments = parser.parse_args()
    row = {key: value for key, value in rows_of(arguments.rows, 1, 4)[0].items() if key != "id"}
    command = serve_command(arguments.binary, arguments.model)
    good = True
    with running(command) as server:
        expected = rewards(server, row)
        for report in outcomes(server, row, expected, arguments.memory, arguments.only):
            good &= report["ok"]
            print(json.dumps(report), flush=True)
    if not arguments.only or "killed" in arguments.only:
        try:
            print(json.dumps({"fault": "killed", "ok": True, "seen": killed(command, row, expected)}))
        except Failed as error:
            good = False
            print(json.dumps({"fault": "killed", "ok": False, "error": str(error)}))
    sys.exit(not good)


if __name__ == "__main__":
    main()
