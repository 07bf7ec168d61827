"""What a figure says of where it is from, in every form in which it leaves the page; and no cell of
it is run by a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from app.shell.figure import csv_bytes
from app.shell.live import Words
from app.shell.provenance import compared, file_stem, source_of
from cpart_core import __version__
from cpart_core.runs.spreadsheet import RUN_BY_SPREADSHEETS, csv_text
from tests.source_files import files


def a_run(run_id: str, seed: int, name: str = "Wide <b>one</b>"):
    training = SimpleNamespace(seed=seed)
    return SimpleNamespace(
        id=run_id, info=SimpleNamespace(name=name), settings=SimpleNamespace(training=training)
    )


ONE = source_of(a_run("20260101-000000-aaaa", 3), 1200, "12,000 tokens", 0)


def test_a_csv_says_where_every_row_is_from_and_is_read_by_pandas():
    frame = pd.DataFrame(
        {
            "step": [1, 2],
            "loss": np.array([0.1, np.nan], dtype=np.float32),
            "context": ["sea", "a\rb"],
        }
    )
    read = pd.read_csv(io.BytesIO(csv_bytes(frame, ONE)))
    pd.testing.assert_frame_equal(read[list(frame.columns)], frame, check_dtype=False)
    assert set(read["source_run"]) == {"20260101-000000-aaaa"} and set(read["source_step"]) == {
        1200
    }
    assert (
        set(read["source_training_seed"]) == {3}
        and set(read["source_seed"]) == {0}
        and set(read["source_n"]) == {"12,000 tokens"}
    )
    assert set(read["source_cpart_version"]) == {__version__}
    both = pd.read_csv(
        io.BytesIO(csv_bytes(frame, compared(ONE, source_of(a_run("other", 4), 900))))
    )
    assert set(both["source_a_run"]) == {"20260101-000000-aaaa"} and set(both["source_b_step"]) == {
        900
    }


def test_two_seeds_two_steps_and_two_figures_have_names_of_their_own():
    names = {
        file_stem(figure, source_of(a_run(run_id, seed), step))
        for figure in ("map", "loss")
        for run_id, seed in (("one", 0), ("two", 1))
        for step in (50, 100)
    }
    assert len(names) == 8 and "map-one-step50-seed0" in names
    first, second = (source_of(a_run(letter * 64, 2**31 - 1), 1_000_000) for letter in "ab")
    long = file_stem("compare_segments_by_context", compared(first, second))
    assert long.endswith("step1000000-seed2147483647"), "the last of a long name tells, too"
    hostile = file_stem("../a b", source_of(a_run("x/../..\\y", 0), 1))
    assert re.fullmatch(r"\w[\w-]*", hostile)


def test_a_picture_carries_caption_and_source_without_markup():
    data = Words("It rises.", "The **loss** of `sea`.", ONE, "loss").to_data()
    assert data["source"]["caption"].startswith(
        "The loss of sea. run Wide <b>one</b> (20260101-000000-aaaa) \u00b7 step 1,200"
    )
    assert (
        "n = 12,000 tokens \u00b7 seed 0" in data["source"]["caption"]
        and __version__ in data["source"]["caption"]
    )
    assert data["source"]["fields"]["source_training_seed"] == 3 and json.dumps(data)
    assert data["file"] == "loss-20260101-000000-aaaa-step1200-seed3"


@pytest.mark.parametrize("start", RUN_BY_SPREADSHEETS)
def test_headings_and_cells_are_escaped_alike(start):
    hostile = f'{start}cmd|" /C calc"!A0'
    text = csv_bytes(pd.DataFrame({hostile: [hostile], "n": [-1.5]}), ONE).decode()
    heading, row = csv.reader(io.StringIO(text, newline=""))
    assert heading[0] == row[0] == f"'{hostile}" and row[1] == "-1.5"


def test_line_ends_within_cells_are_quoted():
    assert (
        csv_text(["a\rb"], [["c\nd"], [None], [float("nan")]]) == '"a\rb"\r\n"c\nd"\r\n""\r\n""\r\n'
    )


def test_nobody_else_writes_csv():
    writers = re.compile(r"\.to_csv\(|csv\.(Dict)?[wW]riter\(")
    found = [
        path.name for path in files("cpart_core", "app") if writers.search(path.read_text("utf-8"))
    ]
    assert found == ["spreadsheet.py"]
