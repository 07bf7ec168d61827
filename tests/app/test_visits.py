"""Open pages are counted, and all that a closed one held is freed at once; a broken connection may come back."""

from __future__ import annotations

import asyncio

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from app.visits import Visits
from tests.app.asking import ask, exchange


def told(session: str) -> bytes:
    message = ForwardMsg()
    message.new_session.initialize.session_id = session
    return message.SerializeToString()


async def inner(scope, receive, send):
    """Tells the session's id, as Streamlit does, and listens."""
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "bytes": ForwardMsg(script_finished=0).SerializeToString()})
    await send({"type": "websocket.send", "bytes": told("first")})
    await send({"type": "websocket.send", "bytes": told("later")})
    while (await receive())["type"] != "websocket.disconnect":
        pass


def test_the_session_of_a_closed_page_is_closed():
    closed: list[str] = []
    app = Visits(inner, close=closed.append)
    assert ask(app, kind="websocket").accepted and closed == ["first"] and app.open == 0


def test_a_broken_connection_keeps_its_session():
    closed: list[str] = []

    async def broken(scope, receive, send):
        async def receive_broken():
            message = await receive()
            return {**message, "code": 1006} if message["type"] == "websocket.disconnect" else message

        await Visits(inner, close=closed.append)(scope, receive_broken, send)

    assert ask(broken, kind="websocket").accepted and closed == []


def test_pages_above_the_limit_are_refused_until_others_close():
    app = Visits(inner, most=2, close=lambda session: None)

    async def flood() -> list[bool]:
        async def wait() -> bytes:
            await asyncio.sleep(0.1)
            return b"x"

        visits = [asyncio.create_task(exchange(app, {"type": "websocket", "path": "/", "headers": []}, [wait()])) for _ in range(5)]
        return [answer.accepted for answer in await asyncio.gather(*visits)]

    assert asyncio.run(flood()) == [True, True, False, False, False] and app.open == 0
    assert ask(app, kind="websocket").accepted
