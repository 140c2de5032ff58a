"""Requests over kept connections, with the standard library. Blocks; nothing is tried again here.

Proxies of the environment are not used: a reward server is near.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from typing import Optional
from urllib.parse import urlsplit

from .errors import NoReply
from .exchange import Reply, Send

CONNECT_TIMEOUT_SECONDS = 5.0
# Below the time after which the server closes a connection without requests.
LONGEST_IDLE_SECONDS = 15.0


class Connections:
    """Connections to servers; may be used from many threads, each with a connection of its own while it sends."""

    def __init__(self, tls: Optional[ssl.SSLContext] = None) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        self._idle: dict[str, list[tuple[float, http.client.HTTPConnection]]] = {}

    def send(self, send: Send) -> Reply:
        """Raises `NoReply` when there is none."""
        kept = self._take(send.url)
        if kept is not None:
            try:
                return self._try(kept, send)
            except NoReply as error:
                # The server may have closed it meanwhile, which says nothing of the request.
                if not isinstance(error.__cause__, (ConnectionError, http.client.BadStatusLine)):
                    raise
        return self._try(self._connect(send), send)

    def close(self) -> None:
        """Closes what is idle."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for _, connection in connections:
                connection.close()

    def _take(self, url: str) -> Optional[http.client.HTTPConnection]:
        oldest = time.monotonic() - LONGEST_IDLE_SECONDS
        with self._lock:
            idle = self._idle.get(url, [])
            while idle:
                since, connection = idle.pop()
                if since >= oldest:
                    return connection
                connection.close()
        return None

    def _connect(self, send: Send) -> http.client.HTTPConnection:
        parts = urlsplit(send.url)
        host = parts.hostname or ""
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            tls = self._tls or ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, parts.port, timeout=CONNECT_TIMEOUT_SECONDS, context=tls)
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=CONNECT_TIMEOUT_SECONDS)
        try:
            connection.connect()
        except (OSError, ValueError) as error:
            connection.close()
            raise NoReply(f"cannot connect to `{send.url}`: {error!r}") from error
        return connection

    def _try(self, connection: http.client.HTTPConnection, send: Send) -> Reply:
        try:
            return self._send_on(connection, send)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise NoReply(f"no reply from `{send.url}`: {error!r}") from error

    def _send_on(self, connection: http.client.HTTPConnection, send: Send) -> Reply:
        assert connection.sock is not None, "a connection is connected before it is used"
        connection.sock.settimeout(send.timeout)
        connection.request("POST", urlsplit(send.url).path + send.path, send.body, dict(send.headers))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        reply = Reply(response.status, headers, response.read())
        if response.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.setdefault(send.url, []).append((time.monotonic(), connection))
        return reply
