"""What a visitor may ask of the server: what our pages ask themselves. Lists of the allowed, so
that what a later Streamlit adds is closed.

Below `_stcore` Streamlit also answers with its metrics, an interface for agents and its
description; and a websocket message can have it clear the caches of all sessions, tell the names of
uncommitted files, or write files into the project.
"""

from __future__ import annotations

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CORE = "/_stcore/"
PATHS = ("health", "host-config", "stream", "upload_file/", "bidi-components/")
"""What lies below CORE and may be asked; one that ends in a slash is a folder."""
MESSAGES = (
    "rerun_script",
    "stop_script",
    "app_heartbeat",
    "file_urls_request",
    "backend_operation_request",
)
OPERATIONS = ("deferred_file", "dataframe_chunk")
"""Of backend_operation_request: a file made when it is downloaded, and further rows of a table."""


class OfferedOnly:
    """Answers 404 to other paths below CORE, and passes other messages over."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
        elif not offers_path(scope["path"]):
            await PlainTextResponse("Not found.", 404)(scope, receive, send)
        elif scope["type"] == "http":
            await self.app(scope, receive, send)
        else:

            async def receive_offered() -> Message:
                while True:
                    message = await receive()
                    if message["type"] != "websocket.receive" or offers_message(
                        message.get("bytes")
                    ):
                        return message

            await self.app(scope, receive_offered, send)


def offers_path(path: str) -> bool:
    _, below, asked = path.partition(CORE)
    return not below or any(
        asked.startswith(one) if one.endswith("/") else asked == one for one in PATHS
    )


def offers_message(data: bytes | None) -> bool:
    """Whether our pages send such a message. What is none at all is left to Streamlit, which ends
    the connection."""
    from google.protobuf.message import DecodeError
    from streamlit.proto.BackMsg_pb2 import BackMsg

    message = BackMsg()
    try:
        message.ParseFromString(data or b"")
    except DecodeError:
        return True
    kind = message.WhichOneof("type")
    if kind == "backend_operation_request":
        return message.backend_operation_request.WhichOneof("payload") in OPERATIONS
    return kind is None or kind in MESSAGES
