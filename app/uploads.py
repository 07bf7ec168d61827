"""The bytes of uploads: one budget for all visitors together and one for each, and an end to
uploads that do not come.

The server keeps uploads in memory, and takes files that no page has asked for. What counts is what
has arrived: a length that is only declared takes nobody's room. Knows streamlit's store of uploads;
knows no page.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

UPLOADS = "/_stcore/upload_file/"
BUDGET = 300_000_000
"""Bytes of all visitors."""
SHARE = 200_000_000
"""Bytes of one visitor: ten files of the greatest size that one upload may have. No one visitor can
take everybody's room."""
SILENT_SECONDS = 20.0
"""Between two pieces of an upload."""
LONGEST_SECONDS = 600.0
"""Of a whole upload."""


def store() -> MemoryUploadedFileManager | None:
    """Streamlit's store of uploads; None outside a server."""
    from streamlit.runtime import Runtime
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

    found = Runtime.instance().uploaded_file_mgr if Runtime.exists() else None
    return found if isinstance(found, MemoryUploadedFileManager) else None


def bytes_held() -> Mapping[str, int]:
    """Session -> bytes of the uploads that it holds now."""
    found = store()
    kept = list(found.file_storage.items()) if found is not None else []
    return {
        session: sum(len(file.data) for file in list(files.values())) for session, files in kept
    }


def is_here(session: str) -> bool:
    """Whether the visitor's page is connected."""
    from streamlit.runtime import Runtime

    return Runtime.exists() and Runtime.instance().is_active_session(session)


def forget(session: str, file: str) -> None:
    """Free one upload."""
    found = store()
    if found is not None:
        found.remove_file(session, file)


class Refused(OSError):
    """Why an upload ends. An OSError, at which the reader of forms closes its temporary files."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status, self.said = status, said


class UploadBudget:
    """Refuses what would take a visitor, or all together, over their budget; ends uploads that
    stand still or last too long; and frees at once what comes in for a visitor who has left."""

    def __init__(
        self,
        app: ASGIApp,
        held: Callable[[], Mapping[str, int]] = bytes_held,
        here: Callable[[str], bool] = is_here,
        forget: Callable[[str, str], None] = forget,
    ) -> None:
        self.app, self.held, self.here, self.forget = app, held, here, forget
        self.under_way: Counter[str] = Counter()
        """Session -> bytes of its uploads that are being read."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] not in ("PUT", "POST")
            or UPLOADS not in scope["path"]
        ):
            await self.app(scope, receive, send)
            return
        try:
            await self.take(scope, receive, send)
        except Refused as refused:
            # the rest of the request is not read: the connection ends with the answer
            await PlainTextResponse(refused.said, refused.status, {"connection": "close"})(
                scope, receive, send
            )

    async def take(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have it stored, counting what arrives. Refused, before anything is sent, when it may not
        be."""
        session, _, file = scope["path"].partition(UPLOADS)[2].partition("/")
        length = dict(scope["headers"]).get(b"content-length", b"")
        if not length.isdigit():
            raise Refused(411, "An upload has to say its length.")
        self.check(session, int(length))
        ends = time.monotonic() + LONGEST_SECONDS
        counted = 0

        async def receive_counted() -> Message:
            nonlocal counted
            try:
                message = await asyncio.wait_for(
                    receive(), min(SILENT_SECONDS, max(0.0, ends - time.monotonic()))
                )
            except TimeoutError:
                raise Refused(
                    408, "This upload stood still, or took too long. Try again."
                ) from None
            size = len(message.get("body", b""))
            self.check(session, size)
            counted += size
            self.under_way[session] += size
            return message

        async def send_if_here(message: Message) -> None:
            if (
                message["type"] == "http.response.start"
                and message["status"] < 300
                and not self.here(session)
            ):
                self.forget(session, file)
                raise Refused(410, "The page that this upload is for has been closed.")
            await send(message)

        try:
            await self.app(scope, receive_counted, send_if_here)
        finally:
            self.under_way[session] -= counted
            self.under_way += Counter()  # drops those at zero

    def check(self, session: str, more: int) -> None:
        """Refused when `more` bytes are too many for this visitor, or for all."""
        held = self.held()
        mine = held.get(session, 0) + self.under_way[session]
        if mine + more > SHARE:
            raise Refused(
                413,
                f"Your uploads together may hold {SHARE // 1_000_000} MB. Remove some, or give"
                " CPart a folder instead.",
            )
        if sum(held.values()) + self.under_way.total() + more > BUDGET:
            raise Refused(
                413,
                f"All uploads together may hold {BUDGET // 1_000_000} MB, and others hold most of"
                " it. Try again later.",
            )
