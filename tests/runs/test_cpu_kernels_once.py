"""Whether a run uses compiled CPU kernels is decided once: none arrives in its midst, and the first
training of a machine is as all others."""

from __future__ import annotations

import json
import subprocess
import sys

from cpart_core.runs import session_phases as session_module
from cpart_core.runs.session_phases import ExitCode
from cpart_core.runs.training_session import run_training
from tests.runs.test_session import send_at
from tests.runs.tiny import tiny_run
from tests.source_files import ROOT

TRAIN = """
import sys
from cpart_core.runs.folder import open_run
from cpart_core.runs.training_session import ExitCode, run_training
assert run_training(open_run(sys.argv[1])) == ExitCode.DONE
numbers = sys.modules.get("cpart_core.model.kernels.cpu.numbers")
print("none" if numbers is None else numbers.seconds_compiling())
"""


def seconds_compiling(run) -> str:
    """Of a process that only trains it; "none" when it never loaded numba."""
    return subprocess.run(
        [sys.executable, "-c", TRAIN, run.id], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def stored(run) -> bool:
    return json.loads(
        (run.checkpoint_folder(run.checkpoint_steps()[-1]) / "state.json").read_text()
    )["passes"]


def test_a_trainer_compiles_nothing_itself():
    large = tiny_run(batch_size=8, steps=30, freeze_step=24)
    assert seconds_compiling(large) == "0.0" and stored(large)


def test_a_run_of_small_steps_never_uses_cpu_kernels_though_some_of_its_tensors_are_large():
    small = tiny_run()
    assert seconds_compiling(small) == "none" and not stored(small)


def test_a_run_that_began_without_cpu_kernels_goes_on_without(monkeypatch):
    """The machine could not compile then; it can now. The records are those of a run that never
    could."""
    runs = [tiny_run(batch_size=8) for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(session_module, "all_compiled", lambda: False)
        patch.setattr(session_module, "compiled_by_another", lambda look: False)
        assert run_training(runs[0]) == ExitCode.DONE
        assert run_training(runs[1], send_at(runs[1], (12, "stop"))) == ExitCode.DONE
    assert any("without them" in event.message for event in runs[0].events())
    assert run_training(runs[1]) == ExitCode.DONE
    assert not stored(runs[0]) and not stored(runs[1])
    assert (runs[0].records().loss == runs[1].records().loss).all()


def test_a_run_that_goes_on_elsewhere_says_so():
    run = tiny_run()
    run_training(run, send_at(run, (12, "stop")))
    folder = run.checkpoint_folder(12)
    numbers = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**numbers, "device": "cuda"}))
    from cpart_core.runs.manifest import write_manifest

    write_manifest(folder)
    assert run_training(run) == ExitCode.DONE
    assert [event.message for event in run.events() if "cuda" in event.message] == [
        "From step 12 on trained on cpu, until then on cuda: the same up to rounding."
    ]
