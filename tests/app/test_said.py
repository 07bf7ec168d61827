"""What programs said is shown without the way to where things lie, and without secrets; what people
wrote stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.engine import said
from app.text.escape import sentence
from cpart_core.files.paths import PROJECT


@pytest.fixture(autouse=True)
def folders(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/people/ada"))
    monkeypatch.setenv("CPART_RUNS", "/people/ada/work/runs")
    monkeypatch.setattr(said.sys, "prefix", "/opt/venvs/one")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (f'File "{PROJECT}/app/ui.py", line 3', 'File "CPart/app/ui.py", line 3'),
        ("/people/ada/work/runs/2026-a/log.txt is full", "runs/2026-a/log.txt is full"),
        ("There is no folder '/people/ada/texts'.", "There is no folder '~/texts'."),
        ("/people/adalbert/texts", "\u2026/adalbert/texts"),
        ('File "/opt/venvs/one/lib/torch/nn.py", line 1', 'File "python/lib/torch/nn.py", line 1'),
        (
            "cannot open /srv/data/corpora/greek.txt: denied",
            "cannot open \u2026/corpora/greek.txt: denied",
        ),
        ("/srv/data", "\u2026/data"),
        (r"C:\Users\ada\texts\a.csv is empty", "\u2026/texts/a.csv is empty"),
        ("3/4 of 10/20, and/or, 5e-7 1/2/3", "3/4 of 10/20, and/or, 5e-7 1/2/3"),
        ("https://host.example/a/b/c and app/ui.py", "https://host.example/a/b/c and app/ui.py"),
        ("hf_abcdefghijklmnop and Bearer xyz", "\u2022\u2022\u2022 and Bearer \u2022\u2022\u2022"),
        ("postgres://ada:hunter22@db/x", "postgres://\u2022\u2022\u2022@db/x"),
        ("postgres://ada:hunter:22@db/x", "postgres://\u2022\u2022\u2022@db/x"),
    ],
)
def test_paths_and_secrets(given, shown):
    assert said.shortened(given, {}) == shown


def test_values_of_the_environment_that_are_secret_are_covered():
    environment = {
        "WANDB_API_KEY": "0123456789abcdef",
        "MY_PASSWORD": "short",
        "LANG": "C.UTF-8.some",
    }
    assert (
        said.shortened("key 0123456789abcdef short C.UTF-8.some", environment)
        == "key \u2022\u2022\u2022 short C.UTF-8.some"
    )


def test_messages_are_shortened_and_the_end_of_a_log_is_bounded():
    assert sentence("There is no file '/people/ada/a.txt'.") == "`` There is no file '~/a.txt'. ``"
    log = "\n".join(f"line {number} /people/ada/x" for number in range(1000))
    told = said.last_said(log, 500)
    assert len(told) <= 500 and told.startswith("\u2026\nline ") and told.endswith("line 999 ~/x")
    assert len(said.last_said("x" * 10_000, 500)) <= 500
