"""What can be known before a training is said before it, by the same function for terminal, page,
study and trainer."""

from __future__ import annotations

import re

import pytest

from cpart_core.__main__ import main
from cpart_core.corpus.build import build_corpus
from cpart_core.corpus.document import Document, Gathered
from cpart_core.corpus.split import choose
from cpart_core.runs.folder import list_runs
from cpart_core.runs.training_session import run_training
from cpart_core.settings.run import Settings
from cpart_core.training import precheck as before
from cpart_core.training.disk_use import disk_need
from cpart_core.training.estimate import estimate
from cpart_core.training.precheck import TextCount, check_before, count_chosen, count_corpus
from tests.runs.tiny import tiny_run

PLENTY = TextCount(
    contexts=6, train_documents=500, validation_documents=50, bytes=2_000_000, train_tokens=700_000
)
FOUND = TextCount(
    contexts=0, train_documents=20, validation_documents=2, bytes=24_000, train_tokens=8_000_000
)


def with_values(**values: object) -> Settings:
    return Settings().with_values(values).check()


def test_nothing_is_said_of_a_training_that_is_as_it_should_be(tmp_path):
    assert check_before(Settings(), PLENTY, tmp_path) == ()
    assert check_before(Settings(), None, tmp_path) == ()


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [(22, False), (23, True), (40, True)],
)
def test_documents_that_cannot_be_divided_are_refused(wanted, refused):
    settings = with_values(discovered_contexts=wanted)
    if refused:
        with pytest.raises(
            ValueError,
            match=(
                rf"22 documents cannot be divided into {wanted} contexts .* set discovered_contexts"
                r" to 22 or fewer"
            ),
        ):
            check_before(settings, FOUND)
        # no partition, so none is divided: said otherwise
        assert check_before(settings.with_values({"steps": 50}), FOUND)
    else:
        assert check_before(settings, FOUND) == ()
    assert check_before(settings, PLENTY) == ()
    with pytest.raises(
        ValueError, match="discovered_contexts was given, but .* this one has 6 contexts"
    ):
        check_before(settings, PLENTY, given={"discovered_contexts"})


@pytest.mark.parametrize(
    ("values", "text", "said"),
    [
        (
            {"steps": 99},
            PLENTY,
            "No segments will form: the first partition is made at first_step 100",
        ),
        ({"steps": 150}, PLENTY, "Fusion weights will not be applied"),
        ({"steps": 150, "execution": "dense"}, PLENTY, ""),
        ({"warmup_steps": 600}, PLENTY, "The learning rate will not reach its peak"),
        ({"batch_size": 4096}, PLENTY, ""),
        ({}, TextCount(2, 9, 1, 3000, 900), "Each step reads the whole text more than once"),
        ({}, TextCount(2, 9, 1, 30_000, 9_000), "read about 137 times"),
    ],
)
def test_what_goes_otherwise_than_expected_is_said(values, text, said, monkeypatch):
    monkeypatch.setattr(before, "about_machine", lambda *_: [])
    if values.get("batch_size"):
        text = TextCount(6, 500, 50, 10**9, 10**9)
    found = check_before(with_values(**values), text)
    assert (len(found) == 1 and said in found[0]) if said else found == ()


def test_room_on_the_disk_is_asked_for_before(tmp_path, monkeypatch):
    need = disk_need(Settings(), 6, PLENTY.bytes)
    monkeypatch.setattr(before, "free_bytes", lambda _: need.whole + 1)
    assert check_before(Settings(), PLENTY, tmp_path) == ()
    monkeypatch.setattr(before, "free_bytes", lambda _: need.whole - 1)
    assert "The disk may fill up" in check_before(Settings(), PLENTY, tmp_path)[0]
    monkeypatch.setattr(before, "free_bytes", lambda _: need.checkpoint - 1)
    with pytest.raises(
        ValueError,
        match="One checkpoint needs about 14 MB of the disk, and 14 MB are free: make space",
    ):
        check_before(Settings(), PLENTY, tmp_path)
    assert need.checkpoint == 12 * estimate(Settings()).num_parameters + 100_000
    assert before.free_bytes(tmp_path / "not" / "yet") == before.free_bytes(tmp_path)


def test_a_text_counts_the_same_before_and_after_it_is_cut_into_tokens():
    documents = tuple(
        Document(f"text {number} of some words " * 20, "ab"[number % 2], f"d{number}")
        for number in range(40)
    )
    settings = Settings().with_values({"vocabulary_size": 300})
    found = Gathered(documents, ())
    chosen, built = (
        count_chosen(choose(found, settings.corpus, 0)),
        count_corpus(build_corpus(found, settings.corpus, 0)),
    )
    assert (chosen.contexts, chosen.train_documents, chosen.validation_documents, chosen.bytes) == (
        built.contexts,
        built.train_documents,
        built.validation_documents,
        built.bytes,
    )


def test_the_command_refuses_before_there_is_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CPART_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CPART_SAMPLES", str(tmp_path / "samples"))
    (tmp_path / "short.txt").write_text(
        "".join(f"line {number} of a short text\n" for number in range(30))
    )
    assert (
        main(["train", "--path", str(tmp_path / "short.txt"), "--discovered-contexts", "60"]) == 2
    )
    told = capsys.readouterr()
    assert (
        re.search(r"documents cannot be divided into 60 contexts", told.err)
        and "source file: taken from the path" in told.out
    )
    assert not list_runs()


def test_a_trainer_that_a_page_started_refuses_before_its_first_step(tmp_path, monkeypatch):
    monkeypatch.setenv("CPART_RUNS", str(tmp_path))
    run = tiny_run(labelled=False, discovered_contexts=64)
    with pytest.raises(ValueError, match="60 documents cannot be divided into 64 contexts"):
        run_training(run)
    assert run.state().step == 0 and "cannot be divided" in run.state().last_words
