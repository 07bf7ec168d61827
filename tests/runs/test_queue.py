"""The queue of trainings: as many at once as the machine has room for, the others in order, and no
dead process keeps a slot."""

from __future__ import annotations

import threading

import pytest

from cpart_core.runs.queue import MOST_WAITING, Slot
from cpart_core.runs.session_phases import ExitCode
from cpart_core.runs.training_session import run_training
from cpart_core.settings.run import Settings
from cpart_core.training import capacity as machine_module
from cpart_core.training.capacity import Machine, Need, need_of, this_machine
from tests.runs.made import make_run, start_python
from tests.runs.test_session import wait_until
from tests.runs.tiny import tiny_run

ONE = Need(1, 100, False)
TWO_CORES = Machine(2, 1000, 0)

OWNER = """
import sys
from pathlib import Path
from cpart_core.runs.queue import Slot
from cpart_core.training.capacity import Machine, Need
slot = Slot(Path(sys.argv[1]), "owner", Need(1, 100, False), Machine(2, 1000, 0))
print(slot.request() is None, flush=True)
sys.stdin.read()
"""


def test_the_first_trains_and_the_others_come_in_order(root):
    first, second, third = (
        Slot(root, name, ONE, TWO_CORES) for name in ("first", "second", "third")
    )
    assert first.request() is None and first.request() is None
    assert str(second.request()) == "place 1 in line, 1 training under way"
    assert third.request().before == 1 and second.request().before == 0
    second.release()  # cancelled, and cancelled again
    second.release()
    assert third.request().before == 0
    first.release()
    late = Slot(root, "late", ONE, TWO_CORES)
    assert late.request().before == 1, "who came later does not slip in"
    assert third.request() is None
    assert late.request().running == 1
    assert sorted(path.name for path in (root / ".turns").iterdir() if path.name != "door") == [
        "00000003-third",
        "00000004-late",
    ]
    for slot in (third, late):
        slot.release()


def test_the_slot_of_a_dead_process_is_free(root):
    process = start_python(OWNER, root)
    assert process.stdout.readline() == "True\n"
    mine = Slot(root, "mine", ONE, TWO_CORES)
    assert mine.request() is not None
    process.kill()
    process.communicate()
    assert mine.request() is None
    mine.release()


@pytest.mark.parametrize(
    ("machine", "running", "need", "fits"),
    [
        (Machine(8, 1000, 0), [Need(3, 100, False)], Need(4, 100, False), True),
        (Machine(8, 1000, 0), [Need(4, 100, False)], Need(4, 100, False), False),
        (Machine(8, 1000, 0), [Need(1, 500, False)], Need(1, 500, False), False),
        (Machine(8, 1000, 2), [Need(1, 100, True)], Need(1, 100, True), True),
        (Machine(8, 1000, 1), [Need(1, 100, True)], Need(1, 100, True), False),
        (Machine(1, 10, 0), [], Need(64, 1000, False), True),
        (Machine(1, 10, 0, at_once=2), [Need(9, 99, False)], Need(9, 99, False), True),
        (Machine(64, 10**6, 0, at_once=1), [ONE], ONE, False),
        (Machine(1, 10, 0, at_once=0), [ONE] * 9, ONE, True),
    ],
)
def test_what_fits(machine, running, need, fits):
    assert machine.has_room(need, running) == fits


def test_each_training_has_a_gpu_of_its_own(root):
    machine, need = Machine(8, 10**6, 2), Need(1, 100, True)
    slots = [Slot(root, f"run-{number}", need, machine) for number in range(3)]
    assert [slot.request() is None for slot in slots] == [True, True, False]
    assert [slots[0].entry.gpu, slots[1].entry.gpu] == [0, 1]
    on_cpu = Slot(root, "on-cpu", ONE, machine)
    assert on_cpu.request() is None, "who waits for a GPU keeps nobody from the cores"
    slots[0].release()
    assert slots[2].request() is None and slots[2].entry.gpu == 0
    for slot in (*slots, on_cpu):
        slot.release()


def test_what_a_run_needs_and_what_a_person_allows(monkeypatch):
    machine = Machine(8, 10**12, 0)
    assert need_of(Settings(), machine).cores == 7
    assert need_of(Settings().with_values({"threads": 2}), machine).cores == 2
    assert need_of(Settings(), machine).bytes > 10**8
    monkeypatch.setenv(machine_module.AT_ONCE, "3")
    assert this_machine().at_once == 3
    monkeypatch.setenv(machine_module.AT_ONCE, "many")
    with pytest.raises(ValueError, match="whole number"):
        this_machine()


def test_a_queue_has_an_end_and_damaged_entries_stop_nobody(root):
    first = Slot(root, "first", ONE, TWO_CORES)
    first.request()
    (root / ".turns" / "00000002-nonsense").write_bytes(b"\xff" * 9)
    (root / ".turns" / "something else").mkdir()
    waiting = [Slot(root, f"run-{number}", ONE, TWO_CORES) for number in range(MOST_WAITING)]
    assert waiting[0].request().before == 0
    for slot in waiting:
        slot.request()
    with pytest.raises(ValueError, match="wait for their turn already"):
        Slot(root, "one-more", ONE, TWO_CORES).request()
    for slot in (first, *waiting):
        slot.release()


def test_a_queued_run_says_its_place_trains_when_it_comes_and_leaves_when_told(root):
    make_run(root)
    other = Slot(root, "other", ONE, TWO_CORES)
    other.request()
    ended: dict[str, ExitCode] = {}

    def train(run) -> threading.Thread:
        def work() -> None:
            with Slot(root, run.id, ONE, TWO_CORES) as slot:
                ended[run.id] = run_training(run, slot=slot)

        thread = threading.Thread(target=work)
        thread.start()
        wait_until(lambda: run.state().state == "queued")
        return thread

    stays, leaves = tiny_run(steps=12, freeze_step=12), tiny_run()
    threads = [train(stays), train(leaves)]
    wait_until(lambda: "place 2 in line" in leaves.state().phase)
    assert "place 1 in line, 1 training under way" in stays.state().phase and stays.state().alive
    leaves.send("stop")
    threads[1].join()
    assert leaves.state().state == "stopped" and leaves.state().step == 0
    with pytest.raises(ValueError, match="no living trainer"):
        leaves.send("stop")
    other.release()
    threads[0].join()
    assert (
        ended == {stays.id: ExitCode.DONE, leaves.id: ExitCode.DONE}
        and stays.state().state == "finished"
    )
