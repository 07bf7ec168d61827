"""What the project is made of, and whether what lies on the disk is what was written."""

from __future__ import annotations

import random
import re
import subprocess
import sys

from cpart_core.corpus.store import load_corpus
from cpart_core.runs.database import DATABASE
from cpart_core.runs.folder import Run, open_run
from tests.abuse.case import Look, case
from tests.abuse.place import Place
from tests.runs.made import same
from tests.source_files import ROOT

FLIPS = 120
"""In each kind of file."""


@case(
    "46",
    "what CI looks at: licences, known vulnerabilities, forbidden calls",
    "each is checked, and the checks that need no network pass",
)
def checks_of_ci(place: Place) -> str:
    look = Look()
    steps = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / ".ci").iterdir()))
    look(re.search("licen[cs]e", steps, re.IGNORECASE) is not None, ".ci checks licences")
    look(
        re.search("audit|vulnerab", steps, re.IGNORECASE) is not None,
        ".ci checks known vulnerabilities",
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "tests/test_rules.py",
        "-k",
        "unpickled or machine_paths or requirements",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    look(
        done.returncode == 0, f"the gate of forbidden calls: {done.stdout.strip().splitlines()[-1]}"
    )
    return look.said()


@case(
    "C41",
    "a byte is flipped in records.sqlite, run.json, corpus.json, corpus.npz, a snapshot",
    "noticed, or what is read is the same",
    limit=300,
)
def flipped_bytes(place: Place) -> str:
    chance = random.Random(0)
    look = Look()
    sound = place.finished()
    for name in (
        DATABASE,
        "run.json",
        "corpus/corpus.json",
        "corpus/corpus.npz",
        "snapshots/step-00000020.npz",
    ):
        noticed, same_as_before, unnoticed = 0, 0, []
        wanted = read_all(sound)
        whole = (sound.folder / name).read_bytes()
        for _ in range(FLIPS):
            data = bytearray(whole)
            at, bit = chance.randrange(len(data)), chance.randrange(8)
            data[at] ^= 1 << bit
            (sound.folder / name).write_bytes(data)
            try:
                found = read_all(sound)
            except ValueError:
                noticed += 1
                continue
            except BaseException as error:  # noqa: BLE001  another exception is the finding
                unnoticed.append(f"{type(error).__name__}: {str(error)[:60]} (byte {at})")
                continue
            if same(found, wanted):
                same_as_before += 1
            else:
                unnoticed.append(f"byte {at} of {len(data)}")
        (sound.folder / name).write_bytes(whole)
        said = (
            f"{name}: {noticed} noticed, {same_as_before} without effect, {len(unnoticed)} believed"
            f" of {FLIPS}"
        )
        look(not unnoticed, said + (f" ({unnoticed[0]})" if unnoticed else ""))
    return look.said()


def read_all(run: Run) -> tuple[object, ...]:
    """All that pages show of it. ValueError where something is noticed, be it by a state that says
    damaged."""
    opened = open_run(run.id)
    now = opened.state()
    if now.state == "damaged":
        raise ValueError(now.last_words)
    corpus = load_corpus(opened.folder / "corpus")
    tables = (opened.records(10**9), opened.evaluations(), opened.changes())
    events = tuple((entry.kind, entry.message, entry.step) for entry in opened.events())
    snapshots = tuple(opened.snapshot(step) for step in opened.snapshot_steps())
    text = (
        corpus.contexts,
        corpus.train.titles,
        corpus.validation.titles,
        corpus.train.ids,
        corpus.validation.ids,
        corpus.train.context,
    )
    return (opened.info.to_json(), now.state, now.step, *tables, events, snapshots, text)


CASES = (checks_of_ci, flipped_bytes)
