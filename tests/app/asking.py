"""Asks an ASGI application as a server would, without a server: tests of middleware are a few lines
each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """What came back: of a request its status, headers and body; of a websocket all messages."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """Of a websocket."""
        return bool(self.messages) and self.messages[0]["type"] == "websocket.accept"


def ask(
    app,
    path: str = "/",
    method: str = "GET",
    kind: str = "http",
    chunks=(),
    peer: str = "127.0.0.1",
    **headers: str,
) -> Answer:
    """One request or (kind "websocket") one connection that sends `chunks` and closes. Headers by
    name, `_` for `-`; a tuple repeats one.

    A chunk is bytes, or an async function that gives them later.
    """
    given = {
        "host": "127.0.0.1:8501",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    pairs = [
        (name.encode(), one.encode("latin-1"))
        for name, value in given.items()
        if value is not None
        for one in (value if isinstance(value, tuple) else (value,))
    ]
    scope = {
        "type": kind,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": pairs,
    }
    scope |= {
        "scheme": "http",
        "client": (peer, 50000),
        "server": ("127.0.0.1", 8501),
        "method": method,
        "subprotocols": [],
    }
    return asyncio.run(exchange(app, scope, list(chunks)))


async def exchange(app, scope: dict[str, Any], chunks: list[Any]) -> Answer:
    answer = Answer()
    opened = False

    async def receive() -> dict[str, Any]:
        nonlocal opened
        if scope["type"] == "websocket" and not opened:
            opened = True
            return {"type": "websocket.connect"}
        if not chunks:
            closed = (
                {"type": "websocket.disconnect", "code": 1001}
                if scope["type"] == "websocket"
                else None
            )
            return closed or {"type": "http.request", "body": b"", "more_body": False}
        chunk = chunks.pop(0)
        data = chunk if isinstance(chunk, bytes) else await chunk()
        if scope["type"] == "websocket":
            return {"type": "websocket.receive", "bytes": data}
        return {"type": "http.request", "body": data, "more_body": bool(chunks)}

    async def send(message: dict[str, Any]) -> None:
        answer.messages.append(message)
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], dict(message["headers"])
        elif message["type"] == "http.response.body":
            answer.body += message["body"]

    await app(scope, receive, send)
    return answer
