"""Carve a checkpoint for a context or a text into a run of its own, and measure both: bytes,
memory, speed, loss by context."""

from __future__ import annotations

import os

import numpy as np

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.compare.loss_pairs import difference_over_documents, measured_by
from cpart_core.analysis.keep.footprint import REPEATS, measure_footprints
from cpart_core.analysis.keep.keep_k import (
    SelectionRequest,
    Texts,
    rank_segments,
    selection_request,
    texts_of,
)
from cpart_core.analysis.losses.evaluation import validation_report
from cpart_core.analysis.losses.held_out import document_losses
from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.analysis.source import Source
from cpart_core.corpus.document import Corpus
from cpart_core.model.carve import carved_settings
from cpart_core.model.decoder import Decoder
from cpart_core.records.keep import CarveReport
from cpart_core.runs.carved import carve_run
from cpart_core.runs.checkpoint import load_model
from cpart_core.runs.create import machine
from cpart_core.runs.folder import Run


def carve_for(
    run: Run,
    source: Source,
    corpus: Corpus,
    request: SelectionRequest,
    keep: int,
    name: str = "",
    repeats: int = REPEATS,
    progress: Progress = silent,
) -> CarveReport:
    """Choose, carve, and measure the new run as it lies on the disk. ValueError for a request that
    cannot be met."""
    request.check(corpus.contexts)
    # refuses a keep that is impossible before anything is read
    carved_settings(source.model.settings, keep)
    texts = texts_of(request, corpus, source.tokenizer, source.model.settings.context_length)
    progress(0.0, f"Choosing segments on {len(texts.choosing.titles)} documents")
    _, order = rank_segments(source, request, texts.choosing)
    kept = np.sort(order[:, :keep], axis=1)
    progress(0.1, f"Carving {keep} of {order.shape[1]} segments a layer")
    carved = carve_run(run, source.step, source.model, kept, request.context, name)
    smaller = source_of(carved, source.step)
    before = validation_report(run, source, corpus, part_of(progress, 0.15, 0.3))
    after = validation_report(carved, smaller, corpus, part_of(progress, 0.3, 0.45))
    _, _, low, high, _ = difference_over_documents(
        measured_by(before),
        measured_by(after),
        corpus.validation.context,
        len(corpus.contexts),
        request.seed,
    )
    footprints = measure_footprints(
        [(run, source.step), (carved, source.step)], repeats, part_of(progress, 0.45, 1.0)
    )
    report = CarveReport(
        run=run.id,
        step=source.step,
        carved=carved.id,
        context=request.context,
        text=request.text,
        ranking=request.ranking,
        seed=request.seed,
        keep=keep,
        kept=kept,
        before=footprints[0],
        after=footprints[1],
        contexts=corpus.contexts,
        loss_before=before.loss_by_context,
        loss_after=after.loss_by_context,
        low=low[:-1],
        high=high[:-1],
        documents_by_context=before.documents_by_context,
        tokens_by_context=before.tokens_by_context,
        text_before=loss_of_text(source.model, request, texts),
        text_after=loss_of_text(smaller.model, request, texts),
        text_tokens=texts.measured.tokens if request.text else 0,
        machine=machine(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
    )
    # so that the carved run can show where it is from
    carved.store_result("carve", {"run": carved.id}, report)
    return report


def source_of(run: Run, step: int) -> Source:
    """A checkpoint as it lies on the disk."""
    model, tokenizer, _ = load_model(run, step)
    return Source(run.id, step, model, tokenizer)


def loss_of_text(model: Decoder, request: SelectionRequest, texts: Texts) -> float:
    """On the second half of the text; NaN without one."""
    return document_losses(model, texts.measured).mean() if request.text else float("nan")


def answer(asked: Asked) -> CarveReport:
    """The request `carve`. The only analysis that writes a run: the carved one."""
    request, keep, name = (
        selection_request(asked.values),
        asked.values["keep"],
        asked.values["name"],
    )
    source, corpus = asked.source(), asked.corpus()
    return carve_for(asked.run, source, corpus, request, keep, name, progress=asked.progress)
