"""Whatever lies in one run folder, the list of runs stands, and reading that run costs a page a
bounded piece of memory and time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.runs.strange import STRANGE
from tests.source_files import ROOT

MOST_MEGABYTES = 50
MOST_SECONDS = 60
"""Of CPU for all of them together, set as a limit on the process: what never ends is ended by the
system."""

CODE = """
import resource, sys, json
from pathlib import Path
resource.setrlimit(resource.RLIMIT_CPU, ({most}, {most}))
from tests.runs.strange import costs
print(json.dumps({{what: taken.megabytes for what, taken in costs(Path(sys.argv[1])).items()}}))
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="the peak of a process's memory can be set back on Linux alone"
)
def test_no_folder_costs_a_page_much(root):
    import json

    command = [sys.executable, "-c", CODE.format(most=MOST_SECONDS), str(root)]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    taken = json.loads(done.stdout.splitlines()[-1])
    assert set(taken) == set(STRANGE)
    assert not {what: megabytes for what, megabytes in taken.items() if megabytes > MOST_MEGABYTES}
