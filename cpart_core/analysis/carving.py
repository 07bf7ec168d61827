"""Carve a checkpoint for a context or a text into a run of its own, and measure both: bytes, memory, speed, loss by context."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from cpart_core.analysis.footprint import REPEATS, measure_footprints
from cpart_core.analysis.held_out import DocumentLosses, document_losses, interval_of_rise
from cpart_core.analysis.keep_k import Texts, Wish, means, rank_segments, texts_of
from cpart_core.analysis.keep_results import CarveReport
from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.analysis.source import Source
from cpart_core.corpus.document import Corpus
from cpart_core.model.carve import carved_settings
from cpart_core.model.decoder import Decoder
from cpart_core.runs.carved import carve_run
from cpart_core.runs.checkpoint import load_model
from cpart_core.runs.create import machine
from cpart_core.runs.folder import Run


class Losses(NamedTuple):
    """Of one model."""

    by_context: list[DocumentLosses]
    text: float
    """On the second half of the text; NaN without one."""


def carve_for(
    run: Run, source: Source, corpus: Corpus, wish: Wish, keep: int, name: str = "", repeats: int = REPEATS, progress: Progress = silent
) -> CarveReport:
    """Choose, carve, and measure the new run as it lies on the disk. ValueError for a wish that cannot be met."""
    wish.check(corpus.contexts)
    carved_settings(source.model.settings, keep)  # refuses a keep that is impossible before anything is read
    texts = texts_of(wish, corpus, source.tokenizer, source.model.settings.context_length)
    progress(0.0, f"Choosing segments on {len(texts.choosing.titles)} documents")
    _, order = rank_segments(source, wish, texts.choosing)
    kept = np.sort(order[:, :keep], axis=1)
    progress(0.1, f"Carving {keep} of {order.shape[1]} segments a layer")
    carved = carve_run(run, source.step, source.model, kept, wish.context, name)
    progress(0.2, "Losses before")
    before = losses_of(source.model, wish, texts)
    progress(0.3, "Losses after")
    after = losses_of(load_model(carved, source.step).model, wish, texts)
    footprints = measure_footprints([(run, source.step), (carved, source.step)], repeats, part_of(progress, 0.4, 1.0))
    pairs = zip(before.by_context, after.by_context, strict=True)
    intervals = np.array([interval_of_rise(whole, smaller, wish.seed) for whole, smaller in pairs])
    report = CarveReport(
        run=run.id,
        step=source.step,
        carved=carved.id,
        context=wish.context,
        text=wish.text,
        ranking=wish.ranking,
        seed=wish.seed,
        keep=keep,
        kept=kept,
        before=footprints[0],
        after=footprints[1],
        contexts=corpus.contexts,
        loss_before=means(before.by_context),
        loss_after=means(after.by_context),
        low=intervals[:, 0],
        high=intervals[:, 1],
        documents_by_context=np.array([len(rows.titles) for rows in texts.others]),
        tokens_by_context=np.array([rows.tokens for rows in texts.others]),
        text_before=before.text,
        text_after=after.text,
        text_tokens=texts.measured.tokens if wish.text else 0,
        machine=machine(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
    )
    carved.store_result("carve", {"run": carved.id}, report)  # so that the carved run can show where it is from
    return report


def losses_of(model: Decoder, wish: Wish, texts: Texts) -> Losses:
    """On held-out documents of every context, and on the second half of the text."""
    text = document_losses(model, texts.measured).mean() if wish.text else float("nan")
    return Losses([document_losses(model, rows) for rows in texts.others], text)
