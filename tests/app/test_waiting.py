"""What a page asks of the analysis worker: it stops asking when there is an answer, and what nobody
waits for any more is forgotten."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from app import results
from app.engine.handle import Handle
from app.shell import page_header


def page() -> None:
    from app.shell import page_header

    page_header.wait(None, "map", {}, "key", lambda: None, doing="Measuring")  # type: ignore[arg-type]


@pytest.mark.parametrize("error", ["", "Memory ran out."])
def test_a_failed_analysis_is_asked_for_no_more(monkeypatch, error):
    """A fragment that refreshes itself goes on doing so as long as it stands, whatever it shows."""
    refreshed = []
    monkeypatch.setattr(
        results, "result_or_ask", lambda run, name, request: results.Answer(error=error)
    )
    monkeypatch.setattr(
        page_header.st,
        "fragment",
        lambda run_every: refreshed.append(run_every) or (lambda function: function),
    )
    shown = AppTest.from_function(page).run()
    assert bool(refreshed) == (not error)
    assert [button.label for button in shown.button] == (["Try again"] if error else ["Stop"])
    assert [entry.value for entry in shown.error] == ([error] if error else [])


def test_requests_of_visitors_who_left_do_not_pile_up(monkeypatch):
    run = SimpleNamespace(
        id="a", info=SimpleNamespace(created=""), result=lambda name, request, wanted: None
    )
    monkeypatch.setattr(results, "worker_for", lambda name, request: SimpleNamespace(submit=Handle))
    kept: dict[tuple[str, str], Handle] = {}
    monkeypatch.setattr(results, "handles", lambda: kept)
    for number in range(results.MOST_HANDLES + 10):
        results.result_or_ask(run, "trace", {"text": str(number)})
    assert len(kept) == results.MOST_HANDLES
    assert [handle.request["text"] for handle in kept.values()][-1] == str(
        results.MOST_HANDLES + 9
    ), "the newest stay"
