"""Run folders from elsewhere whose data are traps: databases and JSON."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress

from cpart_core.runs.commands import note_launch
from cpart_core.runs.database import DATABASE
from cpart_core.runs.folder import open_run
from tests.abuse.case import Look, case
from tests.abuse.place import HALF, Place
from tests.abuse.probe import bearable

MESSAGE_BYTES = 200_000_000


@case(
    "C30.2",
    "records.sqlite as a trap: a view that never ends, a trigger, a message of 200 MB, rows of"
    " wrong types",
    "refused or bounded; at most 1 s and 50 MB",
    limit=300,
)
def trapped_databases(place: Place) -> str:
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS {} FROM n"
    )
    traps = {
        "steps is an endless view": (
            f"DROP TABLE steps; CREATE VIEW steps AS {endless.format('step, 0 AS tokens')};"
        ),
        "events is an endless view": (
            f"DROP TABLE events; CREATE VIEW events AS {endless.format('id')};"
        ),
        "a message of 200 MB": (
            "INSERT INTO events (time, step, kind, message) VALUES (9e9, 1, 'fail',"
            f" zeroblob({MESSAGE_BYTES}));"
        ),
        "a text of 200 MB": (
            "INSERT INTO events (time, step, kind, message) VALUES (9e9, 1, 'fail',"
            f" hex(zeroblob({MESSAGE_BYTES // 2})));"
        ),
        "rows of wrong types": (
            "UPDATE steps SET loss = 'x', loss_by_context = 'y', tokens = NULL; UPDATE status SET"
            " phase = x'00', step = 'z';"
        ),
        "an unknown event": (
            "INSERT INTO events (time, step, kind, message) VALUES ('x', 'y', 'z', NULL);"
        ),
        "blobs of odd lengths": (
            "UPDATE evaluations SET loss_by_context = x'0102', tokens_by_context ="
            " zeroblob(70000001);"
        ),
        "a trigger": "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM steps; END;",
    }
    look = Look()
    made = {}
    for name, script in traps.items():
        run = place.stopped()
        connection = sqlite3.connect(run.folder / DATABASE)
        connection.executescript(script)
        connection.commit()
        connection.close()
        made[name] = run.folder
    run = open_run(made["a trigger"].name)
    with suppress(ValueError):
        note_launch(run.folder)
    with suppress(ValueError):
        look(
            len(run.records().step) == HALF,
            f"with the trigger there are {len(run.records().step)} records after an event was"
            " written",
        )
    bearable(look, made, place.finished().id)
    return look.said()


@case(
    "C30.3",
    "JSON as a trap: nested state.json, headers that are numbers, too few contexts, wrong types",
    "refused in a sentence; no other exception",
    limit=300,
)
def trapped_json(place: Place) -> str:
    look = Look()
    nested = "[" * 200_000
    made = {}
    for name, path, text in (
        ("nested corpus.json", "corpus/corpus.json", nested),
        ("corpus.json is a number", "corpus/corpus.json", "7"),
        ("nested run.json", "run.json", nested),
        ("nested lock", "lock", nested),
        ("a list as lock", "lock", '{"pid": [1], "started": {}, "taken": "x"}'),
    ):
        run = place.stopped()
        (run.folder / path).write_text(text)
        made[name] = run.folder
    run = place.stopped()
    path = run.folder / "run.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "contexts": data["contexts"][:1]}))
    made["too few contexts in run.json"] = run.folder
    bearable(look, made, place.finished().id)
    for name, text in (
        ("nested", nested),
        ("a number", "7"),
        ("a list", "[]"),
        ("wrong types", '{"step": "x"}'),
        ("no UTF-8", "\udcff"),
    ):
        resumed_with_state(place, name, text, look)
    return look.said()


def resumed_with_state(place: Place, name: str, text: str, look: Look) -> None:
    """A signed state.json with this text in the newest checkpoint: the one before is used, and
    nothing crashes."""
    from tests.abuse.hostile_files import sign

    run = place.stopped()
    (run.checkpoint_folder(HALF) / "state.json").write_bytes(
        text.encode("utf-8", "surrogateescape")
    )
    sign(run)
    trainer = place.fork_trainer(run)
    code = trainer.wait()
    now = run.state()
    look(
        code == 0 and now.state == "finished",
        f"state.json {name}: exit code {code}, {now.state} {now.last_words[-100:]}",
    )


CASES = (trapped_databases, trapped_json)
