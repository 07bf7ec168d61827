"""Run folders from elsewhere: code that lies in them, links that lead out, pipes and devices."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from app.engine import jobs
from app.engine.analysis_client import Worker
from cpart_core.runs.commands import note_launch, send_command
from cpart_core.runs.database import DATABASE
from cpart_core.runs.folder import Run, delete_run, list_runs, open_run, rename_run
from tests.abuse.case import Look, case
from tests.abuse.place import Place, until
from tests.abuse.probe import bearable
from tests.charts.made import neuron_map

PLANTED = (
    "cpart_core/__init__.py",
    "cpart_core/__main__.py",
    "secrets.py",
    "json.py",
    "torch.py",
    "sitecustomize.py",
    "numpy/__init__.py",
)


@case(
    "28", "a link that leads out of the root of runs", "is no run, and is not followed", quick=True
)
def links_out(place: Place) -> str:
    outside = place.root / "outside"
    outside.mkdir()
    run = place.finished()
    shutil.move(run.folder, outside / run.id)
    look = Look()
    (place.runs / run.id).symlink_to(outside / run.id)
    look(list_runs() == [], "a linked run is not listed")
    for name, act in {
        "open": open_run,
        "delete": delete_run,
        "rename": lambda run_id: rename_run(run_id, "x"),
    }.items():
        try:
            act(run.id)
            look(False, f"{name} followed it")
        except ValueError as error:
            look(True, f"{name}: {str(error)[:80]}")
    look((outside / run.id / "run.json").is_file(), "what it leads to is untouched")
    for run_id in ("../outside", f"../outside/{run.id}", "/etc", "..", ".", "a/../b", "x\0y"):
        try:
            open_run(run_id)
            look(False, f"{run_id!r} was opened")
        except ValueError:
            continue
    return look.said()


@case(
    "C28",
    "code planted in every folder that a child is started in",
    "none of it is imported",
    limit=500,
)
def planted_code(place: Place) -> str:
    look = Look()
    mark = place.root / "imported.txt"
    run = place.stopped()
    elsewhere = place.root / "elsewhere"
    elsewhere.mkdir()
    for folder in (run.folder, place.runs, elsewhere):
        plant(folder, mark)
    os.chdir(elsewhere)
    os.environ.pop("PYTHONPATH")
    jobs.launch(run, [])
    until(
        lambda: run.state().state in ("finished", "failed", "crashed") and not run.state().phase,
        "resume should end",
        90,
    )
    look(not mark.exists(), f"resume from the page: {seen(mark)}; it ended {run.state().state}")
    mark.unlink(missing_ok=True)
    worker = Worker()
    try:
        path = worker.ask("losses", {"run": run.id, "step": run.checkpoint_steps()[-1]}, timeout=60)
        look(path.is_file() and not mark.exists(), f"the analysis worker: {seen(mark)}")
    except ValueError as error:
        look(False, f"the analysis worker: {seen(mark)}, {error}")
    finally:
        worker.close()
    mark.unlink(missing_ok=True)
    study_with_planted_code(place, mark, look)
    return look.said()


def study_with_planted_code(place: Place, mark: Path, look: Look) -> None:
    """A study of two runs in a folder where code lies, also where its runs will be."""
    from tests.study.made import SMALL, plan_file, text_folder

    folder = place.root / "study"
    for inner in (folder, folder / ".logs", folder / ".corpora"):
        inner.mkdir(parents=True, exist_ok=True)
        plant(inner, mark)
    settings = {
        **SMALL,
        "steps": 24,
        "fusion_step": 12,
        "source": "folder",
        "path": str(text_folder(place.root / "text")),
    }
    plan = plan_file(place.root / "plan.json", seeds=[0], settings=settings)
    os.environ["PYTHONPATH"] = str(Path(sys.modules["tests"].__path__[0]).parent)
    code, said = place.cli("study", str(plan), "--out", str(folder), seconds=300)
    look(
        code == 0 and not mark.exists(),
        f"a study (exit code {code}): {seen(mark)}" + ("" if code == 0 else said[-200:]),
    )


@case(
    "C29",
    "links in a run folder: lock, log.txt, records.sqlite, snapshots, checkpoints, analysis,"
    " corpus, gathered.jsonl",
    "nothing outside is written, cut or deleted",
    limit=400,
)
def links_inside(place: Place) -> str:
    look = Look()
    names = (
        "lock",
        "log.txt",
        DATABASE,
        f"{DATABASE}-wal",
        "snapshots",
        "checkpoints",
        "analysis",
        "corpus",
        "run.json",
        "tensorboard",
    )
    for name in names:
        run = place.stopped()
        outside = place.root / f"outside-{name}"
        outside.mkdir()
        target = outside / name
        inside = run.folder / name
        if inside.exists():
            shutil.move(inside, target)
        elif name == "tensorboard":
            target.mkdir()
        else:
            target.write_bytes(b"not yours\n" * 20)
        inside.symlink_to(target)
        before = contents(outside)
        errors = torment(place, run)
        changed = sorted(
            path
            for path in before.keys() | contents(outside).keys()
            if before.get(path) != contents(outside).get(path)
        )
        look(
            not changed and not errors,
            f"{name}: "
            + (
                "nothing outside changed"
                if not changed
                else f"changed outside: {', '.join(changed)[:120]}"
            )
            + errors,
        )
    return look.said()


def torment(place: Place, run: Run) -> str:
    """All that writes, cuts or deletes below a run; refusals in a sentence are well, anything else
    is named."""
    odd = []

    def attempt(act: Callable[[], object]) -> None:
        try:
            act()
        except (ValueError, OSError):
            return
        except BaseException as error:  # noqa: BLE001  another exception is a finding
            odd.append(f"; {type(error).__name__}: {error}")

    attempt(lambda: note_launch(run.folder))
    attempt(lambda: send_command(run.folder, "resume"))
    attempt(lambda: rename_run(run.id, "another name"))
    attempt(lambda: place.fork_trainer(run).wait())
    attempt(lambda: launch_only(run))
    attempt(lambda: place.fork_trainer(run, restart=True).wait())
    attempt(
        lambda: run.store_result(
            "neuron_map", {"run": run.id, "method": "pca", "layer": -1, "seed": 0}, neuron_map()
        )
    )
    attempt(lambda: delete_run(run.id))
    return "".join(odd)


def launch_only(run: Run) -> None:
    """What the page does when somebody presses Resume, with a trainer that ends at once."""
    real, sys.executable = sys.executable, "/bin/true"
    try:
        jobs.launch(run, [])
    finally:
        sys.executable = real


@case(
    "C30.1",
    "a pipe, a device, a folder in the place of each file",
    "the list and the pages go on; at most 1 s and 50 MB",
    limit=400,
)
def strange_kinds(place: Place) -> str:
    look = Look()
    sound = place.finished()
    made: dict[str, Path] = {}
    for name in (
        "lock",
        DATABASE,
        "log.txt",
        "run.json",
        "corpus/corpus.json",
        "snapshots/step-00000020.npz",
    ):
        for kind, make in {"a pipe": os.mkfifo, "a folder": os.mkdir}.items():
            made[f"{kind} as {name}"] = replaced(place.stopped(), name, make).folder
    for name in ("lock", "log.txt", DATABASE):
        made[f"/dev/zero as {name}"] = replaced(
            place.stopped(), name, lambda path: os.symlink("/dev/zero", path)
        ).folder
    bearable(look, made, sound.id)
    return look.said()


def plant(folder: Path, mark: Path) -> None:
    """Code that leaves a mark when it is imported."""
    for name in PLANTED:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"with open({str(mark)!r}, 'a') as mark: mark.write({str(path.relative_to(folder))!r} +"
            " ' ')\n"
        )


def seen(mark: Path) -> str:
    return (
        f"imported {mark.read_text().strip()}" if mark.exists() else "nothing planted was imported"
    )


def replaced(run: Run, name: str, make: Callable[[Path], object]) -> Run:
    path = run.folder / name
    path.unlink(missing_ok=True)
    make(path)
    return run


def contents(folder: Path) -> dict[str, str]:
    """Path -> digest of every file below, and the names of the folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        found[str(path.relative_to(folder))] = digest
    return found


CASES = (links_out, planted_code, links_inside, strange_kinds)
