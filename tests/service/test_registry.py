"""One entry makes an analysis known everywhere, and what an entry says of itself is true."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import numpy as np
import pytest

from app import results
from cpart_core.__main__ import main
from cpart_core.analysis.asked import Asked
from cpart_core.cli.analyze import FILLED
from cpart_core.cli.compare_part import NAME as COMPARE
from cpart_core.service import registry
from cpart_core.service.answering import answer, stored, stored_or_answered
from cpart_core.service.registry import ANALYSES, Analysis, analysis_named
from cpart_core.service.server import Worker
from tests.analysis.made import made_corpus, made_run, made_source
from tests.test_floors import FLOORS, room


@pytest.mark.parametrize("one", ANALYSES, ids=lambda one: one.name)
def test_an_entry_is_true(one):
    module, _, function = one.place.partition(":")
    assert (
        room(module) == "cpart_core.analysis"
        and FLOORS[room(module)] < FLOORS[room(registry.__name__)]
    )
    answers = getattr(import_module(module), function)
    given = get_type_hints(answers)
    assert given["return"] is one.result_type and len(inspect.signature(answers).parameters) == 1
    if one.cli not in ("", COMPARE):
        assert one.keys.keys() <= FILLED.keys(), "the command line cannot fill these keys"
    assert one.cli or not one.by_default


def test_names_are_given_once():
    assert len({one.name for one in ANALYSES}) == len(ANALYSES)
    with pytest.raises(ValueError, match="no analysis 'flow'; there are: losses, profiles"):
        analysis_named("flow")


@dataclass(frozen=True)
class Initials:
    """A made-up result."""

    run: str
    step: int
    letters: tuple[str, ...]
    count: np.ndarray


def answer_initials(asked: Asked) -> Initials:
    """A made-up analysis: needs no model."""
    asked.progress(0.5, "Counting")
    contexts = asked.run.info.contexts
    return Initials(
        asked.run.id,
        asked.values["step"],
        tuple(name[0] for name in contexts),
        np.arange(len(contexts)),
    )


MADE = Analysis(
    "initials",
    f"{__name__}:answer_initials",
    Initials,
    {"step": int},
    is_slow=lambda request: request["step"] > 10,
    is_current=lambda run, result: len(result.letters) > 2,
    cli="initials",
)


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("CPART_RUNS", str(tmp_path))
    monkeypatch.setattr(registry, "ANALYSES", (*ANALYSES, MADE))
    corpus = made_corpus()
    return made_run(corpus, made_source(corpus), "registered")


def test_a_new_entry_is_answered_by_the_worker_stored_and_read_back(run):
    said: list[dict] = []
    worker = Worker(SimpleNamespace(write=lambda text: said.append(json.loads(text)), flush=int))
    request = {"run": run.id, "step": 10}
    worker.take(json.dumps({"id": 3, "name": "initials", "request": request}).encode())
    assert said[0] == {"id": 3, "progress": 0.5, "say": "Counting"}
    path = Path(said[-1]["done"])
    assert path.parent == run.folder / "analysis" and path.name.startswith("initials-")
    found = stored(run, "initials", request)
    assert isinstance(found, Initials) and found.letters == ("l", "d")
    assert found.count.tolist() == [0, 1]
    written = path.stat().st_mtime_ns
    worker.take(json.dumps({"id": 4, "name": "initials", "request": request}).encode())
    assert path.stat().st_mtime_ns > written, "it says of itself that it is stale: computed anew"
    worker.take(b'{"id": 5, "name": "initials", "request": {"run": "registered"}}')
    assert "has the keys run, step; given: run" in said[-1]["error"]


def test_a_new_entry_is_known_to_pages_and_command_line(run, capsys, monkeypatch):
    monkeypatch.setattr(results, "worker", lambda kind: kind)
    assert results.worker_for("initials", {"step": 10}) == "quick"
    assert results.worker_for("initials", {"step": 11}) == "slow"
    assert results.stored_result(run, "initials", {"run": run.id, "step": 10}) is None
    with pytest.raises(SystemExit):
        main(["analyze", "--help"])
    assert "router_audit, compare, initials" in " ".join(capsys.readouterr().out.split())
    assert main(["analyze", run.id, "--what", "initials"]) == 0
    assert f"initials step=10\n  {run.folder}" in capsys.readouterr().out
    assert results.stored_result(run, "initials", {"run": run.id, "step": 10}).letters == ("l", "d")
    assert main(["analyze", run.id, "--what", "horoscope"]) == 2
    assert "Unknown result horoscope; allowed: losses" in capsys.readouterr().err


def test_what_lies_there_is_not_computed_again(run, monkeypatch):
    request = {"run": run.id, "step": 10}
    first = stored_or_answered(run, "initials", request)
    monkeypatch.delattr("tests.service.test_registry.answer_initials")
    assert stored_or_answered(run, "initials", request).letters == first.letters
    with pytest.raises(AttributeError):
        answer("initials", request)


@pytest.mark.parametrize(
    ("name", "request_", "slow"),
    [
        ("neuron_map", {"method": "umap"}, True),
        ("neuron_map", {"method": "pca"}, False),
        ("document_map", {"method": "umap"}, True),
        ("keep_k", {}, True),
        ("carve", {}, True),
        ("ablation_matrix", {}, True),
        ("router_audit", {}, True),
        ("coherence", {}, True),
        ("trace", {}, False),
        ("compare_segments", {"method": "auto"}, False),
    ],
)
def test_what_takes_long_keeps_nobody_waiting(name, request_, slow):
    assert analysis_named(name).is_slow(request_) is slow


def test_results_of_kinds_that_are_gone_are_passed_over(run):
    """Earlier releases stored flow and saturation; nobody asks for them any more."""
    (run.folder / "analysis").mkdir()
    for kind in ("flow", "saturation"):
        (run.folder / "analysis" / f"{kind}-{0:016x}.npz").write_bytes(b"PK of an earlier release")
    assert stored_or_answered(run, "initials", {"run": run.id, "step": 10}).count.tolist() == [0, 1]
    assert main(["runs"]) == 0
    assert len(list((run.folder / "analysis").iterdir())) == 3
