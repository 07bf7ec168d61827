"""Does a case in a process of its own, forked from one that has imported torch: it may kill, hang,
mount and limit itself as it likes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cpart_core.bench.harness.app_server import end_processes_of
from tests.abuse.case import FAIL, NOT_HERE, PART, PASS, Case, Part
from tests.abuse.not_possible import NotPossible
from tests.abuse.place import Options, Place

LONGEST_SEEN = 1500


@dataclass(frozen=True)
class Result:
    """What came of a case."""

    number: str
    title: str
    demanded: str
    seen: str
    verdict: str
    seconds: float
    cpu_seconds: float
    """Of it and of all processes that it has waited for: what is left of its length on a busy
    machine."""


class Running:
    """One case at work. `ended()` is its Result as soon as there is one."""

    def __init__(self, case: Case, options: Options, shared: Path) -> None:
        self.case = case
        self.root = Path(tempfile.mkdtemp(prefix=f"cpart-abuse-{case.number}-"))
        self.place = Place(self.root, options, shared)
        self.began = time.monotonic()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            work(case, self.place)

    def ended(self) -> Result | None:
        """Looks, and does not wait; a case beyond its limit is ended here."""
        pid, _, used = os.wait4(self.pid, os.WNOHANG)
        late = time.monotonic() - self.began > self.case.limit
        if not pid and not late:
            return None
        if not pid:
            os.kill(self.pid, signal.SIGKILL)  # by itself, too: it may hang before it has a group
            self.end_all()
            _, _, used = os.wait4(self.pid, 0)
        return self.result(late, used.ru_utime + used.ru_stime)

    def stop(self) -> None:
        """End it, and all that it has started; its folder goes too."""
        self.end_all()
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        shutil.rmtree(self.root, ignore_errors=True)

    def end_all(self) -> None:
        """Its group is those it has forked; what it has started anew carries the root of runs in
        its environment."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        end_processes_of(self.place.runs)

    def result(self, late: bool, cpu_seconds: float) -> Result:
        seconds = time.monotonic() - self.began
        answer = self.root / "answer.json"
        if late:
            verdict, seen = FAIL, f"it hung: not over after {self.case.limit:.0f} s"
        elif answer.is_file():
            verdict, seen = json.loads(answer.read_text("utf-8"))
        else:
            verdict, seen = FAIL, "its process ended without an answer"
        self.end_all()
        if self.place.options.keep and verdict not in (PASS, NOT_HERE):
            seen += f" [kept: {self.root}]"
        else:
            shutil.rmtree(self.root, ignore_errors=True)
        return Result(
            self.case.number,
            self.case.title,
            self.case.demanded,
            seen[:LONGEST_SEEN],
            verdict,
            seconds,
            cpu_seconds,
        )


def work(case: Case, place: Place) -> NoReturn:
    """In the child: do it, write down what came of it, and leave."""
    try:
        os.setsid()
        place.settle()
        verdict, seen = judged(case, place)
        (place.root / "answer.json").write_text(json.dumps([verdict, seen]), "utf-8")
    finally:
        os._exit(0)


def judged(case: Case, place: Place) -> tuple[str, str]:
    """(verdict, what was seen)."""
    try:
        return PASS, case.do(place)
    except Part as part:
        return PART, str(part)
    except NotPossible as why:
        return NOT_HERE, str(why)
    except AssertionError as error:
        place_of = traceback.extract_tb(error.__traceback__)[-1]
        return (
            FAIL,
            str(error) or f"{place_of.line} ({Path(place_of.filename).name}:{place_of.lineno})",
        )
    except BaseException as error:  # noqa: BLE001  whatever an abused piece throws is what was seen of it
        last = traceback.extract_tb(error.__traceback__)[-1]
        return (
            FAIL,
            (
                f"{type(error).__name__}: {str(error)[:600]}"
                f" ({Path(last.filename).name}:{last.lineno})"
            ),
        )
    finally:
        place.leave()
