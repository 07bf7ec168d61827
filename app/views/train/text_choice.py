"""The choice of text on the Train page: built in, pasted, uploaded, a folder, or a dataset; and
what was found in it, before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from app import session
from app.locality import at_this_machine
from app.shell import forms
from app.text.escape import code_span, plain
from app.views.train import kept_files
from app.views.train.corpus_summary import show
from cpart_core.corpus.document import Document, Gathered, Skipped
from cpart_core.corpus.files import KINDS
from cpart_core.settings.corpus import CorpusSettings
from cpart_core.settings.run import Settings
from cpart_core.training.precheck import TextCount, count_chosen

SOURCES = {
    "builtin": ("Built in", ":material/auto_stories:"),
    "paste": ("Paste", ":material/content_paste:"),
    "upload": ("Upload", ":material/upload_file:"),
    "folder": ("Folder", ":material/folder:"),
    "dataset": ("Hugging Face", ":material/dataset:"),
}
ON_THE_DISK = ("folder", "dataset")
"""Those by which a visitor has the server read its own disk."""
PASTE_LIMIT = 2_000_000
"""Characters in the text box; a file takes more."""
LONGEST_CONTEXT = 60
"""Characters of a context's name."""


@dataclass(frozen=True)
class Source:
    """The text that was chosen."""

    values: dict[str, Any] = field(default_factory=dict)
    """Settings it sets, by flat name."""
    gathered: Gathered | None = None
    """Documents that came with the page; None = the trainer gathers what the settings name."""
    trouble: str = ""
    """Why it cannot be trained on yet, in a sentence; empty when it can."""
    text: TextCount | None = None
    """How much it is; None where nobody has looked yet."""


def choose_source(chosen_so_far: Settings) -> Source:
    """Widgets of the choice, and below them what was found. The settings are those of the form:
    sizes of corpus and vocabulary count."""
    offered = [name for name in SOURCES if name not in ON_THE_DISK or at_this_machine()]
    chosen = st.segmented_control(
        "Where the text comes from",
        offered,
        default="builtin",
        format_func=lambda name: f"{SOURCES[name][1]} {SOURCES[name][0]}",
        key="source_kind",
        required=True,
        persist_state="session",
    )
    drawers = {
        "builtin": builtin,
        "paste": paste,
        "upload": upload,
        "folder": folder,
        "dataset": dataset,
    }
    return drawers[chosen if chosen in offered else "builtin"](chosen_so_far)


def builtin(settings: Settings) -> Source:
    from cpart_core.corpus.builtin import builtin_contexts

    known = {context.name: context for context in builtin_contexts()}
    everywhere = [name for name, context in known.items() if context.everywhere]
    chosen = st.multiselect(
        "Contexts",
        list(known),
        default=list(settings.corpus.contexts) or everywhere,
        key="source_contexts",
        persist_state="session",
        help=(
            "Text that every Python installation carries, and text from a generator with known"
            " structure. Nothing is downloaded."
        ),
    )
    if not chosen:
        return Source(trouble="Choose at least one context.")
    st.caption("  \n".join(f"{code_span(name)} {plain(known[name].about)}" for name in chosen))
    values: dict[str, Any] = {
        "source": "builtin",
        "path": "",
        "contexts": () if set(chosen) == set(everywhere) else tuple(chosen),
    }
    if st.toggle("Look inside before training", key="source_look", persist_state="session"):
        return look(values, settings)
    return Source(values)


def paste(settings: Settings) -> Source:
    st.caption(
        "One box for each context. With a single box, contexts are found from gradients during"
        " training."
    )
    count = int(
        st.number_input("Boxes", 1, 12, 2, key="paste_boxes", persist_state="session", width=160)
    )
    documents: list[Document] = []
    skipped: list[Skipped] = []
    for place in range(count):
        left, right = st.columns([1, 3])
        with left:
            context = forms.line(
                "Context",
                f"context {place + 1}",
                limit=LONGEST_CONTEXT,
                key=f"paste_name_{place}",
                persist=True,
            )
        with right:
            text = forms.within(
                st.text_area(
                    "Text", key=f"paste_text_{place}", height=140, persist_state="session"
                ),
                PASTE_LIMIT,
            )
        if text.strip():
            found = gathered_from_text(
                text, (context.strip() or f"context {place + 1}") if count > 1 else ""
            )
            documents += found.documents
            skipped += found.skipped
    if not documents:
        return Source(
            trouble=(
                "Paste some text: a few pages of each context, so that something can be learned and"
                " something held out."
            )
        )
    gathered = Gathered(tuple(documents), tuple(skipped))
    values = {"source": "file", "path": "pasted text", "contexts": ()}
    return Source(values, gathered, *show(gathered, settings.with_values(values)))


def gathered_from_text(text: str, context: str) -> Gathered:
    from cpart_core.corpus.files import gather_pasted

    try:
        return gather_pasted(text, context)
    except ValueError as error:
        return Gathered((), (Skipped(context or "pasted text", str(error)),))


