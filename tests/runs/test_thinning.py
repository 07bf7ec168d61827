"""What a page reads of a long run: a part of its rows, the same ones as it grows, at a cost that does
not grow."""

from __future__ import annotations

import numpy as np
import pytest

from cpart_core.runs import tables
from cpart_core.runs.database import reading
from cpart_core.runs.record_writer import RecordWriter
from cpart_core.runs.tables import read_records
from tests.runs.made import (
    C,
    make_evaluation,
    make_record,
    make_run,
)
from tests.runs.test_records import write


@pytest.mark.parametrize("count", [1, 2, 9, 100, 101, 1000, 3001])
@pytest.mark.parametrize("most", [4, 10, 100])
def test_thinning_keeps_first_and_last_and_never_exceeds(root, count, most):
    run = make_run(root)
    write(run, range(5, 5 + count))
    table = run.records(max_points=most)
    assert len(table.step) <= most
    assert (table.step[0], table.step[-1]) == (5, 4 + count)
    assert np.all(np.diff(table.step) > 0) and np.array_equal(table.loss, 1 / table.step)
    assert len(table.step) == count or len(table.step) * 4 > most or most < 10, (
        "not thinner than needed"
    )


@pytest.mark.parametrize("most", [2, 3, 10, 40, 1000])
def test_thinned_validations_keep_first_and_last_too(root, most):
    run = make_run(root)
    generator = np.random.default_rng(0)
    with RecordWriter(run.folder) as writer:
        for step in range(1, 400):
            writer.append(
                make_record(step, evaluation=make_evaluation(generator) if step % 10 == 0 else None)
            )
    whole, thinned = run.evaluations(), run.evaluations(max_points=most)
    assert (
        len(whole.step) == 39 and len(thinned.step) <= most and set(thinned.step) <= set(whole.step)
    )
    assert (thinned.step[0], thinned.step[-1]) == (10, 390)


def test_a_thinned_table_costs_as_much_of_a_long_run_as_of_a_short_one(root):
    """Counted in operations of SQLite's machine: a run of a million steps opens as quickly as one
    of a thousand."""
    run, costs = make_run(root), []
    for steps in (range(1, 1001), range(1001, 16_001)):
        write(run, steps)
        operations: list[int] = []
        with reading(run.folder) as connection:
            connection.set_progress_handler(lambda noted=operations: noted.append(1) or 0, 10)
            table = read_records(connection, C, 50)
        assert len(table.step) > 25 and table.step[-1] == steps[-1]
        costs.append(len(operations))
    assert costs[1] < 2 * costs[0]


def test_points_stay_where_they_are_while_a_run_grows(root):
    run = make_run(root)
    write(run, range(1, 301))
    before = run.records(max_points=50)
    write(run, range(301, 1001))
    after = run.records(max_points=50)
    kept = {step for step in before.step.tolist() if step % after.stride == 0}
    assert kept and kept <= set(after.step.tolist())
    assert run.records(after_step=990).step.tolist() == list(range(991, 1001))


def test_a_measurement_reads_every_step_of_a_run_too_long_for_a_page(root, monkeypatch):
    run = make_run(root)
    write(run, range(1, 200))
    monkeypatch.setattr(tables, "MOST_BYTES", 20_000)
    with pytest.raises(ValueError, match="read at once"):
        run.records(max_points=1000)
    assert run.all_records().step.tolist() == list(range(1, 200))
