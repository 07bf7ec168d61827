"""Open pages are counted, and all that a closed one held is freed at once; a broken connection may
come back."""

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
    await send(
        {"type": "websocket.send", "bytes": ForwardMsg(script_finished=0).SerializeToString()}
    )
    await send({"type": "websocket.send", "bytes": told("first")})
    await send({"type": "websocket.send", "bytes": told("later")})
    while (await receive())["type"] != "websocket.disconnect":
        pass


def ends_with(code: int) -> list[str]:
    """The sessions that are closed when a connection ends so."""
    closed: list[str] = []
    app = Visits(inner, close=closed.append)

    async def outer(scope, receive, send):
        async def receive_the_end():
            message = await receive()
            return (
                {**message, "code": code} if message["type"] == "websocket.disconnect" else message
            )

        await app(scope, receive_the_end, send)

    assert ask(outer, kind="websocket").accepted and app.open == []
    return closed


def test_the_session_of_a_closed_page_is_closed_and_one_of_a_broken_connection_is_not():
    assert ends_with(1001) == ends_with(1000) == ["first"]
    assert ends_with(1005) == ends_with(1006) == ends_with(1012) == []


def test_pages_above_the_limit_are_refused_and_silent_connections_make_room():
    app = Visits(inner, most=2, close=lambda session: None)

    async def later() -> bytes:
        await asyncio.sleep(0.2)
        return b"x"

    async def flood(*first: bytes) -> list[list[str]]:
        visits = []
        for _ in range(5):
            scope = {"type": "websocket", "path": "/", "headers": []}
            visits.append(asyncio.create_task(exchange(app, scope, [*first, later])))
            await asyncio.sleep(0.01)
        return [
            [message["type"] for message in answer.messages]
            for answer in await asyncio.gather(*visits)
        ]

    pages = asyncio.run(flood(b"rerun"))
    assert [told[0] == "websocket.accept" for told in pages] == [True, True, False, False, False]
    silent = asyncio.run(flood())
    assert all(told[0] == "websocket.accept" for told in silent) and app.open == []
    assert [told[-1] == "websocket.close" for told in silent] == [
        True,
        True,
        True,
        False,
        False,
    ], "the oldest make room"
