"""Settings of the text. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from cpart_core.settings.fields.setting import When, setting

NAMED: When = ({"source": ("file", "folder", "dataset")},)


@dataclass(frozen=True)
class CorpusSettings:
    """Where the text comes from, how it is split and how it is cut into tokens."""

    source: str = setting(
        "builtin",
        "Where the text comes from: text of every Python installation and a generator, one file, a"
        " folder, or a Hugging Face dataset",
        choices=("builtin", "file", "folder", "dataset"),
        advanced=False,
    )
    path: str = setting(
        "",
        "The file, the folder (one subfolder a context), or the dataset's name or local path; empty"
        " for builtin",
        advanced=False,
        when=NAMED,
    )
    contexts: tuple[str, ...] = setting(
        (), "Names of the contexts to use; empty = all", advanced=False
    )
    text_column: str = setting(
        "text", "Column of a CSV, JSONL or dataset that holds the text", when=NAMED
    )
    context_column: str = setting(
        "context", "Column that holds the context; without it contexts are discovered", when=NAMED
    )
    kilobytes_per_context: int = setting(
        400, "Most text taken from one context", low=1, high=1_000_000, unit="kB", advanced=False
    )
    validation_share: float = setting(
        0.1, "Share of the documents of each context kept for validation", low=0.01, high=0.5
    )
    vocabulary_size: int = setting(
        1024,
        "Size of the byte-level BPE vocabulary",
        low=260,
        high=65_535,
        unit="tokens",
        advanced=False,
    )
    discovered_contexts: int = setting(
        6, "Contexts to discover from gradients when the text has no labels", low=2, high=64
    )
