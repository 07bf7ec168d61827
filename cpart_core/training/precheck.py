"""All that can be known of a training before its first step: one place for the command line,
studies, the pages and the trainer itself.

What cannot work is refused in a sentence; what will work otherwise than a person may expect is
said. No torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from cpart_core.corpus.build import CorpusReport, report
from cpart_core.corpus.document import UNKNOWN, Corpus
from cpart_core.corpus.split import Chosen
from cpart_core.settings.run import Settings
from cpart_core.training.disk_use import disk_need
from cpart_core.training.estimate import estimate

BYTES_OF_A_TOKEN = 3
"""Where the text is not cut into tokens yet; a small vocabulary gives 2 to 4."""
MOST_READINGS = 50
"""More readings of the whole text in one training are said: small models learn it by heart."""


@dataclass(frozen=True)
class TextCount:
    """What is known of a text once it is split: numbers of documents, bytes, tokens (estimated
    where it is not cut into tokens)."""

    contexts: int
    """0 where they are to be discovered."""
    train_documents: int
    validation_documents: int
    bytes: int
    train_tokens: int


def count_report(told: CorpusReport) -> TextCount:
    """The numbers of a built corpus, from what the page shows of it."""
    rows = told.contexts
    return TextCount(
        0 if told.discovered else len(rows),
        sum(row.train_documents for row in rows),
        sum(row.validation_documents for row in rows),
        told.train_bytes + told.validation_bytes,
        sum(row.train_tokens for row in rows),
    )


def count_corpus(corpus: Corpus) -> TextCount:
    """The numbers of a built corpus."""
    return count_report(report(corpus))


def count_chosen(chosen: Chosen) -> TextCount:
    """The numbers of documents that are split and not yet cut into tokens."""
    train, held_out = (
        sum(len(document.text.encode()) for document in part)
        for part in (chosen.train, chosen.validation)
    )
    contexts = 0 if chosen.contexts == (UNKNOWN,) else len(chosen.contexts)
    return TextCount(
        contexts,
        len(chosen.train),
        len(chosen.validation),
        train + held_out,
        train // BYTES_OF_A_TOKEN,
    )


def check_before(
    settings: Settings,
    text: TextCount | None,
    folder: Path | None = None,
    given: Iterable[str] = (),
) -> tuple[str, ...]:
    """What is to be said before this training begins; ValueError for what cannot work.

    text: None = it is only known when it is read, and what depends on it is not checked. folder:
    where the run will lie, for the disk. given: settings that a person named, for those that only
    the text can show to be without effect.
    """
    said = [*about_steps(settings), *about_machine(settings, text, folder)]
    if text is not None:
        check_contexts(settings, text, given)
        said += about_text(settings, text)
    return tuple(said)


def check_contexts(settings: Settings, text: TextCount, given: Iterable[str]) -> None:
    """ValueError where contexts cannot be discovered in so few documents, or were to be discovered
    in text that has labels."""
    wanted, documents = (
        settings.corpus.discovered_contexts,
        text.train_documents + text.validation_documents,
    )
    if text.contexts and "discovered_contexts" in given:
        raise ValueError(
            "discovered_contexts was given, but it takes effect only where the text has no context"
            f" labels, and this one has {text.contexts} contexts: leave it out."
        )
    if (
        not text.contexts
        and documents < wanted
        and settings.partition.first_step <= settings.training.steps
    ):
        raise ValueError(
            f"{documents:,} documents cannot be divided into {wanted} contexts"
            f" ({text.train_documents:,} to train on and {text.validation_documents:,} held out is"
            " all that the text gives): give more text, or set discovered_contexts to"
            f" {max(2, documents)} or fewer."
        )


def about_steps(settings: Settings) -> list[str]:
    """Steps that come after the last one."""
    steps, partition = settings.training.steps, settings.partition
    said = []
    if steps < partition.first_step:
        said.append(
            "No segments will form: the first partition is made at first_step"
            f" {partition.first_step:,}, and training ends at step {steps:,}."
        )
    elif steps < partition.fusion_step and settings.model.execution != "dense":
        said.append(
            "Fusion weights will not be applied: they are from fusion_step"
            f" {partition.fusion_step:,} on, and training ends at step {steps:,}."
        )
    if settings.training.warmup_steps >= steps:
        said.append(
            "The learning rate will not reach its peak: it rises for warmup_steps"
            f" {settings.training.warmup_steps:,}, and training ends at step {steps:,}."
        )
    return said


def about_text(settings: Settings, text: TextCount) -> list[str]:
    """How much of the text one step and the whole training read."""
    needed = estimate(settings)
    if text.train_tokens < needed.tokens_per_step:
        return [
            f"Each step reads the whole text more than once: a batch has {needed.tokens_per_step:,}"
            f" tokens, the training text about {text.train_tokens:,}; give more text, or a smaller"
            " batch_size."
        ]
    readings = needed.total_tokens / max(1, text.train_tokens)
    if readings > MOST_READINGS:
        return [
            f"The text will be read about {readings:,.0f} times, so the model will learn it by"
            " heart; give more text, or fewer steps."
        ]
    return []


def about_machine(settings: Settings, text: TextCount | None, folder: Path | None) -> list[str]:
    """Disk and memory. ValueError where not even one checkpoint has room on the disk."""
    said = []
    number = (
        text.contexts if text is not None and text.contexts else settings.corpus.discovered_contexts
    )
    need = disk_need(settings, number, text.bytes if text is not None else 0)
    free = free_bytes(folder)
    if free is not None and need.checkpoint > free:
        raise ValueError(
            f"One checkpoint needs about {in_words(need.checkpoint)} of the disk, and"
            f" {in_words(free)} are free: make space, put the runs elsewhere (CPART_RUNS), or"
            " choose a smaller model."
        )
    if free is not None and need.whole > free:
        said.append(
            f"The disk may fill up: the whole run needs about {in_words(need.whole)}, and"
            f" {in_words(free)} are free; make space, or keep fewer checkpoints and snapshots"
            " (keep_checkpoints, snapshot_every)."
        )
    memory, there = estimate(settings).memory_bytes, psutil.virtual_memory().available
    if memory > there and settings.training.device != "cuda":
        said.append(
            f"Memory may run out: about {in_words(memory)} are needed, and {in_words(there)} are"
            " free."
        )
    return said


def free_bytes(folder: Path | None) -> int | None:
    """Free bytes of the disk on which the folder lies or will lie; None where that is not known."""
    while folder is not None and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    with suppress(OSError):
        return shutil.disk_usage(folder).free if folder is not None else None
    return None


def in_words(size: int) -> str:
    """'1.5 GB', '20 MB', as disks are labelled."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"
