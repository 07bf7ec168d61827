"""What waits in a line: requests to the analysis worker, and trainings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from app.engine import jobs
from app.engine.analysis_client import Worker
from cpart_core.runs.folder import list_runs, open_run
from cpart_core.service.answering import answer
from tests.abuse.case import Look, case
from tests.abuse.place import Place, until
from tests.abuse.reliability_ends import LONG
from tests.runs.tiny import TINY, gathered
from tests.source_files import ROOT


@case(
    "44",
    "a waiting request is cancelled, twice; the one at work is; who asked has gone; the process is"
    " killed",
    "the others are answered; nothing waits for ever",
    limit=240,
)
def cancelled_requests(place: Place) -> str:
    run = place.finished()
    for path in (run.folder / "analysis").glob("*.npz"):
        path.unlink()
    worker = Worker()
    place.stack.callback(worker.close)
    look = Look()
    asked = [worker.submit("losses", {"run": run.id, "step": step}) for step in (20, 30, 40)]
    worker.cancel(asked[1])
    worker.cancel(asked[1])
    look(asked[1].done and asked[1].error == "Stopped.", f"the waiting one: {asked[1].error}")
    worker.cancel(asked[0])
    look(asked[0].done, f"the one at work: {asked[0].error}")
    look(
        asked[2].finished.wait(60) and asked[2].path is not None,
        f"the third is answered: {asked[2].error or asked[2].path.name}",
    )
    del asked[0]
    killed = worker.submit("profiles", {"run": run.id, "step": 20})
    until(lambda: worker.process is not None, "it should be at work")
    worker.process.kill()
    look(killed.finished.wait(30), f"killed at work: {killed.error}")
    again = worker.submit("losses", {"run": run.id, "step": 30})
    look(
        again.finished.wait(60) and again.path is not None,
        f"the next starts it afresh: {again.error or 'answered'}",
    )
    return look.said()


@case(
    "45",
    "a request, a command or a run.json that points outside",
    "refused; no text is ever a path",
    quick=True,
)
def pointed_outside(place: Place) -> str:
    run = place.stopped()
    look = Look()
    for value in ("../outside", "/etc", "..", f"../runs/{run.id}", f"{run.id}/../{run.id}"):
        for name, request in {
            "losses": {"run": value, "step": 20},
            "compare_losses": {
                "run": run.id,
                "step": 20,
                "other": value,
                "other_step": 20,
                "seed": 0,
            },
        }.items():
            try:
                answer(name, request)
                look(False, f"{name} with {value} was answered")
            except ValueError as error:
                look(len(str(error)) < 300, f"{name} {value}: refused") if value == "/etc" else None
    for name in ("__import__('os')", "../../x", "stop; DROP TABLE steps"):
        try:
            run.send(name)
            look(False, f"the command {name!r} was sent")
        except ValueError:
            continue
    path = run.folder / "run.json"
    data = json.loads(path.read_text())
    for key, value in (
        ("origin", {"kind": "trained", "twin_of": "../../outside", "twin_kind": "dense"}),
        (
            "origin",
            {"kind": "carved", "run": "../../outside", "step": 1, "context": "", "kept": [[0]]},
        ),
        ("id", "../x"),
    ):
        fresh = place.new_run()
        (fresh.folder / "run.json").write_text(
            json.dumps({**data, "id": fresh.id, "contexts": [], "fingerprint": "", key: value})
        )
        try:
            code = place.fork_trainer(open_run(fresh.id)).wait()
            look(code == 2, f"run.json with {key} outside: exit code {code}")
        except ValueError as error:
            look(True, f"run.json with {key} outside: {str(error)[:80]}")
    return look.said()


@case(
    "C37",
    "a request longer than the worker takes, and one behind it",
    "both are answered, the long one with its id and a sentence",
    limit=90,
)
def line_too_long(place: Place) -> str:
    run = place.finished()
    command = [sys.executable, "-m", "cpart_core", "worker"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=dict(os.environ),
    )
    place.stack.callback(process.kill)
    assert process.stdin is not None and process.stdout is not None
    long = {
        "id": 7,
        "name": "trace",
        "request": {"run": run.id, "step": 40, "text": "x" * 5_000_000},
    }
    following = {"id": 8, "name": "losses", "request": {"run": run.id, "step": 40}}
    process.stdin.write(f"{json.dumps(long)}\n{json.dumps(following)}\n")
    process.stdin.close()
    answers = [json.loads(line) for line in process.stdout]
    ends = [entry for entry in answers if "done" in entry or "error" in entry]
    look = Look()
    look(
        any(entry.get("id") == 7 and "error" in entry for entry in ends),
        f"the long one: {[entry for entry in ends if entry.get('id') != 8][:2]}",
    )
    look(
        any(entry.get("id") == 8 and "done" in entry for entry in ends),
        "the one behind it is answered",
    )
    look(len(ends) == 2, f"{len(ends)} answers to 2 requests")
    client = Worker()
    place.stack.callback(client.close)
    handles = [
        client.submit(name, request)
        for name, request in (("trace", long["request"]), ("losses", following["request"]))
    ]
    for handle in handles:
        handle.finished.wait(40)
    look(bool(handles[0].error), f"a page is told: {str(handles[0].error)[:100]}")
    look(handles[1].path is not None, f"the page's next request: {handles[1].error or 'answered'}")
    return look.said()


@case(
    "C39",
    "more trainings are started than the machine has cores",
    "some train, the rest wait and say so, and start when there is room",
    limit=240,
)
def many_trainings(place: Place) -> str:
    cores = len(os.sched_getaffinity(0))
    number = cores + 3
    settings = TINY.with_values(LONG).check()
    look = Look()
    ids = [
        jobs.start_training(settings, f"run {place_of}", gathered()) for place_of in range(number)
    ]
    until(lambda: sum(entry.state.step > 0 for entry in list_runs()) >= 1, "one should train", 90)
    time.sleep(12)
    training = [run_id for run_id in ids if open_run(run_id).state().step > 0]
    waiting = [open_run(run_id).state() for run_id in ids if run_id not in training]
    look(len(training) <= cores, f"{number} started on {cores} cores: {len(training)} train")
    look(
        bool(waiting)
        and all(
            "wait" in f"{now.state} {now.phase}" or "queue" in f"{now.state} {now.phase}"
            for now in waiting
        ),
        f"the others say {sorted({now.phase or now.state for now in waiting})}",
    )
    for run_id in training:
        open_run(run_id).send("stop")
    try:
        until(
            lambda: any(
                open_run(run_id).state().step > 0 for run_id in ids if run_id not in training
            ),
            "one of the waiting ones should start",
            60,
        )
        look(bool(waiting), "one that waited trains when there is room")
    except AssertionError as error:
        look(False, str(error))
    return look.said()


CASES = (cancelled_requests, pointed_outside, line_too_long, many_trainings)
