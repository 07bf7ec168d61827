"""Pages of other hosts and ports may not drive the app; its own may, also behind a proxy that
leaves the host as it is."""

from __future__ import annotations

import pytest
from starlette.responses import PlainTextResponse

from app.origin import OwnPagesOnly, place_of
from tests.app.asking import ask

OURS = "http://127.0.0.1:8501"


async def inner(scope, receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        await PlainTextResponse("done")(scope, receive, send)


APP = OwnPagesOnly(inner, also=["https://lab.example"])


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (OURS, "127.0.0.1:8501", True),
        ("http://localhost:8501", "localhost:8501", True),
        # a proxy that speaks TLS and keeps the host
        ("https://cpart.example", "cpart.example", True),
        ("https://cpart.example", "cpart.example:443", True),
        ("HTTP://LOCALHOST:8501", "localhost:8501", True),
        ("https://lab.example", "127.0.0.1:8501", True),  # allowed by the owner
        (None, "127.0.0.1:8501", True),  # no browser
        ("http://127.0.0.1:9999", "127.0.0.1:8501", False),
        ("http://localhost:8501", "127.0.0.1:8501", False),
        ("http://127.0.0.1", "127.0.0.1:8501", False),
        ("https://127.0.0.1", "127.0.0.1:80", False),
        ("https://127.0.0.1:8501", "127.0.0.1:8501", False),
        ("http://evil.example", "127.0.0.1:8501", False),
        ("http://lab.example", "127.0.0.1:8501", False),
        ("null", "127.0.0.1:8501", False),
        ("", "127.0.0.1:8501", False),
        ("http://127.0.0.1:8501@evil.example", "127.0.0.1:8501", False),
        ("http://127.0.0.1:port", "127.0.0.1:8501", False),
        ("http://127.0.0.1:8501/path", "127.0.0.1:8501", False),
        ((OURS, "http://evil.example"), "127.0.0.1:8501", False),
    ],
)
def test_only_pages_of_the_same_host_and_port_open_websockets_and_change_things(
    origin, host, allowed
):
    assert (
        ask(APP, "/_stcore/stream", kind="websocket", host=host, origin=origin).accepted == allowed
    )
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert ask(APP, method=method, host=host, origin=origin).status == (200 if allowed else 403)
    assert ask(APP, host=host, origin=origin).status == 200, (
        "reading is kept from others by the browser, since we send no CORS header"
    )


def test_the_browsers_other_word_counts_too():
    """A form sends no Origin in some browsers, but says that it comes from another port
    ("same-site")."""
    assert ask(APP, method="POST", sec_fetch_site="same-origin").status == 200
    assert (
        ask(APP, method="POST", sec_fetch_site="same-site").status
        == ask(APP, method="POST", sec_fetch_site="cross-site").status
        == 403
    )


def test_places():
    assert place_of("https://[::1]:8501") == ("https", "::1", 8501) and place_of(
        "http://a.example."
    ) == ("http", "a.example", 80)
    assert all(
        place_of(none) is None
        for none in ("", "null", "file://", "ftp://a", "//a", "http://", "http://a:99999")
    )
