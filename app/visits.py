"""Open pages: how many there may be, and what happens when one is closed.

Streamlit keeps what a visitor held (uploads, texts, widgets) for a while, in case that only the connection broke. A browser that closes
the page says so (code 1001), and nobody can come back to it: then all of it is freed at once. Knows streamlit's runtime; knows no page.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST = 100
"""Pages open at once: three classes with a page each. Each takes its part of the processor while a run is alive."""
GOING_AWAY, TRY_AGAIN_LATER = 1001, 1013


def close_session(session: str) -> None:
    """Free all that a visitor held, unless the same session goes on in another connection."""
    from streamlit.runtime import Runtime

    if Runtime.exists() and not Runtime.instance().is_active_session(session):
        Runtime.instance().close_session(session)


def session_in(data: bytes) -> str:
    """The session's id, which the server tells the page in its first messages; empty in any other message."""
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    message = ForwardMsg.FromString(data)
    return str(message.new_session.initialize.session_id) if message.HasField("new_session") else ""


class Visits:
    """Refuses websockets above MOST, and closes the session of a page that was closed."""

    def __init__(self, app: ASGIApp, most: int = MOST, close: Callable[[str], None] = close_session) -> None:
        self.app, self.most, self.close = app, most, close
        self.open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        if self.open >= self.most:
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": "Too many pages are open. Try again later."})
            return
        session, left = "", False

        async def receive_noting_the_end() -> Message:
            nonlocal left
            message = await receive()
            left = left or (message["type"] == "websocket.disconnect" and message.get("code") == GOING_AWAY)
            return message

        async def send_noting_the_session(message: Message) -> None:
            nonlocal session
            if not session and message["type"] == "websocket.send" and message.get("bytes"):
                session = session_in(message["bytes"])
            await send(message)

        self.open += 1
        try:
            await self.app(scope, receive_noting_the_end, send_noting_the_session)
        finally:
            self.open -= 1
            if left and session:
                self.close(session)
