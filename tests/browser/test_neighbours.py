"""A page that somebody else serves on this machine, on another port, cannot drive the app, in a
real browser; the app's own page can."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ATTEMPT = """async (base) => {
    const socket = await new Promise((resolve) => {
        const attempt = new WebSocket(base.replace("http", "ws") + "/_stcore/stream", ["streamlit", "token"]);
        attempt.onopen = () => resolve("opened");
        attempt.onerror = () => resolve("refused");
    });
    const asks = async (path, options) => {
        try { return (await fetch(base + path, options)).status } catch { return "kept from me" }
    };
    return {
        socket,
        read: await asks("/_stcore/host-config"),
        form: await asks("/_stcore/upload_file/a/b", {method: "POST", body: "x", mode: "no-cors"}),
        changed: await asks("/_stcore/upload_file/a/b", {method: "PUT", body: "x"}),
    };
}"""


@pytest.fixture
def neighbour(tmp_path: Path) -> Iterator[str]:
    """The address of a page on another port."""
    (tmp_path / "index.html").write_text("<h1>Not CPart</h1>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def test_a_neighbouring_page_is_refused_and_the_own_one_is_not(visit, server, neighbour):
    own = visit().open("/train")
    assert own.errors == [] and own.strangers == []
    assert own.page.evaluate(ATTEMPT, server.address)["socket"] == "opened"
    other = visit().page
    other.goto(neighbour)
    tried = other.evaluate(ATTEMPT, server.address)
    assert tried["socket"] == "refused" and tried["read"] == tried["changed"] == "kept from me"
    assert tried["form"] in (0, "kept from me"), "an answer that the page cannot read"
