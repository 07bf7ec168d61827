"""A corpus as a folder: corpus.npz (arrays), corpus.json (names, notes, fingerprint),
tokenizer.json. Never pickle."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from cpart_core.corpus.build import fingerprint_of
from cpart_core.corpus.document import Corpus, Skipped, Split
from cpart_core.corpus.tokenizer import Tokenizer
from cpart_core.files.arrays import PAGE_BYTES, load_arrays
from cpart_core.files.bounded_json import load_bounded
from cpart_core.files.digest import signed, without_signature
from cpart_core.files.plain import TEMPORARY, new_file, plain_folder, read_plain

FORMAT = 1
FACTS, TOKENIZER, ARRAYS = "corpus.json", "tokenizer.json", "corpus.npz"
FILES = (ARRAYS, TOKENIZER, FACTS)
"""In the order in which they are put in place: where the last one is, all are."""
TOKENIZER_SUM = "tokenizer_sha256"
LARGEST_TOKENIZER = 16 << 20
LARGEST_CORPUS = 2 << 30
"""Bytes in memory; a billion tokens."""
LARGEST_FACTS = 1 << 30
"""Bytes in memory of all titles, as Python's texts."""
DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OSError)
"""What reading damaged JSON and tokenizers raises."""
TYPES: dict[str, type[np.generic]] = {"ids": np.uint16, "starts": np.int64, "context": np.int16}


def save_corpus(corpus: Corpus, folder: Path) -> None:
    """Write the three files, each whole or not at all; an older corpus in the folder is replaced.
    NotPlain where the folder is a link."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    plain_folder(folder.parent, folder.name, make=True)
    arrays = {
        f"{name}_{key}": getattr(split, key)
        for name, split in splits(corpus).items()
        for key in TYPES
    }
    facts = {
        "format": FORMAT,
        "contexts": corpus.contexts,
        "discovered": corpus.discovered,
        "fingerprint": corpus.fingerprint,
        "titles": {name: split.titles for name, split in splits(corpus).items()},
        "skipped": [[skipped.title, skipped.reason] for skipped in corpus.skipped],
        "notes": corpus.notes,
        TOKENIZER_SUM: hashlib.sha256(corpus.tokenizer_json.encode()).hexdigest(),
    }
    drafts = {name: folder / f"{TEMPORARY}{secrets.token_hex(4)}-{name}" for name in FILES}
    try:
        with new_file(drafts[ARRAYS]) as file:
            np.savez_compressed(file, **arrays)
        for name, text in (
            (TOKENIZER, corpus.tokenizer_json),
            (FACTS, json.dumps(signed(facts), ensure_ascii=False, indent=1)),
        ):
            with new_file(drafts[name]) as file:
                file.write(text.encode())
        for name in FILES:
            os.replace(drafts[name], folder / name)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def splits(corpus: Corpus) -> dict[str, Split]:
    return {"train": corpus.train, "validation": corpus.validation}


def load_corpus(folder: Path) -> Corpus:
    """Read and check a corpus; ValueError that says what is missing or damaged."""
    corpus = read_corpus(folder, ("train", "validation"), LARGEST_CORPUS, LARGEST_FACTS)
    if fingerprint_of(corpus) != corpus.fingerprint:
        raise ValueError(
            f"The corpus in {folder.name} is damaged or was changed: its text does not fit its"
            " fingerprint."
        )
    return corpus


def load_held_out(folder: Path) -> Corpus:
    """The validation documents alone, for the pages: `train` is empty. ValueError also when they
    take more memory than a page may."""
    return read_corpus(folder, ("validation",), PAGE_BYTES, PAGE_BYTES)


def read_corpus(
    folder: Path, names: tuple[str, ...], most_bytes: int, most_bytes_of_facts: int
) -> Corpus:
    """The splits of these names, every number of them checked, but not the fingerprint, which is of
    all of them."""
    try:
        plain_folder(folder.parent, folder.name)
        facts = load_bounded(read_plain(folder, FACTS, most_bytes_of_facts), most_bytes_of_facts)
        facts = without_signature(facts)
        tokenizer_json = read_plain(folder, TOKENIZER, LARGEST_TOKENIZER).decode()
        found = hashlib.sha256(tokenizer_json.encode()).hexdigest()
        if facts.get(TOKENIZER_SUM, found) != found:  # an earlier release noted none
            raise ValueError(f"{TOKENIZER} is not the one that the text was divided with")
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']}, this version reads {FORMAT}")
        only = "" if len(names) == 2 else names[0]
        types = {f"{name}_{key}": kind for name in names for key, kind in TYPES.items()}
        arrays = load_arrays(folder / ARRAYS, most_bytes, only, types)
        vocabulary_size = Tokenizer.from_json(tokenizer_json).vocabulary_size
        read = {name: read_split(name, arrays, facts, vocabulary_size) for name in names}
        return Corpus(
            contexts=tuple(map(str, facts["contexts"])),
            discovered=bool(facts["discovered"]),
            train=read.get("train", NO_TEXT),
            validation=read["validation"],
            tokenizer_json=tokenizer_json,
            fingerprint=str(facts["fingerprint"]),
            skipped=tuple(Skipped(str(title), str(reason)) for title, reason in facts["skipped"]),
            notes=tuple(map(str, facts["notes"])),
        )
    except FileNotFoundError as error:
        raise ValueError(
            f"The corpus in {folder.name} is not complete: {Path(error.filename).name} is missing."
        ) from None
    except DAMAGE as error:
        raise ValueError(f"The corpus in {folder.name} is damaged: {error}.") from None


NO_TEXT = Split(np.zeros(0, np.uint16), np.zeros(1, np.int64), np.zeros(0, np.int16), ())


def read_split(
    name: str, arrays: dict[str, np.ndarray], facts: dict[str, Any], vocabulary_size: int
) -> Split:
    """One split, with every index checked before it can be used."""
    ids, starts, context = (arrays[f"{name}_{key}"] for key in TYPES)
    split = Split(ids, starts, context, tuple(map(str, facts["titles"][name])))
    for key, wanted in TYPES.items():
        array = getattr(split, key)
        if array.dtype != wanted or array.ndim != 1:
            raise ValueError(
                f"{name}_{key} must be one row of {np.dtype(wanted).name}, it is {array.dtype}"
                f" {list(array.shape)}"
            )
    num_documents = len(split.titles)
    if len(split.starts) != num_documents + 1 or len(split.context) != num_documents:
        raise ValueError(
            f"{name}: {num_documents} titles, {len(split.starts) - 1} documents,"
            f" {len(split.context)} labels"
        )
    if (
        split.starts[0] != 0
        or split.starts[-1] != len(split.ids)
        or np.any(np.diff(split.starts) < 1)
    ):
        raise ValueError(f"{name}: the documents do not fill the text")
    if len(split.ids) and int(split.ids.max()) >= vocabulary_size:
        raise ValueError(
            f"{name}: token {int(split.ids.max())} is not in the vocabulary of {vocabulary_size}"
        )
    if num_documents and not (
        -1 <= int(split.context.min()) and int(split.context.max()) < len(facts["contexts"])
    ):
        raise ValueError(f"{name}: labels outside the {len(facts['contexts'])} contexts")
    return split
