"""Open pages: how many there may be, and what happens when one is closed.

Streamlit keeps what a visitor held (uploads, texts, widgets) for a while, in case that only the
connection broke. A browser that closes the page says so (codes 1000 and 1001), and nobody can come
back to it: then all of it is freed at once. A connection that has asked for nothing yet is no page;
such ones make room when there are too many. Knows streamlit's runtime; knows no page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST = 300
"""Connections open at once, ten classes with a page each; what one visitor opens in a flood stays
bounded."""
CLOSED, TRY_AGAIN_LATER = (1000, 1001), 1013


def close_session(session: str) -> None:
    """Free all that a visitor held, unless the same session goes on in another connection."""
    from streamlit.runtime import Runtime

    if Runtime.exists() and not Runtime.instance().is_active_session(session):
        Runtime.instance().close_session(session)


def session_in(data: bytes) -> str:
    """The session's id, which the server tells the page in its first messages; empty in any other
    message."""
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    message = ForwardMsg.FromString(data)
    return str(message.new_session.initialize.session_id) if message.HasField("new_session") else ""


class Visit:
    """One connection: notes what passes through it."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.unwanted = asyncio.Event()
        self.asked = False
        self.session = ""
        self.closed = False
        """By the page, so that nobody comes back."""

    async def receive(self) -> Message:
        message = await (self._receive() if self.asked else self.first())
        if message["type"] == "websocket.receive":
            self.asked = True
        self.closed = self.closed or (
            message["type"] == "websocket.disconnect" and message.get("code") in CLOSED
        )
        return message

    async def first(self) -> Message:
        """What comes before the page has asked for anything; its end when somebody else needs the
        room."""
        coming, unwanted = (
            asyncio.ensure_future(self._receive()),
            asyncio.ensure_future(self.unwanted.wait()),
        )
        try:
            done, _ = await asyncio.wait({coming, unwanted}, return_when=asyncio.FIRST_COMPLETED)
        finally:  # also when whoever waits here is cancelled: nothing may go on waiting
            coming.cancel()
            unwanted.cancel()
        if coming in done:
            return coming.result()
        await self._send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
        return {"type": "websocket.disconnect", "code": TRY_AGAIN_LATER}

    async def send(self, message: Message) -> None:
        if not self.session and message["type"] == "websocket.send" and message.get("bytes"):
            self.session = session_in(message["bytes"])
        await self._send(message)


class Visits:
    """Keeps the number of connections at `most`, and closes the session of a page that was
    closed."""

    def __init__(
        self, app: ASGIApp, most: int = MOST, close: Callable[[str], None] = close_session
    ) -> None:
        self.app, self.most, self.close = app, most, close
        self.open: list[Visit] = []
        """The oldest first."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        if len(self.open) >= self.most and not self.make_room():
            await send(
                {
                    "type": "websocket.close",
                    "code": TRY_AGAIN_LATER,
                    "reason": "Too many pages are open. Try again later.",
                }
            )
            return
        visit = Visit(receive, send)
        self.open.append(visit)
        try:
            await self.app(scope, visit.receive, visit.send)
        finally:
            if visit in self.open:
                self.open.remove(visit)
            if visit.closed and visit.session:
                self.close(visit.session)

    def make_room(self) -> bool:
        """End the oldest connection that has asked for nothing; False when all are pages."""
        idle = next((visit for visit in self.open if not visit.asked), None)
        if idle is None:
            return False
        self.open.remove(idle)
        idle.unwanted.set()
        return True