def upload(settings: Settings) -> Source:
    limit = st.get_option("server.maxUploadSize")
    files = kept_files.chooser(
        f"Text files, at most {limit} MB each",
        [*(kind.removeprefix(".") for kind in KINDS), "gz"],
        "A .txt or .md file is a context of its own. A table (.csv, .tsv, .jsonl, .json) has a"
        " column with the text and may have one with the context.",
    )
    columns = column_names(settings.corpus)
    if not files:
        return Source(columns, trouble="Upload at least one file.")
    with st.spinner("Reading the files"):
        gathered = gathered_from_uploads(
            [(file.name, file.getvalue()) for file in files],
            columns["text_column"],
            columns["context_column"],
        )
    names = plain(", ".join(file.name for file in files), 200)
    values = {**columns, "source": "file", "path": f"uploaded: {names}", "contexts": ()}
    shown = show(gathered, settings.with_values(values))
    return Source(values, None if isinstance(gathered, str) else gathered, *shown)


def column_names(settings: CorpusSettings) -> dict[str, str]:
    left, right = st.columns(2)
    text = left.text_input(
        "Text column",
        settings.text_column,
        key="column_text",
        persist_state="session",
        help="In CSV, JSONL and datasets",
    )
    context = right.text_input(
        "Context column",
        settings.context_column,
        key="column_context",
        persist_state="session",
        help="May be missing: contexts are then discovered",
    )
    return {"text_column": text, "context_column": context}


@session.remembered(max_entries=4, scope="session")
def gathered_from_uploads(
    files: Sequence[tuple[str, bytes]], text_column: str, context_column: str
) -> Gathered | str:
    """All files through the same reader as the command line, each without labels a context; or the
    sentence that says what is wrong."""
    from cpart_core.corpus.files import gather_uploads

    try:
        return gather_uploads(
            files,
            CorpusSettings(text_column=text_column, context_column=context_column),
            context_each=True,
        )
    except ValueError as error:
        return str(error)


def folder(settings: Settings) -> Source:
    path = st.text_input(
        "Folder on this machine",
        key="folder_path",
        persist_state="session",
        help=f"One subfolder a context; {', '.join(KINDS)} files are read. ~ is your home.",
    )
    columns = column_names(settings.corpus)
    if not path.strip():
        return Source(columns, trouble="Give the path of a folder.")
    values = {**columns, "source": "folder", "path": path.strip(), "contexts": ()}
    return looked_at(values, settings, "Look inside")


def dataset(settings: Settings) -> Source:
    import importlib.util

    if importlib.util.find_spec("datasets") is None:
        st.info(
            "This needs the extra `hub`: `pip install -e '.[hub]'`. Nothing else of CPart uses the"
            " network.",
            icon=":material/extension:",
        )
        return Source(trouble="The package `datasets` is not installed.")
    name = st.text_input(
        "Dataset",
        key="dataset_name",
        persist_state="session",
        help="A name on the Hugging Face hub (this downloads it) or a local path",
    )
    columns = column_names(settings.corpus)
    if not name.strip():
        return Source(columns, trouble="Give the name or the local path of a dataset.")
    return looked_at(
        {**columns, "source": "dataset", "path": name.strip(), "contexts": ()},
        settings,
        "Download and look inside",
    )


def text_before_start(settings: Settings, source: Source) -> TextCount | None:
    """How much text there is, read now where nobody has looked; None for a dataset, which only the
    trainer fetches. ValueError as training."""
    from cpart_core.corpus.split import choose

    corpus = settings.corpus
    if source.text is not None or corpus.source == "dataset":
        return source.text
    found = gather_named(
        corpus.source,
        corpus.path,
        corpus.contexts,
        corpus.kilobytes_per_context,
        corpus.text_column,
        corpus.context_column,
    )
    if isinstance(found, str):
        raise ValueError(found)
    return count_chosen(choose(found, corpus, settings.training.seed))


def looked_at(values: dict[str, Any], settings: Settings, button: str) -> Source:
    """A source that is read only when asked to; training may start without a look."""
    identity = (values["source"], values["path"], values["text_column"], values["context_column"])
    if st.button(button, icon=":material/visibility:"):
        session.set_widget("looked_at", identity)
    if session.widget("looked_at") != identity:
        return Source(values)
    return look(values, settings)


def look(values: dict[str, Any], settings: Settings) -> Source:
    """Read a named source, and show what is in it."""
    chosen = settings.with_values(values)
    corpus = chosen.corpus
    with st.spinner("Reading the text"):
        found = gather_named(
            corpus.source,
            corpus.path,
            corpus.contexts,
            corpus.kilobytes_per_context,
            corpus.text_column,
            corpus.context_column,
        )
    return Source(values, None, *show(found, chosen))


@session.remembered(max_entries=4, ttl=600)
def gather_named(
    source: str,
    path: str,
    contexts: tuple[str, ...],
    kilobytes: int,
    text_column: str,
    context_column: str,
) -> Gathered | str:
    """What a named source holds, or the sentence that says why it cannot be read."""
    from cpart_core.corpus.build import gather

    try:
        return gather(
            CorpusSettings(source, path, contexts, text_column, context_column, kilobytes)
        )
    except ValueError as error:
        return str(error)
