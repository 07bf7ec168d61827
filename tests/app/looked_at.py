"""A run folder to look at, made of arrays: what the pages Segments, Gradients and Fusion need,
without training and without the worker."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.engine import analysis_client
from cpart_core.analysis.text.first_text import FIRST_TEXT
from cpart_core.runs.create import create_run
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.info import write_info
from cpart_core.runs.record_writer import RecordWriter
from cpart_core.runs.snapshots import save_snapshot
from cpart_core.settings.run import Settings
from tests.charts import made

ROOT = Path(__file__).resolve().parents[2]
STEPS = (50, 100)
NUMBERS = itertools.count()


def alone(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """No runs but those a test makes, and a worker that notes what it is asked for (the list) and
    starts no process."""
    monkeypatch.setenv("CPART_RUNS", str(folder / "runs"))
    monkeypatch.setenv("CPART_SAMPLES", str(folder / "samples"))
    asked: list[tuple[str, dict[str, Any]]] = []

    def submit(
        self: analysis_client.Worker, name: str, request: dict[str, Any]
    ) -> analysis_client.Handle:
        asked.append((name, request))
        return analysis_client.Handle(name, request)

    monkeypatch.setattr(analysis_client.Worker, "submit", submit)
    return asked


def make_run(
    *, ended: str = "finish", snapshots: bool = True, checkpoint: bool = True, results: bool = True
) -> Run:
    """A run of 2 layers, 24 neurons, 4 segments and 3 contexts, one of them with a hostile name, as
    is the run's own."""
    settings = Settings().with_values(
        {
            "num_layers": made.LAYERS,
            "num_neurons": made.NEURONS,
            "shared_neurons": 0,
            "num_segments": made.SEGMENTS,
            "steps": 100,
        }
    )
    name = f"![x](http://evil/x) {made.HOSTILE}"
    new = create_run(settings, None, name, run_id=f"20260101-000000-{next(NUMBERS):04d}")
    write_info(new.folder, replace(new.info, contexts=made.CONTEXTS, vocabulary_size=512))
    run = open_run(new.id)
    with RecordWriter(run.folder) as writer:
        writer.event("start")
        if ended:
            writer.event(ended, "out of luck" if ended == "fail" else "")
    for step in STEPS if snapshots else ():
        save_snapshot(run.folder, made.snapshot(step, seed=step))
    if checkpoint:
        run.checkpoint_folder(STEPS[-1]).mkdir(parents=True)
    if results:
        store_results(run)
    return run


def store_results(run: Run) -> None:
    """Everything that the worker would make for the first look at each page."""
    at = {"run": run.id, "step": STEPS[-1]}
    run.store_result("profiles", at, made.profiles())
    run.store_result("trace", {**at, "text": FIRST_TEXT}, made.trace())
    for method in ("pca", "umap"):
        run.store_result(
            "neuron_map",
            {"run": run.id, "method": method, "layer": -1, "seed": 0},
            made.neuron_map(),
        )
        run.store_result("document_map", {**at, "method": method, "seed": 0}, made.document_map())


def open_page(name: str, run: Run | None, state: dict[str, Any] | None = None) -> AppTest:
    """The page `name`, showing `run`, as a browser would have it: within the app's own frame."""
    page = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=20)
    if run is not None:
        page.session_state["cpart_run"] = run.id
    for key, value in (state or {}).items():
        page.session_state[f"cpart_{key}"] = value
    # Before a first run switch_page knows file names alone, and looks for a page named "page".
    page._page_hash = calc_hash(name)
    return page.run()


def said(page: AppTest) -> str:
    """All words on the page that AppTest knows of."""
    kinds = (
        page.title,
        page.header,
        page.subheader,
        page.markdown,
        page.caption,
        page.info,
        page.warning,
        page.error,
        page.button,
    )
    return "\n".join(
        str(getattr(item, "value", "") or getattr(item, "label", ""))
        for kind in kinds
        for item in kind
    ) + "\n".join(item.label for item in page.button)


def figures(page: AppTest) -> int:
    """Drawn by the one component that draws them all."""
    assert not page.get("plotly_chart"), "a figure with a toolbar of its own"
    return len(
        [
            part
            for part in page.get("bidi_component")
            if part.proto.component_name != "cpart_address"
        ]
    )
