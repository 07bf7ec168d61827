"""One name, one number: what a checkpoint's validation loss is, is the same on Home, Train, Carve
and Compare, and by every command."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from app.text import readable
from cpart_core.__main__ import main
from cpart_core.analysis.losses.evaluation import read_validation
from cpart_core.analysis.source import Sources
from cpart_core.runs.create import create_twin
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.training_session import run_training
from cpart_core.runs.validation_loss import validation_loss
from cpart_core.service.answering import answer, stored
from tests.app.looked_at import alone, open_page, said
from tests.runs.tiny import tiny_run


@pytest.fixture
def runs(tmp_path, monkeypatch) -> tuple[Run, Run]:
    """A trained run and its dense twin, of which nothing has been evaluated yet."""
    alone(monkeypatch, tmp_path)
    run = tiny_run(keep_checkpoints=2)
    twin = create_twin(run, "dense")
    for one in (run, twin):
        run_training(one)
    return open_run(run.id), open_run(twin.id)


def metrics(run: Run) -> dict[str, str]:
    """What the Train page shows in large figures."""
    page = open_page("train", run, {"next_train_view": "watch"})
    assert not page.exception
    return {item.label: item.value for item in page.metric}


def test_a_checkpoint_has_one_validation_loss_wherever_it_is_said(runs, capsys):
    run, twin = runs
    sampled = readable.loss(float(run.evaluations().loss[-1]))
    assert validation_loss(run).sampled
    assert metrics(run)["Sampled validation loss"] == sampled and "Validation loss" not in metrics(
        run
    )
    assert re.search(
        rf"sampled validation loss \*\*{sampled}\*\*.*a sample of", said(open_page("home", None))
    )

    assert main(["evaluate", run.id, "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    value = readable.loss(evaluated["loss"])
    assert value != sampled, "the test's run must have a sample that differs"

    assert metrics(run)["Validation loss"] == value
    home = said(open_page("home", None))
    n = (
        f"all validation text, n = {evaluated['tokens']:,} tokens of {evaluated['documents']:,}"
        " documents"
    )
    assert (
        f"validation loss **{value}** :gray[(step 40; 95 %: {evaluated['low_95']:.3f} to"
        f" {evaluated['high_95']:.3f}; {n})]" in home
    )
    assert main(["evaluate", run.id]) == 0
    assert (
        f"validation loss (mean over contexts) {evaluated['loss']:.4f} (95 % over documents:"
        in capsys.readouterr().out
    )

    by_context = [entry["loss"] for entry in evaluated["contexts"]]
    for request in ({"other": twin.id, "other_step": 40}, {"other": run.id, "other_step": 30}):
        compared = answer("compare_losses", {"run": run.id, "step": 40, "seed": 0, **request})
        assert compared.whole and compared.name == "validation loss"
        assert compared.loss_by_context == pytest.approx(
            [*by_context, evaluated["loss"]], abs=1e-12
        )
        theirs = answer("losses", {"run": request["other"], "step": request["other_step"]})
        assert compared.other_by_context[-1] == pytest.approx(theirs.loss, abs=1e-12)
        assert compared.low[-1] <= compared.difference[-1] <= compared.high[-1]
    assert stored(open_run(twin.id), "losses", {"run": twin.id, "step": 40}) is not None, (
        "comparing evaluates, and that stays"
    )


def test_carving_measures_the_same_loss_and_the_carved_run_says_it(runs, monkeypatch):
    run, _ = runs
    from cpart_core.analysis.keep import carving
    from cpart_core.records.keep import Footprint

    monkeypatch.setattr(
        carving,
        "measure_footprints",
        lambda pairs, repeats, progress: [Footprint(1, 1, 1, 1, 1, 1, 1, 1.0, 1.0, 1)] * 2,
    )
    selection = {
        "context": "days",
        "text": "",
        "ranking": "effect",
        "documents": 2,
        "seed": 0,
        "keep": 2,
        "name": "",
    }
    carved = open_run(answer("carve", {"run": run.id, "step": 40, **selection}).carved)
    kept = stored(carved, "carve", {"run": carved.id})
    assert kept.loss_before == pytest.approx(
        answer("losses", {"run": run.id, "step": 40}).loss_by_context, abs=1e-12
    )
    assert kept.loss_after == pytest.approx(
        answer("losses", {"run": carved.id, "step": 40}).loss_by_context, abs=1e-12
    )
    assert not validation_loss(carved).sampled and validation_loss(carved).value == pytest.approx(
        np.nanmean(kept.loss_after)
    )


def test_other_text_is_not_called_validation_loss(runs):
    run, _ = runs
    other = tiny_run(context_length=32)
    run_training(other)
    compared = answer(
        "compare_losses",
        {"run": run.id, "step": 40, "seed": 0, "other": other.id, "other_step": 40},
    )
    assert not compared.whole and "held out from both" in compared.name


def test_the_sums_by_document_are_all_of_the_text_once(runs):
    """Every token of every validation row is counted at one document, and a sample of training is a
    part of the same rows."""
    run, _ = runs
    sources = Sources()
    corpus = sources.corpus(run)
    read = read_validation(sources.source(run, 40), corpus, run.settings.training.seed)
    lengths = np.diff(corpus.validation.starts)
    assert (read.tokens <= lengths).all() and read.tokens.sum() >= lengths.sum() * 0.9
    report = answer("losses", {"run": run.id, "step": 40})
    assert (
        report.num_tokens == read.tokens.sum() and report.num_documents == (read.tokens > 0).sum()
    )
    assert report.low < report.loss < report.high
    assert (report.low_by_context < report.loss_by_context).all() and (
        report.loss_by_context < report.high_by_context
    ).all()
    assert run.evaluations().tokens_by_context[-1].sum() < report.num_tokens
