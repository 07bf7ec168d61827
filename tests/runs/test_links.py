"""Nothing outside a run folder is written, shortened or deleted through it, whatever lies in it
under the names that are ours."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.engine.jobs import launch
from cpart_core.corpus.build import build_corpus
from cpart_core.corpus.store import save_corpus
from cpart_core.files.plain import NotPlain, open_plain, open_to_add, plain_folder, read_plain
from cpart_core.runs.atomic import clear_leftovers
from cpart_core.runs.commands import send_command
from cpart_core.runs.control import RunLock, is_training, last_holder
from cpart_core.runs.database import DATABASE
from cpart_core.runs.folder import delete_run, list_runs, open_run, rename_run
from cpart_core.runs.record_writer import RecordWriter
from cpart_core.runs.snapshots import truncate_snapshots
from cpart_core.runs.training_session import run_training
from tests.runs.strange import RESULT, sound_run
from tests.runs.tiny import TINY, gathered, tiny_run

OUR_FILES = (
    "lock",
    "log.txt",
    DATABASE,
    f"{DATABASE}-wal",
    f"{DATABASE}-shm",
    f"{DATABASE}-journal",
)
OUR_FOLDERS = ("snapshots", "checkpoints", "corpus", "analysis")


@pytest.fixture
def outside(tmp_path):
    """Somebody's folder, which must be the same in the end, times and all."""
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in (
        "file",
        ".tmp-1",
        "step-00000007.npz",
        "corpus.npz",
        "corpus.json",
        "run.json",
        "MANIFEST.json",
        "step-00000099",
    ):
        (folder / name).write_bytes(b"somebody's " * 1000)
    before = picture(folder)
    yield folder
    assert picture(folder) == before


def picture(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path.relative_to(folder)): (
            path.read_bytes(),
            path.stat().st_mtime_ns,
            path.stat().st_mode,
        )
        for path in folder.iterdir()
    }


def do_everything(run) -> list[str]:
    """All that writes into a run; what was refused, in words."""
    corpus = build_corpus(gathered(), TINY.corpus, 0)
    refused = []

    def start():
        with RecordWriter(run.folder) as writer:
            writer.event("start")

    def lock():
        with RunLock(run.folder):
            pass

    for task in (
        *(start, lock, lambda: send_command(run.folder, "stop"), lambda: launch(run, [])),
        *(
            lambda: truncate_snapshots(run.folder, 1),
            lambda: save_corpus(corpus, run.folder / "corpus"),
        ),
        *(
            lambda: run.store_result(RESULT[0], RESULT[1], None),
            lambda: rename_run(run.id, "another"),
        ),
    ):
        try:
            task()
        except (ValueError, AssertionError, OSError) as error:
            refused.append(str(error))
    for name in OUR_FOLDERS:
        clear_leftovers(run.folder / name)
    list_runs()
    return refused


@pytest.mark.parametrize("name", [*OUR_FILES, *OUR_FOLDERS])
@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_link_is_not_followed(root, outside, name, link, monkeypatch):
    monkeypatch.setattr(
        "app.engine.jobs.subprocess",
        SimpleNamespace(DEVNULL=-3, Popen=lambda *_, **__: SimpleNamespace(wait=lambda: 0)),
    )
    if name in OUR_FOLDERS and link is os.link:
        pytest.skip("folders have no second name")
    run = tiny_run(steps=2)
    (run.folder / name).unlink(missing_ok=True)
    link(outside if name in OUR_FOLDERS else outside / "file", run.folder / name)
    refused = do_everything(run)
    if name in OUR_FOLDERS:
        with pytest.raises(NotPlain, match=name):
            run_training(run, restart=True)
    assert all(len(sentence) < 500 for sentence in refused)
    assert name == "checkpoints" or any(name in sentence for sentence in refused)
    delete_run(run.id)
    assert list_runs() == []


def test_a_strange_lock_neither_hangs_nor_counts_and_such_a_run_can_be_deleted(root):
    run = sound_run(root, "strange")
    (run.folder / "lock").unlink()
    os.mkfifo(run.folder / "lock")
    assert not is_training(run.folder) and last_holder(run.folder).after == -1
    with pytest.raises(NotPlain, match="pipe"):
        RunLock(run.folder).acquire()
    delete_run(run.id)
    assert list_runs() == []


def test_files_are_opened_by_their_own_names_alone(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_bytes(b"x")
    assert read_plain(tmp_path, "deep/er/file", 1) == b"x"
    with pytest.raises(ValueError, match="larger"):
        read_plain(tmp_path, "deep/er/file", 0)
    os.symlink(tmp_path / "deep", tmp_path / "way")
    with pytest.raises(NotPlain, match="way is a link"):
        read_plain(tmp_path, "way/er/file", 1)
    with pytest.raises(NotPlain, match="way"):
        plain_folder(tmp_path, "way/new", make=True)
    assert not (tmp_path / "deep" / "new").exists()
    with open_to_add(tmp_path, "deep/log") as log:
        log.write(b"a")
    assert (tmp_path / "deep" / "log").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path, "deep/none")


def test_the_journal_of_another_database_is_not_rolled_back(root, outside):
    """SQLite deletes the file that such a journal names, wherever it is."""
    run = tiny_run(steps=2)
    RecordWriter(run.folder).close()
    name = str(outside / "file").encode()
    length = len(name).to_bytes(4, "big")
    tail = (
        name
        + length
        + (sum(name) & 0xFFFFFFFF).to_bytes(4, "big")
        + b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
    )
    (run.folder / f"{DATABASE}-journal").write_bytes(bytes(512) + tail)
    with pytest.raises(ValueError, match="journal names a file elsewhere"):
        RecordWriter(run.folder)
    assert open_run(run.id).state().state == "damaged"
