"""Laws of several processes: they train what one would, a copy or a part of the weights in each,
and any of them goes on where another stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cpart_core.training.device import set_threads
from cpart_core.training.loop import Trainer
from cpart_core.training.process_group import SINGLE_PROCESS, ProcessGroup, group_of_environment
from tests.source_files import ROOT
from tests.training.made import made_corpus, made_settings
from tests.training.pair import CASES, DDP_ALONE, PARTS, STOP, read, settings_of, start_pair, train


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process left, and what two did; two also went on where one stopped, with copies to
    step 9, with parts to the end."""
    root = tmp_path_factory.mktemp("pair")
    train("topk", root / "alone-half", until=STOP)
    pair = start_pair(["-W", "error", "-m", "tests.training.pair", str(root)], cwd=ROOT)
    try:
        for case in CASES:
            train(case, root / "alone" / case)
        for process in pair:
            said, _ = process.communicate(timeout=200)
            assert process.returncode == 0, said
    finally:
        for process in pair:
            # nothing where it has ended; a trainer whose partner failed would wait on for it
            process.kill()
            process.wait()
    return root


def assert_alike(ours: Path, theirs: Path) -> None:
    """Records, weights and all state, to rounding; segments exactly."""
    pairs = [json.loads((folder / "records.json").read_text()) for folder in (ours, theirs)]
    for mine, other in zip(pairs[0], pairs[1][-len(pairs[0]) :], strict=True):
        assert mine.keys() == other.keys()
        for name, value in mine.items():
            exact = name in ("segment_of", "churn", "counts", "tokens", "learning_rate")
            a, b = np.array(value, dtype=float), np.array(other[name], dtype=float)
            np.testing.assert_allclose(
                a, b, rtol=0 if exact else 3e-5, atol=0 if exact else 1e-6, err_msg=name
            )
    assert any(record.get("segment_of") for record in pairs[0])
    for a, b in zip(read(ours)[:2], read(theirs)[:2], strict=True):
        assert a.keys() == b.keys()
        for name, tensor in a.items():
            # Adam divides small gradients by their own size: rounding weighs more in weights than
            # in what they compute.
            torch.testing.assert_close(tensor, b[name], rtol=1e-4, atol=1e-4, msg=name)
    assert read(ours)[2] == read(theirs)[2]


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_what_one_does(left: Path, case: str, parallel: str) -> None:
    if case in DDP_ALONE and parallel == "fsdp":
        with pytest.raises(ValueError, match=r"parallel is fsdp.*w_gate\[0:0:12\]"):
            Trainer(
                settings_of(case, parallel=parallel), made_corpus(), ProcessGroup(0, 2), PARTS[case]
            )
        return
    assert_alike(left / parallel / case, left / "alone" / case)


def test_one_two_with_copies_two_with_parts_is_never_stopped(left: Path) -> None:
    assert_alike(left / "rest", left / "alone" / "topk")


def test_one_goes_on_where_two_stopped(left: Path, tmp_path: Path) -> None:
    train("topk", tmp_path / "rest", begin=left / "half")
    assert_alike(tmp_path / "rest", left / "alone" / "topk")


def test_every_process_needs_a_row() -> None:
    with pytest.raises(ValueError, match="batch_size is 2, but 3 processes"):
        Trainer(made_settings(batch_size=2), made_corpus(), ProcessGroup(0, 3))


@pytest.mark.parametrize("rows", [1, 5, 6, 16])
def test_shares_of_rows_are_all_rows_once_and_even(rows: int) -> None:
    parts = [range(rows)[ProcessGroup(rank, 4).share(rows)] for rank in range(4)]
    assert [row for part in parts for row in part] == list(range(rows))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_environment_says_who_a_process_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert group_of_environment() is SINGLE_PROCESS
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match="torchrun"):
        group_of_environment()
    for name, value in (("RANK", "3"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    assert group_of_environment() == ProcessGroup(3, 4, 1, 2)


def test_processes_of_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(9)), raising=False)
    chosen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    assert (
        [
            set_threads(made_settings(threads=0).training, ProcessGroup(0, size, 0, size))
            for size in (1, 2, 16)
        ]
        == [8, 4, 1]
        == chosen
    )


@pytest.mark.parametrize(("size", "said"), [("1", "said\ntaken apart\n"), ("2", "said\n")])
def test_a_command_of_one_of_several_ends_with_its_code_and_is_not_taken_apart(
    monkeypatch: pytest.MonkeyPatch, size: str, said: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", size)
    program = (
        "import atexit, runpy; atexit.register(print, 'taken apart'); print('said');"
        " runpy.run_module('cpart_core', run_name='__main__')"
    )
    command = [sys.executable, "-c", program, "evaluate", "not-there"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, said) and ended.stderr.startswith(
        "error: There is no run not-there"
    )
