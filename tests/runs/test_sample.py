"""The samples in the repository: they open, are what their manifests say, and their stored losses
are what `evaluate` gives."""

from __future__ import annotations

import numpy as np
import pytest

from cpart_core.analysis.text.first_text import FIRST_TEXT
from cpart_core.corpus.batches import validation_rows
from cpart_core.corpus.store import load_corpus
from cpart_core.runs.checkpoint import load_model
from cpart_core.runs.folder import list_runs, open_run, sample_root
from cpart_core.runs.manifest import verify
from cpart_core.service.answering import answer, stored
from cpart_core.training.validation import validate

SAMPLES = sorted(path.name for path in sample_root().iterdir() if (path / "run.json").is_file())


def test_there_is_a_sample_with_its_dense_twin_and_all_are_small() -> None:
    infos = [open_run(name).info for name in SAMPLES]
    assert any(info.twin_kind == "dense" and info.twin_of in SAMPLES for info in infos)
    assert (
        sum(path.stat().st_size for path in sample_root().rglob("*") if path.is_file()) < 20_000_000
    )


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_finished_whole_and_has_learned(name: str) -> None:
    run = open_run(name)
    verify(run.folder)
    assert run.read_only and run.state().state == "finished"
    assert next(summary for summary in list_runs() if summary.id == name).state.state == "finished"
    losses = run.evaluations().loss
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_samples_stored_losses_are_what_its_checkpoint_gives(name: str) -> None:
    run = open_run(name)
    step = run.checkpoint_steps()[-1]
    kept = stored(run, "losses", {"run": name, "step": step})
    fresh = answer("losses", {"run": name, "step": step})
    np.testing.assert_allclose(kept.loss_by_context, fresh.loss_by_context, rtol=1e-3)
    loaded, corpus, settings = (
        load_model(run, step),
        load_corpus(run.folder / "corpus"),
        run.settings,
    )
    rows = validation_rows(
        corpus.validation,
        len(corpus.contexts),
        settings.model.context_length,
        settings.training.evaluation_rows,
        settings.training.seed,
    )
    seen = validate(loaded.model, rows, len(corpus.contexts), loaded.model.embedding.device)
    # Another processor sums in another order, or trains in bf16 where this one reads in fp32.
    np.testing.assert_allclose(
        run.evaluations().loss_by_context[-1], seen.evaluation.loss_by_context, rtol=5e-3
    )


def test_the_first_picture_of_every_page_is_there() -> None:
    for name in SAMPLES:
        run = open_run(name)
        if run.info.twin_of:
            continue
        step = run.checkpoint_steps()[-1]
        for method in ("pca", "umap"):
            assert (
                stored(run, "neuron_map", {"run": name, "method": method, "layer": -1, "seed": 0})
                is not None
            )
            assert (
                stored(
                    run, "document_map", {"run": name, "step": step, "method": method, "seed": 0}
                )
                is not None
            )
        assert stored(run, "profiles", {"run": name, "step": step}) is not None
        assert stored(run, "trace", {"run": name, "step": step, "text": FIRST_TEXT}) is not None
        assert run.snapshot_steps()[-1] == step
