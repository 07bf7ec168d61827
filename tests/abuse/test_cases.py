"""The quick cases, done once by the command itself; each is then looked at. The others need a
browser, or longer: `python -m tests.abuse`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.abuse.case import FAIL, PART
from tests.abuse.cases import CASES
from tests.source_files import ROOT

QUICK = tuple(entry.number for entry in CASES if entry.quick)


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    """What came of each case that was asked for."""
    asked = [
        item
        for item in request.session.items
        if item.path == Path(__file__) and hasattr(item, "callspec")
    ]
    wanted = [item.callspec.params["number"] for item in asked]
    file = tmp_path_factory.mktemp("abuse") / "results.json"
    command = [
        sys.executable,
        "-m",
        "tests.abuse",
        "--quick",
        "--jobs",
        "2",
        "--only",
        ",".join(wanted),
        "--json",
        str(file),
    ]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=380
    )
    assert file.is_file(), f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return {result["number"]: result for result in json.loads(file.read_text("utf-8"))}


@pytest.mark.parametrize("number", QUICK)
def test_case(results, number):
    result = results[number]
    assert result["verdict"] not in (PART, FAIL), f"{result['title']}: {result['seen']}"


def test_numbers_are_given_once_and_every_fault_of_the_46_is_there():
    numbers = [entry.number for entry in CASES]
    assert len(numbers) == len(set(numbers))
    assert set(map(str, range(1, 47))) <= set(numbers)
