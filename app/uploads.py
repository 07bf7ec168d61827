"""One byte budget for the uploads of all visitors together: the server keeps them in memory, and takes files no page has asked for.

Knows streamlit's store of uploads; knows no page.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

UPLOADS = "/_stcore/upload_file/"
BUDGET = 200_000_000
"""Bytes; ten files of the greatest size that one upload may have."""


def bytes_held() -> int:
    """Bytes of the uploads that all sessions hold now."""
    from streamlit.runtime import Runtime
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

    store = Runtime.instance().uploaded_file_mgr if Runtime.exists() else None
    if not isinstance(store, MemoryUploadedFileManager):
        return 0
    return sum(len(file.data) for files in list(store.file_storage.values()) for file in list(files.values()))


class UploadBudget:
    """Refuses an upload that would take the sum over the budget, before its first byte is read; one that does not say its length, too."""

    def __init__(self, app: ASGIApp, budget: int = BUDGET, held: Callable[[], int] = bytes_held) -> None:
        self.app, self.budget, self.held = app, budget, held
        self.under_way = 0
        """Bytes of uploads that are being read."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("PUT", "POST") or UPLOADS not in scope["path"]:
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if not length.isdigit():
            await PlainTextResponse("An upload has to say its length.", 411)(scope, receive, send)
            return
        size = int(length)
        if self.held() + self.under_way + size > self.budget:
            said = f"All uploads together may hold {self.budget // 1_000_000} MB. Remove some, or give CPart a folder instead."
            await PlainTextResponse(said, 413)(scope, receive, send)
            return
        self.under_way += size
        try:
            await self.app(scope, receive, send)
        finally:
            self.under_way -= size
