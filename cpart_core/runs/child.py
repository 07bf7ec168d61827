"""How every process of ours is started: Python imports CPart, and nothing that lies in a folder of
runs.

With a working directory of its own, `python -m` imports what lies there first, and a run folder may
be somebody else's. So children work in the project's root, `-P` keeps their working directory off
the path, and of a person's PYTHONPATH only whole paths outside the runs are kept.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cpart_core.files.paths import PROJECT
from cpart_core.runs.folder import runs_root, sample_root


class Child(NamedTuple):
    """What `subprocess` is to be given: `Popen(child.command, env=child.environment,
    cwd=child.folder, ...)`."""

    command: list[str]
    environment: dict[str, str]
    folder: Path


def python_child(module: str, *words: str, changes: Mapping[str, str] | None = None) -> Child:
    """A process of this Python that runs `module` with the arguments `words`; its roots of runs are
    ours.

    changes: further variables of its environment.
    """
    ours = {
        "CPART_RUNS": str(runs_root()),
        "CPART_SAMPLES": str(sample_root()),
        "PYTHONPATH": os.pathsep.join(import_path(os.environ.get("PYTHONPATH", ""))),
        "PYTHONSAFEPATH": "1",  # for the processes that libraries start in turn
    }
    return Child(
        [sys.executable, "-P", "-m", module, *words],
        {**os.environ, **ours, **(changes or {})},
        PROJECT,
    )


def import_path(given: str) -> list[str]:
    """The project's root, then the entries of a PYTHONPATH that mean the same wherever one stands
    and do not lie among the runs."""
    entries = [Path(entry) for entry in given.split(os.pathsep) if entry]
    among_runs = (runs_root().resolve(), sample_root().resolve())
    kept = [
        entry
        for entry in entries
        if entry.is_absolute()
        and not any(entry.resolve().is_relative_to(root) for root in among_runs)
    ]
    return [str(PROJECT), *(str(entry) for entry in kept if entry != PROJECT)]
