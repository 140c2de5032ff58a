"""Requests without blocking: over httpx where it is installed, in threads where it is not. Nothing is tried again here."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional, Protocol

from .connections import CONNECT_TIMEOUT_SECONDS, LONGEST_IDLE_SECONDS, Connections
from .errors import NoReply
from .exchange import Reply, Send

try:
    import httpx
except ImportError:
    httpx = None  # type: ignore[assignment]


class AsyncConnections(Protocol):
    """A way to send."""

    async def send(self, send: Send) -> Reply: ...

    async def close(self) -> None: ...


def connect(tls: Optional[ssl.SSLContext], concurrency: int) -> AsyncConnections:
    """The best way to send that is installed."""
    return ThreadConnections(tls, concurrency) if httpx is None else HttpxConnections(tls, concurrency)


class ThreadConnections:
    """Sends in threads."""

    def __init__(self, tls: Optional[ssl.SSLContext], concurrency: int) -> None:
        self._connections = Connections(tls)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="basereward")

    async def send(self, send: Send) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._connections.send, send)

    async def close(self) -> None:
        self._threads.shutdown(wait=False)
        self._connections.close()


class HttpxConnections:
    """Sends over httpx, with connections of its own for each event loop: those of another one cannot be used."""

    def __init__(self, tls: Optional[ssl.SSLContext], concurrency: int) -> None:
        self._tls = tls
        self._limits = httpx.Limits(max_connections=concurrency, keepalive_expiry=LONGEST_IDLE_SECONDS)
        self._of_loops: weakref.WeakKeyDictionary[Any, httpx.AsyncClient] = weakref.WeakKeyDictionary()

    async def send(self, send: Send) -> Reply:
        # Waiting for a free connection is not the fault of a server, so that it has no limit.
        timeout = httpx.Timeout(send.timeout, connect=CONNECT_TIMEOUT_SECONDS, pool=None)
        try:
            response = await self._client().post(
                send.url + send.path, content=send.body, headers=dict(send.headers), timeout=timeout
            )
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise NoReply(f"no reply from `{send.url}`: {error!r}") from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, response.content)

    async def close(self) -> None:
        client = self._of_loops.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._of_loops.get(loop)
        if client is None:
            verify = self._tls or ssl.create_default_context()
            client = self._of_loops[loop] = httpx.AsyncClient(verify=verify, limits=self._limits, trust_env=False)
        return client
