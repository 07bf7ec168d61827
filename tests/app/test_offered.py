"""What our pages never ask is answered 404 or passed over: lists of the allowed, compared with what
this Streamlit knows."""

from __future__ import annotations

import pytest
from starlette.responses import PlainTextResponse
from streamlit.proto.BackMsg_pb2 import BackMsg

from app.offered import OfferedOnly, offers_message
from tests.app.asking import ask


async def inner(scope, receive, send):
    if scope["type"] == "http":
        await PlainTextResponse("there")(scope, receive, send)
        return
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})


APP = OfferedOnly(inner)


@pytest.mark.parametrize("base", ["", "/lab/cpart"])
def test_only_what_pages_ask_is_there(base):
    closed = (
        "metrics",
        "agent/interact",
        "agent/mcp",
        "agent/openapi.json",
        "script-health-check",
        "anything",
        "stream/more",
        "",
    )
    offered = ("health", "host-config", "stream", "upload_file/a/b", "bidi-components/live/x.js")
    for path in closed:
        assert (
            ask(APP, f"{base}/_stcore/{path}").status
            == ask(APP, f"{base}/_stcore/{path}", method="POST").status
            == 404
        ), path
        assert [
            message["type"]
            for message in ask(APP, f"{base}/_stcore/{path}", kind="websocket").messages
        ][:1] == ["websocket.http.response.start"]
    assert all(ask(APP, f"{base}/_stcore/{path}").status == 200 for path in offered)
    assert ask(APP, f"{base}/train").status == ask(APP, f"{base}/media/a.csv").status == 200


def test_other_messages_are_passed_over():
    heartbeat, clear = (
        BackMsg(app_heartbeat=True).SerializeToString(),
        BackMsg(clear_cache=True).SerializeToString(),
    )
    said = ask(
        APP, "/_stcore/stream", kind="websocket", chunks=[clear, heartbeat, clear, b"\xff\xff"]
    ).messages
    assert [message["bytes"] for message in said] == [heartbeat, b"\xff\xff"]


def test_every_kind_of_message_is_decided_on():
    """A kind that a later Streamlit adds is passed over, and this list says so to whoever raises
    the version."""
    kinds = {field.name for field in BackMsg.DESCRIPTOR.oneofs_by_name["type"].fields}
    taken = {
        kind for kind in kinds - {"backend_operation_request"} if offers_message(message_of(kind))
    }
    assert taken == {"rerun_script", "stop_script", "app_heartbeat", "file_urls_request"}
    assert kinds - taken == {
        "backend_operation_request",
        "clear_cache",
        "set_run_on_save",
        "load_git_info",
        "debug_disconnect_websocket",
        "debug_shutdown_runtime",
    }
    operations = BackMsg().backend_operation_request.DESCRIPTOR.oneofs_by_name["payload"].fields
    offered = {field.name for field in operations if offers_message(operation_of(field.name))}
    assert offered == {"deferred_file", "dataframe_chunk"} and len(operations) > len(offered)


def message_of(kind: str) -> bytes:
    message = BackMsg()
    if BackMsg.DESCRIPTOR.fields_by_name[kind].message_type is None:
        setattr(message, kind, True)
    else:
        getattr(message, kind).SetInParent()
    return message.SerializeToString()


def operation_of(payload: str) -> bytes:
    message = BackMsg()
    getattr(message.backend_operation_request, payload).SetInParent()
    return message.SerializeToString()
