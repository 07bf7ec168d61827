"""Makes the golden folder of the release that this is:  python -m tests.golden.make NAME   (the names are dates, for `ls` to order them).

A run that was stopped in the middle, so that it can be opened and gone on with, with everything in
it that pages read; and beside it, in expected.json, what must be read from it. Works with the code
of older releases too: copy it there.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cpart_core.runs.create import create_run
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.training_session import run_training
from tests.runs.tiny import TINY, gathered

GOLDEN = Path(__file__).resolve().parent
SMALL = {
    "width": 16,
    "num_neurons": 16,
    "fusion_width": 4,
    "vocabulary_size": 264,
    "keep_checkpoints": 1,
}
STOP = 26
REQUEST: dict[str, Any] = {"step": STOP}
EXPECTED = "expected.json"


def make(name: str) -> Run:
    """The run, below tests/golden/NAME."""
    from cpart_core.service.answering import answer

    os.environ["CPART_RUNS"], os.environ["CPART_SAMPLES"] = str(GOLDEN / name), str(GOLDEN / "none")
    run = create_run(TINY.with_values(SMALL).check(), gathered(), "golden", run_id="golden")
    run_training(run, lambda record: run.send("stop") if record.step == STOP else None)
    run = open_run("golden")
    request = {"run": run.id, **REQUEST}
    for kind in ("losses", "profiles"):
        run.store_result(kind, request, answer(kind, request, lambda *words: None))
    for left in ("lock", "log.txt", "gathered.jsonl"):
        (run.folder / left).unlink(missing_ok=True)
    (GOLDEN / name / EXPECTED).write_text(json.dumps(facts(run), indent=1) + "\n")
    return run


def facts(run: Run) -> dict[str, Any]:
    """Numbers that stand for all that is read: each place is read in full, and one thing of it
    said."""
    from cpart_core.corpus.store import load_corpus
    from cpart_core.runs.checkpoint import load_model
    from cpart_core.service.answering import stored

    records, evaluations, changes = run.records(), run.evaluations(), run.changes()
    snapshot = run.snapshot(run.snapshot_steps()[-1])
    corpus = load_corpus(run.folder / "corpus")
    weights = load_model(run, run.checkpoint_steps()[-1]).model.state_dict()
    request = {"run": run.id, **REQUEST}
    return {
        "name": run.info.name,
        "contexts": list(run.info.contexts),
        "parameters": run.info.num_parameters,
        "state": run.state().state,
        "step": run.state().step,
        "losses": [round(float(loss), 9) for loss in records.loss],
        "by_context": round(float(np.nansum(records.loss_by_context)), 4),
        "evaluations": [round(float(loss), 9) for loss in evaluations.loss],
        "partitions": changes.step.tolist(),
        "events": [event.kind for event in run.events()],
        "segments": snapshot.segment_of.tolist(),
        "signature": round(float(snapshot.signature.astype(float).sum()), 3),
        "fingerprint": corpus.fingerprint,
        "titles": list(corpus.validation.titles),
        "weights": {
            name: round(float(tensor.double().abs().sum()), 4)
            for name, tensor in sorted(weights.items())
        },
        "tokens": (
            stored(run, "losses", request) is not None
            and stored(run, "profiles", request) is not None
        ),
    }


if __name__ == "__main__":
    made = make(sys.argv[1])
    print(sum(path.stat().st_size for path in made.folder.rglob("*") if path.is_file()), "bytes")
