"""A process that imports torch once and forks trainers on demand, so that a test can kill many without paying for each start.

Lines in: the id of a run. Lines out: the process number of its trainer, then, when that has ended, its exit status.
"""

from __future__ import annotations

import os
import sys

import cpart_core.runs.drive  # noqa: F401  what a trainer would import
from cpart_core.runs.folder import open_run
from cpart_core.runs.session import run_training


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = int(run_training(open_run(line.strip())))
            finally:
                os._exit(status)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()
