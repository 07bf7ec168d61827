"""No flipped byte passes; what was being written when its writer died is never taken for whole."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from cpart_core.runs.atomic import clear_leftovers, remove_folder, write_file, writing_folder
from cpart_core.runs.manifest import MANIFEST, verify, write_manifest
from tests.runs.made import start_python


@pytest.fixture
def folder(tmp_path):
    """A small folder with a manifest."""
    place = tmp_path / "step-00000100"
    (place / "deep").mkdir(parents=True)
    (place / "model.safetensors").write_bytes(np.random.default_rng(0).bytes(3000))
    (place / "deep" / "config.json").write_text('{"step": 100}')
    (place / "empty").write_bytes(b"")
    write_manifest(place)
    verify(place)
    return place


@pytest.mark.parametrize("name", ["model.safetensors", "deep/config.json", MANIFEST])
def test_every_flipped_byte_is_caught_and_its_file_named(folder, name):
    path, generator = folder / name, np.random.default_rng(1)
    data = path.read_bytes()
    places = (
        range(len(data)) if len(data) < 300 else generator.choice(len(data), 300, replace=False)
    )
    for place in map(int, places):
        path.write_bytes(
            data[:place]
            + bytes([data[place] ^ int(generator.integers(1, 256))])
            + data[place + 1 :]
        )
        with pytest.raises(ValueError) as caught:
            verify(folder)
        assert name == MANIFEST or name in str(caught.value)
    path.write_bytes(data)
    verify(folder)


def test_missing_added_shortened_and_linked_files_are_caught(folder, tmp_path):
    model = folder / "model.safetensors"
    data = model.read_bytes()
    model.unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors is missing"):
        verify(folder)
    os.symlink(tmp_path / "elsewhere", model)
    (tmp_path / "elsewhere").write_bytes(data)
    with pytest.raises(ValueError, match="link"):
        verify(folder)
    model.unlink()
    model.write_bytes(data[:-1])
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        verify(folder)
    model.write_bytes(data)
    (folder / "extra").write_bytes(b"")
    with pytest.raises(ValueError, match="extra"):
        verify(folder)
    verify(folder, leave_out=("extra",))
    (folder / MANIFEST).unlink()
    with pytest.raises(ValueError, match=MANIFEST):
        verify(folder)


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "checkpoint"
    for content in ("old", "new"):
        with writing_folder(target) as draft:
            (draft / "file").write_text(content)
            assert not target.exists() or (target / "file").read_text() == "old"
    with pytest.raises(RuntimeError), writing_folder(target) as draft:
        (draft / "file").write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"] and (
        target / "file"
    ).read_text() == "new"
    remove_folder(target)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from cpart_core.runs import atomic
root = Path(sys.argv[1])
atomic.write_file(root / "file", b"old")
atomic.os.replace = lambda old, new: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "file":
    atomic.write_file(root / "file", b"new")
with atomic.writing_folder(root / "folder") as draft:
    (draft / "file").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_kill_while_writing_leaves_what_was_and_a_leftover_to_clear(tmp_path, what):
    process = start_python(KILLED, tmp_path, what)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "file").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    clear_leftovers(tmp_path, older_than_seconds=60)
    assert len(list(tmp_path.iterdir())) == 2, "a young one may be at work"
    clear_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_refused_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_file(tmp_path / "file", b"old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_file(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (
        tmp_path / "file"
    ).read_bytes() == b"old"
