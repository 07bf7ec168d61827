"""A reverse proxy that lets one path through, as in front of a shared server, and keeps what else
was asked of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cpart_core.bench.harness.app_server import free_port

MOST_HEAD = 65_536
"""Bytes before the blank line that ends a request's head."""


@contextmanager
def lets_through(path: str, port: int) -> Iterator[tuple[str, list[str]]]:
    """(address, paths that were refused) while everything below `path` goes to the server at
    `port`, a connection a request."""
    refused: list[str] = []
    with socket.create_server(("127.0.0.1", free_port())) as door:

        def serve() -> None:
            with suppress(OSError):  # the door was closed
                while True:
                    visitor, _ = door.accept()
                    threading.Thread(
                        target=pass_on, args=(visitor, path, port, refused), daemon=True
                    ).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}", refused


def pass_on(visitor: socket.socket, path: str, port: int, refused: list[str]) -> None:
    """One request and its answer, or one websocket."""
    with visitor, suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MOST_HEAD:
            more = visitor.recv(MOST_HEAD)
            if not more:
                return
            head += more
        asked = head.split(b" ", 2)[1].decode("latin-1")
        if not (asked == path or asked.startswith((f"{path}/", f"{path}?"))):
            refused.append(asked)
            visitor.sendall(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            return
        if b"upgrade: websocket" not in head.lower():
            head = head.replace(b"Connection: keep-alive", b"Connection: close", 1)
        with socket.create_connection(("127.0.0.1", port)) as server:
            server.sendall(head)
            threading.Thread(target=pour, args=(visitor, server), daemon=True).start()
            pour(server, visitor)


def pour(start: socket.socket, end: socket.socket) -> None:
    with suppress(OSError):
        while data := start.recv(MOST_HEAD):
            end.sendall(data)
        end.shutdown(socket.SHUT_WR)
