"""Kept connections against servers that behave badly."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import unittest
from collections.abc import Callable, Iterator

from basereward_client import NoReply, connections_async
from basereward_client.connections import Connections
from basereward_client.exchange import Reply, Send

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name: value\r\n\r\n{}"


@contextlib.contextmanager
def server(replies: list[list[bytes]]) -> Iterator[str]:
    """The address of a server that gives each connection its replies in turn and then says nothing; an empty reply closes."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        for of_connection in replies:
            connection, _ = listener.accept()
            threading.Thread(target=talk, args=(connection, of_connection), daemon=True).start()

    def talk(connection: socket.socket, of_connection: list[bytes]) -> None:
        with connection:
            for reply in of_connection:
                received = b""
                while not received.endswith(b"\r\n\r\n{}"):
                    part = connection.recv(65536)
                    if not part:
                        return
                    received += part
                if not reply:
                    return
                connection.sendall(reply)
            done.wait(10)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        done.set()
        listener.close()


def request(url: str) -> Send:
    return Send(url, "/v1/reward", {"Content-Type": "application/json"}, b"{}", timeout=0.3)


class Kept(unittest.TestCase):
    def senders(self) -> Iterator[Callable[[Send], Reply]]:
        blocking = Connections()
        yield blocking.send
        blocking.close()
        loop = asyncio.new_event_loop()
        for connections in (connections_async.ThreadConnections(None, 2), connections_async.connect(None, 2)):
            yield lambda send, connections=connections: loop.run_until_complete(connections.send(send))
            loop.run_until_complete(connections.close())
        loop.close()

    def test_a_connection_is_used_again(self) -> None:
        for send in self.senders():
            with server([[GOOD, GOOD]]) as url:
                first, second = send(request(url)), send(request(url))
                self.assertEqual((first, first.headers["x-name"]), (second, "value"))

    def test_a_kept_connection_that_the_server_closed_is_replaced(self) -> None:
        blocking = Connections()
        with server([[GOOD, b""], [GOOD]]) as url:
            self.assertEqual(blocking.send(request(url)), blocking.send(request(url)))
        blocking.close()

    def test_silence_and_half_a_reply_are_no_reply_on_fresh_and_on_kept_connections(self) -> None:
        for send in self.senders():
            for bad in ([], [GOOD[:-1]], [b""], [b"SSH-2.0-hello\r\n"]):
                with server([bad]) as url, self.assertRaises(NoReply):
                    send(request(url))
            with server([[GOOD]]) as url:
                send(request(url))
                with self.assertRaises(NoReply):
                    send(request(url))

    def test_nobody_there_is_no_reply(self) -> None:
        for send in self.senders():
            with server([]) as url:
                pass
            with self.assertRaises(NoReply):
                send(request(url))


if __name__ == "__main__":
    unittest.main()
