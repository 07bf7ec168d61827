"""`python -m tests.abuse`: does every case in a process and a folder of its own and prints the
table of what was seen.

Exit code 0 where each passed (what this machine cannot do is named and does not count), 1
otherwise, 2 for a mistake on the command line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before torch and numpy: no threads in a process that forks

from cpart_core.bench.harness.fork_server import import_what_trainers_need  # noqa: E402
from tests.abuse.alone import Result, Running  # noqa: E402
from tests.abuse.case import FAIL, PART, Case  # noqa: E402
from tests.abuse.cases import CASES, chosen  # noqa: E402
from tests.abuse.place import Options  # noqa: E402
from tests.abuse.table import line, table, totals  # noqa: E402


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m tests.abuse", description="Faults and abuse, really done."
    )
    made.add_argument("--only", default="", metavar="7,C30", help="these cases alone")
    made.add_argument(
        "--quick", action="store_true", help="those that take a second or two and need no browser"
    )
    made.add_argument("--list", action="store_true", help="say what there is, and do nothing")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    made.add_argument("--markdown", type=Path, metavar="FILE", help="also write the table here")
    made.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="cases at once (default 1; two on two cores disturb each other's times)",
    )
    made.add_argument(
        "--kills",
        type=int,
        default=Options.kills,
        help=f"kills of case 1 (default {Options.kills})",
    )
    made.add_argument(
        "--soak-minutes",
        type=float,
        default=Options.soak_minutes,
        help="length of case 26 (its full length: 480)",
    )
    made.add_argument(
        "--sockets",
        type=int,
        default=Options.sockets,
        help=f"of case 38 (default {Options.sockets})",
    )
    made.add_argument(
        "--requests",
        type=Path,
        metavar="FILE",
        help="where the longest journey writes every request of its browser",
    )
    made.add_argument(
        "--keep",
        action="store_true",
        help="leave the folders of cases that did not pass, and say where they are",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        cases = [entry for entry in chosen(arguments.only) if entry.quick or not arguments.quick]
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.list:
        for entry in cases:
            print(
                f"{entry.number:>6}  {entry.title}:"
                f" {entry.demanded}{' (quick)' if entry.quick else ''}"
            )
        return 0
    import_what_trainers_need()
    requests = arguments.requests.absolute() if arguments.requests else None
    options = Options(
        arguments.kills, arguments.soak_minutes, arguments.sockets, requests, arguments.keep
    )
    results = do_all(cases, options, max(1, arguments.jobs))
    print(f"\n{table(results)}\n\n{totals(results, len(CASES))}")
    if arguments.json:
        arguments.json.write_text(
            json.dumps([asdict(result) for result in results], indent=1) + "\n", "utf-8"
        )
    if arguments.markdown:
        arguments.markdown.write_text(
            f"{table(results)}\n\n{totals(results, len(CASES))}\n", "utf-8"
        )
    return 1 if any(result.verdict in (FAIL, PART) for result in results) else 0


def do_all(cases: Sequence[Case], options: Options, jobs: int) -> list[Result]:
    """The results in the order of the cases, each printed as it comes."""
    waiting, running = list(cases), list[Running]()
    done: dict[str, Result] = {}
    with tempfile.TemporaryDirectory(prefix="cpart-abuse-shared-") as shared:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    running.append(Running(waiting.pop(0), options, Path(shared)))
                for one in list(running):
                    if (result := one.ended()) is not None:
                        running.remove(one)
                        done[result.number] = result
                        print(line(result), flush=True)
                time.sleep(0.02)
        finally:
            for one in running:
                one.stop()
    return [done[entry.number] for entry in cases]


if __name__ == "__main__":
    sys.exit(main())
