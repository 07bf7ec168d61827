"""The TensorBoard mirror says what the records say, and how to install it when it is not there."""

from __future__ import annotations

import importlib.util

import pytest

from cpart_core.runs import mirror
from cpart_core.runs.folder import open_run
from cpart_core.runs.training_session import run_training
from tests.runs.tiny import tiny_run


def test_events_are_the_records():
    pytest.importorskip("tensorboard", reason="an extra")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tiny_run(steps=12, mirror="tensorboard")
    run_training(run)
    run = open_run(run.id)
    events = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    losses = events.Scalars("loss/train")
    assert [event.step for event in losses] == list(run.records().step)
    assert [event.value for event in losses] == pytest.approx(list(run.records().loss))
    assert {f"validation/{name}" for name in run.info.contexts} <= set(events.Tags()["scalars"])


def test_a_missing_package_is_said_before_anything_starts(monkeypatch):
    monkeypatch.setattr(
        mirror,
        "find_spec",
        lambda name: None if name == "tensorboard" else importlib.util.find_spec(name),
    )
    with pytest.raises(ValueError, match=r"\.\[tensorboard\]"):
        tiny_run(mirror="tensorboard")
