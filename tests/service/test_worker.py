"""The worker: answers with stored results, turns everything wrong into sentences, prints nothing
but its protocol."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cpart_core.records.trace import Trace
from cpart_core.runs.child import python_child
from cpart_core.runs.result_files import load_result
from cpart_core.runs.snapshots import save_snapshot
from cpart_core.service.answering import answer
from cpart_core.service.registry import ANALYSES, analysis_named
from cpart_core.service.server import LONGEST_LINE, Worker
from tests.analysis.made import made_corpus, made_run, made_source, snapshot_of_made

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run():
    corpus = made_corpus()
    return made_run(corpus, made_source(corpus), "worker-test")


class Kept:
    """A stream that keeps the messages written to it."""

    def __init__(self) -> None:
        self.messages: list[dict] = []

    def write(self, text: str) -> None:
        self.messages.append(json.loads(text))

    def flush(self) -> None:
        pass


def requests_of(run) -> dict[str, dict]:
    sampling = {"max_tokens": 5, "temperature": 1, "top_k": 0, "top_p": 1.0, "seed": 0}
    return {
        "profiles": {"run": run.id, "step": 10},
        "losses": {"run": run.id, "step": 10},
        "trace": {"run": run.id, "step": 10, "text": "abc"},
        "continuation": {"run": run.id, "step": 10, "text": "abc", **sampling},
        "neuron_map": {"run": run.id, "method": "pca", "layer": -1, "seed": 0},
        "document_map": {"run": run.id, "step": 10, "method": "pca", "seed": 0},
        "specialization": {"run": run.id, "step": 10, "seed": 0},
        "intervention": {
            **{
                "run": run.id,
                "step": 10,
                "text": "abc",
                "interventions": [[1, 0, "forbid", 1.0]],
                "neurons": [[0, 2]],
            },
            **{"max_tokens": 5, "temperature": 1, "seed": 0},
        },
        "ablation_matrix": {"run": run.id, "step": 10},
        "router_audit": {"run": run.id, "step": 10},
        "compare_segments": {
            "run": run.id,
            "step": 10,
            "other": run.id,
            "other_step": 0,
            "method": "auto",
            "seed": 0,
        },
        "compare_losses": {"run": run.id, "step": 10, "other": run.id, "other_step": 10, "seed": 0},
        "compare_text": {
            "run": run.id,
            "step": 10,
            "other": run.id,
            "other_step": 10,
            "text": "abc",
        },
    }


ELSEWHERE = {"stability", "keep_k", "carve", "side_by_side", "coherence"}
"""Need more than one made run: their own tests ask for them."""


def test_every_request_is_answered_stored_and_found_again(run):
    kept = Kept()
    worker = Worker(kept)
    worker.warm = lambda: None
    asked = requests_of(run)
    assert set(asked) | ELSEWHERE == {one.name for one in ANALYSES}
    for number, (name, request) in enumerate(asked.items()):
        worker.take(json.dumps({"id": number, "name": name, "request": request}).encode())
        path = Path(kept.messages[-1]["done"])
        result = load_result(path, name, analysis_named(name).result_type)
        assert result.run == run.id and path.parent == run.folder / "analysis"
        assert all(
            0 <= message["progress"] <= 1 for message in kept.messages[:-1] if "progress" in message
        )
        written = path.stat().st_mtime_ns
        worker.take(json.dumps({"id": number, "name": name, "request": request}).encode())
        assert kept.messages[-1]["done"] == str(path) and path.stat().st_mtime_ns == written, (
            "asked again, it is not computed again"
        )
    assert len(worker.sources.models) == 1


def test_a_map_is_made_anew_when_the_run_has_gone_on(run):
    request = requests_of(run)["neuron_map"]
    before = answer("neuron_map", request)
    assert analysis_named("neuron_map").is_current(run, before) and before.steps == (10,)
    save_snapshot(run.folder, snapshot_of_made(20))
    assert not analysis_named("neuron_map").is_current(run, before) and answer(
        "neuron_map", request
    ).steps == (
        10,
        20,
    )


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("trace", {"run": "../../etc"}, "not the id of a run"),
        ("trace", {"run": "nowhere"}, "no run nowhere"),
        ("trace", {"step": 11}, "no checkpoint at step 11; it has: 10"),
        ("trace", {"step": True}, "step of the request trace must be int"),
        ("trace", {"text": " " * 300_000}, "at most 200,000"),
        ("trace", {"more": 1}, "has the keys"),
        ("continuation", {"top_p": 0.0}, "top_p is 0.0"),
        ("neuron_map", {"method": "tsne"}, "pca, umap"),
        ("neuron_map", {"seed": -1}, "The seed is -1"),
    ],
)
def test_what_does_not_fit_is_said(run, name, change, said):
    with pytest.raises(ValueError, match=said):
        answer(name, {**requests_of(run)[name], **change})


def test_the_process_answers_every_line_and_speaks_only_its_protocol(run):
    child = python_child("cpart_core", "worker")
    worker = subprocess.Popen(
        child.command,
        cwd=child.folder,
        env=child.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    lines = [
        json.dumps(
            {"id": 1, "name": "trace", "request": requests_of(run)["trace"] | {"text": "bcd 12"}}
        ).encode(),
        json.dumps({"id": 2, "name": "horoscope", "request": {}}).encode(),
        b"{not json",
        json.dumps([1, 2]).encode(),
        json.dumps({"id": 3, "name": "trace", "request": None}).encode(),
        b'{"id": 4, "name": "trace", "request": {"text": "' + b"x" * (2 * LONGEST_LINE) + b'"}}',
        b'{"id": 5, "name": "trace", "requ',
        b'{"id": 6, "name": "\xff\xfe\x00"}',
        b"\x00\xff" * 1000,
        b'{"id": 7, "name": "trace", "request": ' + b"[" * 100_000,
        b"",
        json.dumps(
            {"id": 8, "name": "trace", "request": requests_of(run)["trace"] | {"text": "\ud800"}}
        ).encode(),
        json.dumps(
            {"id": 9, "name": "trace", "request": requests_of(run)["trace"] | {"text": "bcd 12"}}
        ).encode(),
    ]
    try:
        said, errors = worker.communicate(b"\n".join(lines), timeout=60)  # the last line has no end
    finally:
        worker.kill()
    messages = [json.loads(line) for line in said.splitlines()]
    finals = [message for message in messages if "progress" not in message]
    assert worker.returncode == 0 and b"Traceback" not in errors
    assert np.array_equal(
        load_result(Path(finals[0]["done"]), "trace", Trace).token_ids,
        made_source(made_corpus()).tokenizer.encode("bcd 12"),
    )
    assert [message.get("id") for message in finals] == [
        1,
        2,
        None,
        None,
        3,
        4,
        5,
        6,
        None,
        7,
        8,
        9,
    ]
    assert "there are: losses" in finals[1]["error"] and "not valid JSON" in finals[2]["error"]
    assert "JSON object" in finals[3]["error"] and "has the keys" in finals[4]["error"]
    assert (
        "at most 4,000,000 bytes" in finals[5]["error"] and finals[-1]["done"] == finals[0]["done"]
    )
    assert all(len(message.get("error", "")) < 700 for message in finals)


def test_sigterm_ends_it():
    worker = subprocess.Popen(
        [sys.executable, "-m", "cpart_core", "worker"],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write("{}\n")
        worker.stdin.flush()
        assert "error" in worker.stdout.readline()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=5) == 0
    finally:
        worker.kill()
        worker.communicate()
