"""A corpus as a folder: corpus.npz (arrays), corpus.json (names, notes, fingerprint), tokenizer.json. Never pickle."""

from __future__ import annotations

import json
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from cpart_core.corpus.build import fingerprint_of
from cpart_core.corpus.document import Corpus, Skipped, Split
from cpart_core.corpus.tokenizer import Tokenizer

FORMAT = 1
DAMAGE = (
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError),
    *(SyntaxError, tokenize.TokenError, OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
)
"""What reading damaged JSON, zip files and array headers raises."""
TYPES = {"ids": np.uint16, "starts": np.int64, "context": np.int16}


def save_corpus(corpus: Corpus, folder: Path) -> None:
    """Write the three files, each whole or not at all; an older corpus in the folder is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"{name}_{key}": getattr(split, key) for name, split in splits(corpus).items() for key in TYPES}
    facts = {
        "format": FORMAT,
        "contexts": corpus.contexts,
        "discovered": corpus.discovered,
        "fingerprint": corpus.fingerprint,
        "titles": {name: split.titles for name, split in splits(corpus).items()},
        "skipped": [[skipped.title, skipped.reason] for skipped in corpus.skipped],
        "notes": corpus.notes,
    }
    with open(folder / "corpus.npz.new", "wb") as file:
        np.savez_compressed(file, **arrays)
        finish(file)
    for name, text in (("tokenizer.json", corpus.tokenizer_json), ("corpus.json", json.dumps(facts, ensure_ascii=False, indent=1))):
        with open(folder / f"{name}.new", "wb") as file:
            file.write(text.encode())
            finish(file)
    for name in ("corpus.npz", "tokenizer.json", "corpus.json"):
        os.replace(folder / f"{name}.new", folder / name)


def finish(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def splits(corpus: Corpus) -> dict[str, Split]:
    return {"train": corpus.train, "validation": corpus.validation}


def load_corpus(folder: Path) -> Corpus:
    """Read and check a corpus; ValueError that says what is missing or damaged."""
    try:
        facts = json.loads((folder / "corpus.json").read_bytes())
        tokenizer_json = (folder / "tokenizer.json").read_bytes().decode()
        arrays = read_arrays(folder / "corpus.npz")
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']}, this version reads {FORMAT}")
        vocabulary_size = Tokenizer.from_json(tokenizer_json).vocabulary_size
        train, validation = (read_split(name, arrays, facts, vocabulary_size) for name in ("train", "validation"))
        corpus = Corpus(
            contexts=tuple(map(str, facts["contexts"])),
            discovered=bool(facts["discovered"]),
            train=train,
            validation=validation,
            tokenizer_json=tokenizer_json,
            fingerprint=str(facts["fingerprint"]),
            skipped=tuple(Skipped(str(title), str(reason)) for title, reason in facts["skipped"]),
            notes=tuple(map(str, facts["notes"])),
        )
    except FileNotFoundError as error:
        raise ValueError(f"The corpus in {folder.name} is not complete: {Path(error.filename).name} is missing.") from None
    except DAMAGE as error:
        raise ValueError(f"The corpus in {folder.name} is damaged: {error}.") from None
    if fingerprint_of(corpus) != corpus.fingerprint:
        raise ValueError(f"The corpus in {folder.name} is damaged or was changed: its text does not fit its fingerprint.")
    return corpus


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz; every byte is checked against its sum before numpy looks at any."""
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} does not fit its checksum")
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def read_split(name: str, arrays: dict[str, np.ndarray], facts: dict[str, Any], vocabulary_size: int) -> Split:
    """One split, with every index checked before it can be used."""
    ids, starts, context = (arrays[f"{name}_{key}"] for key in TYPES)
    split = Split(ids, starts, context, tuple(map(str, facts["titles"][name])))
    for key, wanted in TYPES.items():
        array = getattr(split, key)
        if array.dtype != wanted or array.ndim != 1:
            raise ValueError(f"{name}_{key} must be one row of {np.dtype(wanted).name}, it is {array.dtype} {list(array.shape)}")
    num_documents = len(split.titles)
    if len(split.starts) != num_documents + 1 or len(split.context) != num_documents:
        raise ValueError(f"{name}: {num_documents} titles, {len(split.starts) - 1} documents, {len(split.context)} labels")
    if split.starts[0] != 0 or split.starts[-1] != len(split.ids) or np.any(np.diff(split.starts) < 1):
        raise ValueError(f"{name}: the documents do not fill the text")
    if len(split.ids) and int(split.ids.max()) >= vocabulary_size:
        raise ValueError(f"{name}: token {int(split.ids.max())} is not in the vocabulary of {vocabulary_size}")
    if num_documents and not (-1 <= int(split.context.min()) and int(split.context.max()) < len(facts["contexts"])):
        raise ValueError(f"{name}: labels outside the {len(facts['contexts'])} contexts")
    return split
