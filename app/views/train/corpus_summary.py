"""What was found in a text, shown before training: documents, tokens, contexts, vocabulary, and
what was skipped and why.

The text is split and cut into tokens here just as the trainer does it, by the settings of the form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import streamlit as st

from app import session
from app.text import readable
from app.text.escape import plain
from cpart_core.corpus.build import CorpusReport, Preview, build_corpus, preview, report
from cpart_core.corpus.document import Gathered, Skipped
from cpart_core.settings.run import Settings
from cpart_core.training.precheck import TextCount, count_chosen, count_report

LARGEST_CUT = 20_000_000
"""Bytes; more text is only counted here, and cut into tokens when training starts."""


class Shown(NamedTuple):
    """What is known of a text once it has been looked at."""

    trouble: str
    """What is in the way of training, in the corpus's own words, or nothing."""
    text: TextCount | None = None


def show(found: Gathered | str, settings: Settings) -> Shown:
    """Draw what was found."""
    if isinstance(found, str):
        return Shown(found)
    said = preview(found)
    if not said.contexts:
        show_skipped(said.skipped)
        return Shown("No text was found. " + (said.skipped[0].reason if said.skipped else ""))
    size = sum(entry.bytes for entry in said.contexts)
    with st.spinner("Cutting the text into tokens"):
        told = cut(found, identity(found), settings) if size <= LARGEST_CUT else None
    if isinstance(told, CorpusReport):
        show_report(told)
        return Shown("", count_report(told))
    show_preview(said, size)
    return Shown(told) if told else counted(found, settings)


def identity(found: Gathered) -> str:
    """A digest of the documents: hashing them as they are takes seconds."""
    digest = hashlib.sha256()
    for document in found.documents:
        for part in (document.text, document.context, document.split):
            digest.update(f"{len(part)}:".encode() + part.encode("utf-8", "replace"))
    return digest.hexdigest()


@session.remembered(max_entries=8)
def cut(_found: Gathered, identity: str, settings: Settings) -> CorpusReport | str:
    """Counts of the corpus that training would use, or why there can be none."""
    try:
        return report(build_corpus(_found, settings.corpus, settings.training.seed))
    except ValueError as error:
        return str(error)


def show_report(told: CorpusReport) -> None:
    """Tokens and documents of both splits by context, the vocabulary, notes and what was
    skipped."""
    rows = told.contexts
    training, held_out = (
        sum(row.train_tokens for row in rows),
        sum(row.validation_tokens for row in rows),
    )
    contexts = (
        "no labels: contexts will be found from gradients"
        if told.discovered
        else f"{len(rows)} contexts"
    )
    st.markdown(
        f"**{readable.amount(training)}** tokens to train on, **{readable.amount(held_out)}** held"
        f" out for validation \u00b7 vocabulary of **{told.vocabulary_size:,}** \u00b7"
        f" {readable.size(told.train_bytes + told.validation_bytes)} \u00b7 {contexts}"
    )
    table = pd.DataFrame(
        [
            (
                plain(row.name),
                row.train_documents,
                row.train_tokens,
                row.validation_documents,
                row.validation_tokens,
            )
            for row in rows
        ],
        columns=["context", "documents", "tokens", "documents held out", "tokens held out"],
    )
    draw(table)
    for note in told.notes:
        st.caption(plain(note, 400))
    show_skipped(told.skipped)


def show_preview(said: Preview, size: int) -> None:
    """Documents and bytes alone."""
    documents = sum(entry.documents for entry in said.contexts)
    counted = "1 document" if documents == 1 else f"{documents:,} documents"
    st.markdown(f"**{counted}** \u00b7 **{readable.size(size)}**")
    draw(
        pd.DataFrame(
            [
                (plain(entry.name) or "(no label)", entry.documents, entry.bytes / 1000)
                for entry in said.contexts
            ],
            columns=["context", "documents", "kB"],
        )
    )
    if size > LARGEST_CUT:
        st.caption("So much text is cut into tokens only when training starts.")
    for note in said.notes:
        st.caption(plain(note, 400))
    show_skipped(said.skipped)


def draw(table: pd.DataFrame) -> None:
    st.dataframe(
        table,
        hide_index=True,
        height=min(320, 36 * (len(table) + 1)),
        column_config={
            name: st.column_config.NumberColumn(format="%.1f" if name == "kB" else "localized")
            for name in table.columns[1:]
        },
    )


def counted(found: Gathered, settings: Settings) -> Shown:
    """Documents split into training and validation text but not cut into tokens, or why they cannot
    be split."""
    from cpart_core.corpus.split import choose

    try:
        return Shown("", count_chosen(choose(found, settings.corpus, settings.training.seed)))
    except ValueError as error:
        return Shown(str(error))


def show_skipped(skipped: Sequence[Skipped]) -> None:
    if skipped:
        with st.expander(f"{len(skipped):,} skipped, and why"):
            table = pd.DataFrame(
                [(plain(entry.title), plain(entry.reason, 300)) for entry in skipped[:500]],
                columns=["what", "why"],
            )
            st.dataframe(table, hide_index=True)
