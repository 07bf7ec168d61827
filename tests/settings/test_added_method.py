"""Adding a method is one file and one line in a visible list: a made-up fusion and a made-up
partition method, each with a setting of its own, are put into the lists here and nowhere else.
They train, are flags, stand in help, form and JSON, and open again from a run folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from cpart_core.cli.command_list import build_parser
from cpart_core.cli.flags import settings_from_flags
from cpart_core.model.carve import carve
from cpart_core.model.fusion.base import Fusion, FusionInput, Size, Tensors, Weight
from cpart_core.model.fusion.methods import FUSIONS
from cpart_core.model.permute import partition_of
from cpart_core.partition.base import PartitionMethod
from cpart_core.partition.methods import METHODS
from cpart_core.runs.checkpoint import load_model
from cpart_core.runs.create import command_of
from cpart_core.runs.folder import open_run
from cpart_core.runs.training_session import ExitCode, run_training
from cpart_core.settings.effect import effective, without_effect
from cpart_core.settings.fields.setting import setting
from cpart_core.settings.run import Settings
from cpart_core.training.estimate import count_parameters
from tests.app.conftest import root as root
from tests.app.made import fine, page
from tests.runs.tiny import tiny_run


@dataclass(frozen=True)
class Linear(Fusion):
    """One linear map to all segments."""

    name: ClassVar[str] = "linear"
    help: ClassVar[str] = "one linear map"
    learns: ClassVar[bool] = True

    linear_gain: float = setting(1.0, "Factor of the map's numbers", low=0.1, high=10.0)

    def weights(self, size: Size) -> tuple[Weight, ...]:
        return (Weight("map", (size.num_segments, size.width), segment_axis=0),)

    def alpha(self, weights: Tensors, given: FusionInput) -> torch.Tensor:
        scores = given.x_BTD.float() @ weights["map"].T
        return (self.linear_gain * scores).softmax(dim=-1)


@dataclass(frozen=True)
class Striped(PartitionMethod):
    """Stripes of neighbours in turn; no shared segment."""

    name: ClassVar[str] = "striped"
    help: ClassVar[str] = "stripes"

    stripe: int = setting(1, "Neighbours in one stripe", low=1, high=64, unit="neurons")

    def assign(
        self,
        evidence: object,
        num_neurons: int,
        num_segments: int,
        num_shared: int,
        previous: np.ndarray | None,
        seed: int,
    ) -> np.ndarray:
        return (np.arange(num_neurons) // self.stripe % num_segments).astype(np.int16)


CHOSEN = {"fusion": "linear", "linear_gain": 2.0, "method": "striped", "stripe": 4}


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The one line of each."""
    monkeypatch.setitem(FUSIONS, Linear.name, Linear)
    monkeypatch.setitem(METHODS, Striped.name, Striped)
    yield


def parsed(*words: str) -> Settings:
    return settings_from_flags(
        build_parser(["train"]).parse_args(["train", *words]), lambda _: None
    )


def test_it_trains_and_opens_again(tmp_path, monkeypatch):
    monkeypatch.setenv("CPART_RUNS", str(tmp_path))
    run = tiny_run(**CHOSEN, execution="topk")
    assert run_training(run) == ExitCode.DONE
    run = open_run(run.id)
    assert run.settings.model.fusion == Linear(linear_gain=2.0)
    assert run.settings.partition.method == Striped(stripe=4)
    assert run.changes().step.tolist() == [6], "it does not recluster, so it is made once"
    records = run.records()
    assert records.loss[-1] < records.loss[0] and records.affinity_loss.max() > 0
    model = load_model(run, 40).model
    striped = np.arange(32) // 4 % 4
    assert {tuple(np.bincount(row[striped == 0])) for row in partition_of(model).segment_of} <= {
        (8,), (0, 8), (0, 0, 8), (0, 0, 0, 8)
    }, "a segment's neurons are a stripe, whatever its number"  # fmt: skip
    counted = run.settings.with_values({"vocabulary_size": run.info.vocabulary_size})
    assert count_parameters(counted) == sum(p.numel() for p in model.parameters())
    smaller = carve(model, np.array([[0, 2], [1, 3]]))
    assert [tuple(layer.fusion.map.shape) for layer in smaller.feedforwards()] == [(2, 32)] * 2
    assert smaller(torch.zeros(1, 8, dtype=torch.int64)).isfinite().all()


def test_it_is_a_flag_and_stands_in_help(capsys):
    settings = parsed("--fusion=linear", "--linear-gain=2", "--method=striped", "--stripe=4")
    assert settings == Settings().with_values(CHOSEN)
    assert effective(parsed(*command_of(settings).split()[4:])) == effective(settings)
    with pytest.raises(SystemExit):
        build_parser(["train", "--help-all"]).parse_args(["train", "--help-all"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--fusion {uniform,attention,random,oracle,linear}" in said and "one linear map" in said
    assert "--linear-gain NUMBER Factor of the map's numbers (0.1 to 10; default 1)" in said
    assert "Takes effect where execution is soft or topk and fusion is linear." in said
    assert "--stripe INT Neighbours in one stripe (1 to 64 neurons; default 1)" in said


def test_what_takes_effect_with_it_follows_from_what_it_says_of_itself():
    with pytest.raises(ValueError, match="linear_gain was given, but it takes effect only where"):
        parsed("--linear-gain", "2")
    idle = without_effect(
        Settings().with_values(CHOSEN), [item.name for _, item, _ in Settings().items()]
    )
    assert {"pooling", "fusion_width", "every", "freeze_step"} <= set(idle)
    assert not {"linear_gain", "stripe", "affinity_weight", "balance"} & set(idle), "it learns"


def test_it_stands_in_json_with_what_it_owns_and_is_checked():
    settings = Settings().with_values(CHOSEN)
    group = settings.to_dict()["model"]
    assert group["fusion"] == "linear" and group["linear_gain"] == 2.0 and "pooling" not in group
    assert Settings.from_json(settings.to_json()) == settings
    with pytest.raises(ValueError, match=r"model.linear_gain is 99.0; allowed: 0.1 to 10"):
        settings.with_values({"linear_gain": 99.0}).check()


def test_it_stands_in_the_form(root):
    app = page("train")
    fusion = next(box for box in app.selectbox if box.label == "Fusion")
    assert "linear" in fusion.options
    gain = next(box for box in app.number_input if box.label == "Linear gain")
    assert gain.disabled and "fusion is linear" in gain.help
    fusion.set_value("linear").run()
    gain = next(box for box in fine(app).number_input if box.label == "Linear gain")
    assert not gain.disabled
    assert next(box for box in app.number_input if box.label.startswith("Fusion width")).disabled
