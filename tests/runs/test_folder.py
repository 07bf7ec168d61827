"""Runs are found, opened, renamed and deleted by id alone, and nothing on the disk makes the list
fail."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import pytest

from cpart_core.runs.control import RunLock
from cpart_core.runs.database import DATABASE
from cpart_core.runs.folder import delete_run, list_runs, new_run_id, open_run, rename_run
from cpart_core.runs.info import RunInfo, clean_name
from cpart_core.runs.origin import Trained
from cpart_core.runs.record_writer import RecordWriter
from cpart_core.runs.unlisted import unlisted
from tests.runs.made import make_record, make_run

HOSTILE = [
    "",
    ".",
    "..",
    "../runs",
    "/etc",
    "a/b",
    "a\\b",
    ".cache",
    ".tmp-x",
    "A",
    "a\n",
    "a\x00",
    "-a",
    "a" * 65,
    "ä",
    "con:",
    "a.b",
    "%2e",
]


@pytest.mark.parametrize("run_id", HOSTILE)
def test_a_hostile_id_is_no_path(root, run_id):
    (root / ".cache").mkdir()
    make_run(root)
    for call in (open_run, delete_run, lambda hostile: rename_run(hostile, "name")):
        with pytest.raises(ValueError):
            call(run_id)
    assert len(list_runs()) == 1


def test_a_link_out_of_the_root_is_no_run(root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "run.json").write_text("{}")
    os.symlink(outside, root / "20260101-000000-link")
    assert list_runs() == []
    with pytest.raises(ValueError, match="no run"):
        open_run("20260101-000000-link")
    run = make_run(root)
    (run.folder / "run.json").rename(outside / "other.json")
    os.symlink(outside / "other.json", run.folder / "run.json")
    assert [entry.state.state for entry in list_runs()] == ["damaged"]


def test_what_cannot_be_listed_is_said_with_what_to_do(root, monkeypatch):
    run = make_run(root)
    shutil.copytree(run.folder, root / "Good_Copy")
    shutil.copytree(run.folder, root / "good-copy")
    os.symlink(run.folder, root / "linked")
    assert {entry.id for entry in list_runs()} == {
        run.id,
        "good-copy",
    }, "a copy is a run of its own"
    assert open_run("good-copy").info == replace(run.info, id="good-copy")
    said = {entry.name: entry.reason for entry in unlisted()}
    assert set(said) == {"Good_Copy", "linked"}
    assert "Rename this one to good-copy-2." in said["Good_Copy"] and "link" in said["linked"]
    monkeypatch.setenv("CPART_RUNS", str(run.folder / "run.json"))
    assert [entry.reason[:47] for entry in unlisted()] == [
        "The place of the runs is a file and not a folde"
    ] and list_runs() == []


def test_samples_come_first_then_the_newest(root):
    for run_id in ("20260101-000000-aaaa", "20260301-000000-aaaa", "20260201-000000-aaaa"):
        make_run(root, run_id)
    for name in ("b-sample", "a-sample"):
        make_run(root.parent / "samples", name)
    listed = [(entry.id, entry.read_only) for entry in list_runs()]
    assert [name for name, _ in listed][:3] == ["a-sample", "b-sample", "20260301-000000-aaaa"]
    assert [read_only for _, read_only in listed] == [True, True, False, False, False]
    assert listed[-1][0] == "20260101-000000-aaaa"


def test_samples_are_only_for_looking_at_but_can_be_made(root, monkeypatch):
    make_run(root.parent / "samples", "sample")
    for call in (delete_run, lambda run_id: rename_run(run_id, "mine")):
        with pytest.raises(ValueError, match="sample"):
            call("sample")
    monkeypatch.setenv("CPART_RUNS", str(root.parent / "samples"))
    assert not open_run("sample").read_only


def test_ids_are_new_and_their_own_folder_names(root):
    ids = {new_run_id() for _ in range(200)}
    assert len(ids) > 190
    assert all(make_run(root, run_id).id == run_id for run_id in sorted(ids)[:3])


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("run.json", None),
        ("run.json", b""),
        ("run.json", b"{"),
        ("run.json", b"[" * 100_000),
        ("run.json", b"\xff\xfe"),
        ("run.json", b"null"),
        ("run.json", b"x" * 5_000_000),
        (DATABASE, b"not a database at all, but long enough to be looked at as one" * 20),
    ],
)
def test_a_damaged_run_is_listed_with_the_reason(root, file, content):
    run = make_run(root)
    RecordWriter(run.folder).close()
    make_run(root, "20250101-000000-good")
    (run.folder / file).unlink()
    if content is not None:
        (run.folder / file).write_bytes(content)
    broken, good = list_runs()
    assert (
        broken.id == run.id and broken.state.state == "damaged" and file in broken.state.last_words
    )
    assert good.state.state == "new"


def test_info_comes_back_and_every_wrong_field_is_refused(root):
    info = replace(
        make_run(root).info,
        versions={"torch": "2.13"},
        origin=Trained("20260102-030405-abcd", "dense"),
        discovered=True,
    )
    assert RunInfo.from_json(info.to_json()) == info
    data = json.loads(info.to_json())
    with pytest.raises(ValueError, match="sha256"):
        RunInfo.from_json(json.dumps({**data, "name": "another"}))
    del data["sha256"]  # as earlier releases wrote it
    for name in data:
        for wrong in (
            None,
            1.5,
            [1],
            {"a": 1},
            -1,
            "../x" if name == "id" else b"".hex() or [None],
        ):
            with pytest.raises(ValueError):
                RunInfo.from_json(json.dumps({**data, name: wrong}))
        without = json.dumps({other: value for other, value in data.items() if other != name})
        if name in ("format", "id", "name", "created", "settings"):
            with pytest.raises(ValueError, match=name):
                RunInfo.from_json(without)
        else:
            assert RunInfo.from_json(without) == replace(
                info, **{name: getattr(RunInfo("a", "", "", info.settings), name)}
            )
    with pytest.raises(ValueError):
        RunInfo.from_json(json.dumps({**data, "surprise": 1}))


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ("  my\n run\t2 ", "my run 2"),
        ("a\u202eb\u2066c\x00\x1b[31m", "abc[31m"),
        ("x" * 200, "x" * 80),
        ("<b>&amp;", "<b>&amp;"),
        ("می\u200cخواهم 👩\u200d💻", "می\u200cخواهم 👩\u200d💻"),
        ("\ud800", ""),
    ],
)
def test_names_become_labels(root, given, label):
    assert clean_name(given) == label
    run = make_run(root)
    if label:
        rename_run(run.id, given)
        assert open_run(run.id).info == replace(run.info, name=label)
    else:
        with pytest.raises(ValueError, match="visible"):
            rename_run(run.id, given)


def test_a_run_being_trained_is_not_deleted(root):
    run = make_run(root)
    with RecordWriter(run.folder) as writer:
        writer.append(make_record(1))
    with RunLock(run.folder):
        with pytest.raises(ValueError, match="being trained"):
            delete_run(run.id)
    delete_run(run.id)
    assert list(root.iterdir()) == [] and list_runs() == []
