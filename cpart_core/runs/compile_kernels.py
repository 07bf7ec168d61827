"""CPU kernels compiled by a process that does nothing else, so that whoever trains finds them
compiled, the first time too."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from cpart_core.model.kernels.cpu.compiled_mark import all_compiled
from cpart_core.runs.child import python_child

LOOK_SECONDS = 0.2


def compiled_by_another(look: Callable[[], None]) -> bool:
    """Whether all CPU kernels are there afterwards. `look` is called every LOOK_SECONDS; what it
    raises ends the compiling."""
    child = python_child("cpart_core", "warm", "--kernels")
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            child.command,
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            env=child.environment,
            cwd=child.folder,
        )
    except OSError:
        return False
    with process:
        try:
            while process.poll() is None:
                look()
                time.sleep(LOOK_SECONDS)
        finally:
            process.terminate()
    return process.returncode == 0 and all_compiled()
