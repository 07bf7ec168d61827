"""The analysis worker's client against a scripted worker: progress, answers, errors, death, cancel,
idleness."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.engine import analysis_client as client
from app.engine.analysis_client import Worker
from app.engine.handle import Handle

SCRIPT = """
import json, os, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    def say(**answer):
        print(json.dumps({"id": asked["id"], **answer}), flush=True)
    match asked["name"]:
        case "good":
            print("a library that prints", flush=True)
            say(progress=0.5, say="half", partial={"tokens": ["a"]})
            say(done=f"/results/{os.getpid()}.npz")
        case "bad":
            say(error="This text is empty.")
        case "die":
            os._exit(5)
        case "hang":
            say(progress=0.1, say="hanging")
            time.sleep(60)
        case "garbage":
            sys.stdout.buffer.write(b"\\xff\\xfe\\x00\\n" + b"[" * 100_000 + b"\\n{\\n\\n" + b'{"id": 7, "done": 1}\\n"text"\\nnull\\n')
            sys.stdout.flush()
            say(progress="half", partial=[1], say=["a list"])
            say(progress=float("nan"))
            say(done="/results/after-garbage.npz")
        case "unread":
            print(json.dumps({"id": None, "error": "This line is not valid JSON."}), flush=True)
        case "half":
            sys.stdout.write('{"id": %d, "done": "/results/ha' % asked["id"])
            sys.stdout.flush()
            os._exit(0)
        case "endless":
            while True:
                sys.stdout.write("x" * 100_000)
        case "nothing":
            say(done=None)
        case "silent":
            os.close(1)
            time.sleep(60)
        case "heir":  # another process keeps the output open
            if os.fork() == 0:
                time.sleep(6)
            os._exit(3)
"""


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(command=(sys.executable, "-c", SCRIPT))
    yield worker
    worker.close()


def wait(handle: Handle) -> Handle:
    assert handle.finished.wait(20)
    return handle


def test_answers_in_order_by_one_process(worker):
    handles = [worker.submit("good", {"n": n}) for n in range(5)]
    paths = {wait(handle).path for handle in handles}
    assert (
        len(paths) == 1
        and handles[0].say == "half"
        and handles[0].progress == 0.5
        and handles[0].partial == {"tokens": ["a"]}
    )
    assert isinstance(worker.ask("good", {}), Path)


def test_the_same_request_is_asked_once(worker):
    assert worker.submit("hang", {"x": 1}) is worker.submit("hang", {"x": 1})


def test_an_error_is_the_workers_sentence(worker):
    with pytest.raises(ValueError, match="This text is empty"):
        worker.ask("bad", {})
    assert worker.ask("good", {})


def test_a_dead_worker_fails_its_request_and_starts_afresh(worker):
    dead, good = worker.submit("die", {}), worker.submit("good", {})
    assert "exit code 5" in wait(dead).error and wait(good).error is None


def test_a_worker_killed_from_outside_is_replaced(worker):
    worker.ask("good", {"first": True})
    worker.process.kill()
    worker.process.wait()
    assert worker.ask("good", {"second": True}, timeout=20)


def test_cancel_stops_the_running_and_keeps_the_waiting(worker):
    running, waiting, unwanted = (
        worker.submit("hang", {}),
        worker.submit("good", {}),
        worker.submit("good", {"un": "wanted"}),
    )
    worker.cancel(unwanted)
    worker.cancel(running)
    assert running.error == unwanted.error == "Stopped."
    assert wait(waiting).path
    worker.cancel(running)  # again does nothing


def test_patience_ends(worker):
    said: list[str] = []
    with pytest.raises(ValueError, match="longer than 2 s"):
        worker.ask("hang", {}, on_progress=lambda share, say: said.append(say), timeout=2)
    assert "hanging" in said


def test_an_idle_worker_is_ended_and_started_again():
    worker = Worker(idle_seconds=0.2, command=(sys.executable, "-c", SCRIPT))
    first = worker.ask("good", {})
    deadline = time.monotonic() + 20
    while worker.process is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert worker.process is None
    assert worker.ask("good", {}) != first
    worker.close()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("unread", "not valid JSON"),
        ("half", "exit code 0"),
        ("endless", "cannot be read"),
        ("nothing", "no result"),
        ("silent", "cannot be read"),
        ("heir", "exit code 3"),
    ],
)
def test_whatever_a_worker_writes_the_request_ends_and_the_next_is_answered(
    worker, monkeypatch, fault, said
):
    monkeypatch.setattr(client, "SECONDS_TO_END", 0.2)
    faulty, good = worker.submit(fault, {}), worker.submit("good", {})
    assert said in wait(faulty).error and wait(good).path


def test_what_is_no_answer_is_passed_over(worker):
    handle = wait(worker.submit("garbage", {}))
    assert handle.path == Path("/results/after-garbage.npz") and handle.say == "['a list']"
    assert handle.progress == 0.0 and handle.partial is None


def test_a_request_above_the_limit_is_refused_and_holds_nobody_up(worker, monkeypatch):
    monkeypatch.setattr(client, "LONGEST_LINE", 1000)
    too_long, good = worker.submit("good", {"text": "x" * 1000}), worker.submit("good", {})
    assert too_long.done and "too long: 1,0" in too_long.error and wait(good).path


def test_a_worker_that_does_not_read_holds_up_nobody_who_asks_or_stops():
    worker = Worker(command=(sys.executable, "-c", "import time; time.sleep(60)"))
    deaf = worker.submit("good", {"text": "x" * 1_000_000})  # more than a pipe holds
    worker.cancel(deaf)
    assert deaf.error == "Stopped."
    worker.close()


def test_a_worker_that_cannot_be_started_fails_each_request():
    worker = Worker(command=("/nowhere/python",))
    assert (
        "cannot be started" in worker.submit("good", {}).error
        and "cannot be started" in worker.submit("bad", {}).error
    )
