"""Laws of compiled layers: they compute what is written, only the steps that use them are compiled,
and where they cannot be had it is said."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import torch

from cpart_core.bench.report.save import PROJECT
from cpart_core.training import compile_layers as compiled
from cpart_core.training.loop import Trainer
from cpart_core.training.process_group import ProcessGroup
from tests.training.made import made_corpus, made_settings

EARLY = {"first_step": 1, "fusion_step": 1, "freeze_step": 1, "signature_every": 1}
"""The first step is not fused yet and the fourth is the next that measures signatures: neither
compiles."""
there = any(map(shutil.which, compiled.COMPILERS))


@pytest.mark.skipif(not there, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.filterwarnings("default")  # torch's own while it compiles: they are of its insides
@pytest.mark.parametrize("execution", ["soft", "topk"])
def test_compiled_layers_compute_what_is_written(execution):
    settings = made_settings(execution=execution, precision="fp32", num_layers=2, **EARLY)
    plain, fast = (
        Trainer(settings.with_values({"compile": how}), made_corpus()) for how in ("off", "layers")
    )
    for number, compiles in ((1, False), (2, True), (3, False), (4, False)):
        expected, record = plain.train_step(), fast.train_step()
        assert bool(record.seconds_to_compile) == compiles and not expected.seconds_to_compile, (
            number
        )
        assert record.loss == pytest.approx(expected.loss, rel=1e-5)
        for (name, mine), wanted in zip(
            fast.model.named_parameters(), plain.model.parameters(), strict=True
        ):
            if wanted.grad is not None:
                scale = float(wanted.grad.abs().max())
                torch.testing.assert_close(
                    mine.grad,
                    wanted.grad,
                    rtol=1e-3,
                    atol=1e-4 * scale,
                    msg=lambda said, name=name: f"{name}: {said}",
                )
        # so that Adam's rounding cannot part them
        fast.model.load_state_dict(plain.model.state_dict())
    assert set(fast.weights()) == set(plain.weights()), (
        "compiling renames nothing: a checkpoint is as always"
    )
    torch.testing.assert_close(
        torch.from_numpy(fast.state.signatures.mean()),
        torch.from_numpy(plain.state.signatures.mean()),
        rtol=1e-4,
        atol=1e-7,
    )


def test_where_it_cannot_be_had_it_is_said(monkeypatch):
    settings = made_settings(compile="layers")
    with pytest.raises(ValueError, match="compile is 'layers' with 2 processes"):
        compiled.compile_layers(
            torch.nn.Module(), settings.training, torch.device("cpu"), ProcessGroup(size=2)
        )
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=r"needs a C\+\+ compiler"):
        Trainer(settings, made_corpus())
    assert not Trainer(made_settings(), made_corpus()).state.compiled


def test_whoever_does_not_compile_does_not_load_compilers():
    code = (
        "import sys, cpart_core.training.loop; sys.exit('torch._dynamo' in sys.modules or 'numba'"
        " in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0, (
        "they take a second"
    )
