"""Results and snapshots come back to the bit; a file that is not one is refused and nothing
else."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from cpart_core.records import (
    coherence,
    comparison,
    effects,
    keep,
    losses,
    maps,
    profiles,
    specialization,
    trace,
)
from cpart_core.records.losses import LossReport
from cpart_core.records.trace import Trace
from cpart_core.runs.folder import MOST_RESULTS
from cpart_core.runs.result_files import load_result, request_key, save_result
from cpart_core.runs.snapshots import load_snapshot, save_snapshot, snapshot_path
from cpart_core.service.registry import ANALYSES
from tests.runs.made import make_run, make_snapshot, make_value, same

RESULT_TYPES = {one.name: one.result_type for one in ANALYSES}


@pytest.mark.parametrize("name", RESULT_TYPES)
def test_every_result_comes_back_exactly(tmp_path, name):
    for seed in range(20):
        result = make_value(RESULT_TYPES[name], np.random.default_rng(seed))
        save_result(tmp_path / "r.npz", name, result)
        assert same(load_result(tmp_path / "r.npz", name, RESULT_TYPES[name]), result)


def test_every_result_of_the_analysis_can_be_stored():
    places = (
        coherence,
        comparison,
        effects,
        keep,
        losses,
        maps,
        profiles,
        specialization,
        trace,
    )
    known = {
        kind
        for place in places
        for kind in vars(place).values()
        if isinstance(kind, type) and kind.__module__ == place.__name__
    }
    parts = {
        profiles.Passage,
        specialization.Information,
        specialization.SegmentUse,
        keep.Footprint,
    }
    parts |= {coherence.Writer, coherence.Judge, coherence.TextMeasures, coherence.Anchored}
    assert known - parts == set(RESULT_TYPES.values())


@pytest.mark.parametrize("name", ["profiles", "neuron_map"])
def test_a_changed_file_is_refused_or_the_same(tmp_path, name):
    path, generator = tmp_path / "r.npz", np.random.default_rng(3)
    result = make_value(RESULT_TYPES[name], generator)
    save_result(path, name, result)
    data = path.read_bytes()
    for _ in range(200):
        place = int(generator.integers(len(data)))
        path.write_bytes(
            data[:place]
            + bytes([data[place] ^ int(generator.integers(1, 256))])
            + data[place + 1 :]
        )
        try:
            # dates and such: bytes of the zip that mean nothing here
            assert same(load_result(path, name, RESULT_TYPES[name]), result)
        except ValueError:
            pass
    for cut in range(0, len(data), 61):
        path.write_bytes(data[:cut])
        with pytest.raises(ValueError):
            load_result(path, name, RESULT_TYPES[name])


def stored(path, text, **arrays):
    np.savez(path, json=np.frombuffer(text.encode(), np.uint8), **arrays)


GOOD = {"run": "r", "step": 1, "contexts": ["a"], "loss": 1.0, "bits_per_byte": 1.0} | {
    name: ["f8", 0, [1]]
    for name in (
        "loss_by_context",
        "tokens_by_context",
        "documents_by_context",
        "accuracy_by_context",
    )
}


@pytest.mark.parametrize(
    "change",
    [
        {"step": "1"},
        {"step": True},
        {"step": 1.0},
        {"loss": 1},
        {"run": None},
        {"contexts": "a"},
        {"contexts": [1]},
        {"loss_by_context": [1.0]},
        {"loss_by_context": ["f8", 0, [2]]},
        {"loss_by_context": ["f8", -1, [1]]},
        {"loss_by_context": ["f8", 0, [-1]]},
        {"loss_by_context": ["f8", 0, [1 << 40, 1 << 40]]},
        {"loss_by_context": ["f8", 0, [0] * 100]},
        {"loss_by_context": ["f4", 0, [1]]},
        {"loss_by_context": ["i8", 0, [1]]},
        {"loss_by_context": [["f8"], 0, [1]]},
        {"more": 1},
    ],
)
def test_a_hostile_result_is_refused(tmp_path, change):
    path = tmp_path / "r.npz"
    arrays = {"f8": np.ones(1), "i8": np.ones(1)}
    stored(path, json.dumps({"name": "losses", "result": GOOD}), **arrays)
    assert isinstance(load_result(path, "losses", LossReport), LossReport)
    with pytest.raises(ValueError):
        load_result(path, "trace", Trace)
    stored(path, json.dumps({"name": "losses", "result": GOOD | change}), **arrays)
    with pytest.raises(ValueError):
        load_result(path, "losses", LossReport)


def member(shape, data=b"", kind="<f8"):
    memory = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        memory, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    return memory.getvalue() + data


HOSTILE_MEMBERS = {
    "a petabyte": member((1 << 50,)),
    "negative": member((-1,), b"\0" * 8),
    "pickled": member((1,), b"\0" * 8, "|O"),
    "text": member((1,), b"\0" * 8, "<U2"),
    "empty": b"",
    "no array": b"x",
}


@pytest.mark.parametrize("data", HOSTILE_MEMBERS.values(), ids=HOSTILE_MEMBERS)
def test_a_hostile_array_takes_no_memory_and_is_never_unpickled(tmp_path, data):
    path = tmp_path / "r.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("json.npy", data)
    with pytest.raises(ValueError, match=r"r\.npz"):
        load_result(path, "losses", LossReport)


def test_equal_requests_have_equal_keys():
    request = {"run": "r", "step": 1, "temperature": 1.0, "text": "é"}
    assert request_key(request) == request_key(
        {"text": "é", "temperature": 1, "step": 1, "run": "r"}
    )
    assert (
        len(
            {
                request_key(request | change)
                for change in ({}, {"step": 2}, {"text": "e"}, {"temperature": 1.5}, {"step": None})
            }
        )
        == 5
    )
    with pytest.raises(ValueError):
        request_key({"temperature": float("nan")})


def test_a_run_stores_its_results_and_a_sample_stores_them_elsewhere(root):
    losses = make_value(LossReport, np.random.default_rng(4))
    own, sample = make_run(root), make_run(root.parent / "samples", "sample")
    for run in (own, sample):
        assert run.result("losses", {"step": 1}, LossReport) is None
        path = run.store_result("losses", {"step": 1}, losses)
        assert (
            same(run.result("losses", {"step": 1}, LossReport), losses)
            and run.result("losses", {"step": 2}, LossReport) is None
        )
        assert path.is_relative_to(root)
        path.write_bytes(b"damaged")
        assert run.result("losses", {"step": 1}, LossReport) is None, "computed anew, not shown"
    assert [entry.name for entry in sample.folder.iterdir()] == ["run.json"]


def test_typed_texts_do_not_fill_the_disk(root):
    run, losses = make_run(root), make_value(LossReport, np.random.default_rng(5))
    (run.folder / "analysis").mkdir()
    for number in range(MOST_RESULTS + 5):
        (run.folder / "analysis" / f"losses-{number:016x}.npz").write_bytes(b"")
    run.store_result("losses", {"step": 1}, losses)
    assert len(list((run.folder / "analysis").iterdir())) == MOST_RESULTS
    assert run.result("losses", {"step": 1}, LossReport) is not None


def test_snapshots_come_back_exactly_or_not_at_all(root):
    folder = make_run(root).folder
    snapshot = make_snapshot(100, np.random.default_rng(6))
    save_snapshot(folder, snapshot)
    assert same(load_snapshot(folder, 100), snapshot)
    with pytest.raises(ValueError, match="no snapshot of step 200"):
        load_snapshot(folder, 200)
    path = snapshot_path(folder, 100)
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    for name, wrong in {
        "segment_of": arrays["segment_of"] + 8,
        "signature": arrays["signature"][:2],
        "step": np.array(7),
    }.items():
        np.savez(path, **{**arrays, name: wrong.astype(arrays[name].dtype)})
        with pytest.raises(ValueError, match="damaged"):
            load_snapshot(folder, 100)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError):
        load_snapshot(folder, 100)
