"""What a page asks of the analysis worker: it stops asking when there is an answer, and what nobody waits for any more is forgotten."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from app import chrome, state
from app.handle import Handle


def page() -> None:
    from app import chrome

    chrome.wait(None, "map", {}, "key", lambda: None, doing="Measuring")  # type: ignore[arg-type]


@pytest.mark.parametrize("error", ["", "Memory ran out."])
def test_a_failed_analysis_is_asked_for_no_more(monkeypatch, error):
    """A fragment that refreshes itself goes on doing so as long as it stands, whatever it shows."""
    refreshed = []
    monkeypatch.setattr(state, "result_or_ask", lambda run, name, request: state.Answer(error=error))
    monkeypatch.setattr(chrome.st, "fragment", lambda run_every: refreshed.append(run_every) or (lambda function: function))
    shown = AppTest.from_function(page).run()
    assert bool(refreshed) == (not error)
    assert [button.label for button in shown.button] == (["Try again"] if error else ["Stop"])
    assert [entry.value for entry in shown.error] == ([error] if error else [])


def test_requests_of_visitors_who_left_do_not_pile_up(monkeypatch):
    run = SimpleNamespace(id="a", info=SimpleNamespace(created=""), result=lambda name, request: None)
    monkeypatch.setattr(state, "worker_for", lambda name, request: SimpleNamespace(submit=Handle))
    kept: dict[tuple[str, str], Handle] = {}
    monkeypatch.setattr(state, "handles", lambda: kept)
    for number in range(state.MOST_HANDLES + 10):
        state.result_or_ask(run, "map", {"text": str(number)})
    assert len(kept) == state.MOST_HANDLES
    assert [handle.request["text"] for handle in kept.values()][-1] == str(state.MOST_HANDLES + 9), "the newest stay"
