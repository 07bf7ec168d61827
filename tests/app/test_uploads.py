"""Uploads: nobody can fill the memory, or keep others from uploading by announcing, stalling, or
leaving."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from app import uploads
from app.uploads import UploadBudget
from tests.app.asking import ask, exchange


class Store:
    """In the place of Streamlit: reads what is uploaded and keeps its size."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.here = True

    async def __call__(self, scope, receive, send) -> None:
        body = await Request(scope, receive).body()
        session = scope["path"].split("/")[-2]
        self.sizes[session] = self.sizes.get(session, 0) + len(body)
        await PlainTextResponse("", 204)(scope, receive, send)

    def forget(self, session: str, file: str) -> None:
        del self.sizes[session]


@pytest.fixture
def store(monkeypatch) -> Store:
    monkeypatch.setattr(uploads, "BUDGET", 100)
    monkeypatch.setattr(uploads, "SHARE", 60)
    return Store()


@pytest.fixture
def app(store) -> UploadBudget:
    return UploadBudget(
        store, held=lambda: store.sizes, here=lambda session: store.here, forget=store.forget
    )


def put(app, session: str, *chunks: bytes, length: object = None, method: str = "PUT") -> int:
    declared = str(sum(map(len, chunks)) if length is None else length)
    return ask(
        app,
        f"/base/_stcore/upload_file/{session}/f",
        method=method,
        chunks=chunks,
        content_length=declared,
    ).status


def test_a_visitor_and_all_together_have_a_budget(app, store):
    assert put(app, "a", b"x" * 30, b"x" * 30) == 204
    assert put(app, "a", b"x") == 413, "one visitor's share"
    assert put(app, "b", b"x" * 41) == 413 and put(app, "b", b"x" * 40) == 204, "everybody's budget"
    assert put(app, "c", b"x", method="POST") == 413 and store.sizes == {"a": 60, "b": 40}
    assert ask(app, "/_stcore/health", method="PUT", content_length="900").status == 204, (
        "other requests pass"
    )


def test_what_is_sent_counts_and_not_what_is_declared(app, store):
    assert put(app, "a", b"x" * 40, b"x" * 40, length=1) == 413 and store.sizes == {}
    assert put(app, "a", length="") == put(app, "a", length="-1") == 411 and not app.under_way


def test_many_announced_uploads_that_do_not_come_lock_nobody_out(app, store, monkeypatch):
    """They take no room while they are waited for, and are ended after a time without a byte."""
    monkeypatch.setattr(uploads, "SILENT_SECONDS", 0.3)

    async def never() -> bytes:
        await asyncio.sleep(60)
        return b""

    async def together() -> list[int]:
        silent = [
            asyncio.create_task(exchange(app, scope_of(f"s{n}", 60), [b"x", never]))
            for n in range(10)
        ]
        await asyncio.sleep(0.05)
        honest = await exchange(app, scope_of("honest", 50), [b"x" * 50])
        return [honest.status, *{answer.status for answer in await asyncio.gather(*silent)}]

    assert (
        asyncio.run(together()) == [204, 408]
        and store.sizes == {"honest": 50}
        and not app.under_way
    )


def test_an_upload_cannot_last_for_ever_by_dripping(app, store, monkeypatch):
    monkeypatch.setattr(uploads, "LONGEST_SECONDS", 0.2)

    async def drop() -> bytes:
        await asyncio.sleep(0.05)
        return b"x"

    answer = asyncio.run(exchange(app, scope_of("a", 50), [drop] * 20))
    assert answer.status == 408 and store.sizes == {}


def test_what_arrives_for_a_closed_page_is_freed(app, store):
    store.here = False
    assert put(app, "a", b"x" * 40) == 410 and store.sizes == {}


def scope_of(session: str, length: int) -> dict:
    path = f"/_stcore/upload_file/{session}/f"
    headers = [(b"content-length", str(length).encode())]
    return {
        "type": "http",
        "method": "PUT",
        "path": path,
        "query_string": b"",
        "root_path": "",
        "headers": headers,
    }
