"""A person's own text: pasted, one file, uploads, or a folder.

File kinds: .txt and .md (documents may be separated by lines that hold only <|doc|>); tables with a header (.csv, .tsv); objects (.jsonl,
.ndjson, .json: lines, or one array); and each of them with .gz.
Folder: every subfolder is a context, whatever lies below it; files beside the subfolders are left
out and said so. A folder without
subfolders is text without labels. Where a folder has a file train.*, then valid.* or validation.*
is its held-out text, and test.* is
left out.
Links that lead out of the folder are not followed.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from cpart_core.corpus.columns import listed
from cpart_core.corpus.document import TRAIN, UNKNOWN, VALIDATION, Document, Gathered, Said, Skipped
from cpart_core.corpus.encoding import LARGEST_FILE, decoded
from cpart_core.corpus.foreign import HEAD, model_in, other_in, refused
from cpart_core.corpus.objects import json_documents
from cpart_core.corpus.passages import clean, distinct_names, separate
from cpart_core.corpus.tables import csv_documents
from cpart_core.files.paths import with_home
from cpart_core.settings.corpus import CorpusSettings

PLAIN, TABLES, OBJECTS = (".txt", ".md"), (".csv", ".tsv"), (".jsonl", ".ndjson", ".json")
KINDS = PLAIN + TABLES + OBJECTS
SAID_EACH = 20
LARGEST_TOTAL = 500_000_000
"""Bytes of a folder, unpacked: all text is held in memory once."""
SPLITS = {"train": TRAIN, "valid": VALIDATION, "validation": VALIDATION, "test": "test"}


def gather_pasted(text: str, context: str = UNKNOWN) -> Gathered:
    """Documents of a text that was typed or pasted. ValueError where it is empty."""
    documents = text_documents(text, "pasted text", context)
    if not documents:
        raise ValueError("The pasted text is empty.")
    return Gathered(documents, ())


def gather_file(path: Path, settings: CorpusSettings) -> Gathered:
    """Documents of one file; ValueError where it cannot be used."""
    if path.is_dir():
        kind = model_in(path) or other_in(path)
        raise ValueError(
            f"{path.name} is {kind}, not a file of text."
            if kind
            else f"{path.name} is a folder, not a file; choose the source folder."
        )
    said = Said()
    documents = file_documents(path, path.name, settings, said)
    if not documents:
        reasons = "; ".join(dict.fromkeys(item.reason for item in said.skipped[:3]))
        raise ValueError(f"{path.name} holds no text{': ' if reasons else ''}{reasons}.")
    check_columns(settings, said, "")
    return said.gathered(documents)


def gather_uploads(
    files: Sequence[tuple[str, bytes]], settings: CorpusSettings, context_each: bool = False
) -> Gathered:
    """Documents of uploaded files, (name, content) each; unusable ones are skipped with the reason.
    ValueError where none is left.

    context_each: of several files, each whose documents have no labels is a context of its own,
    named as the file.
    """
    said = Said()
    documents: list[Document] = []
    contexts = file_contexts([name for name, _ in files], said)
    for (name, data), context in zip(files, contexts, strict=True):
        try:
            found = content_documents(io.BytesIO(data), name, settings, said)
        except ValueError as error:
            said.skipped.append(Skipped(name, str(error).removeprefix(f"{name}: ")))
            continue
        labelled = (
            any(document.context for document in found) or len(files) == 1 or not context_each
        )
        documents += (
            found if labelled else [replace(document, context=context) for document in found]
        )
    if not documents:
        raise ValueError(
            "None of the files holds text that can be used. "
            + " ".join(sentence_of(item) for item in said.skipped[:3])
        )
    check_columns(settings, said, "")
    return said.gathered(documents)


def sentence_of(item: Skipped) -> str:
    """What was left out and why; many reasons begin with the name."""
    return item.reason if item.reason.startswith(item.title) else f"{item.title}: {item.reason}"


def file_contexts(names: Sequence[str], said: Said) -> list[str]:
    """A context for each file: its name without the kind, or with it where two would be alike; two
    files of one name stay two."""
    stems = [Path(name.removesuffix(".gz")).stem or name for name in names]
    called = [
        stem if stems.count(stem) == 1 else name for stem, name in zip(stems, names, strict=True)
    ]
    again = [
        f"{name} ({called[:place].count(name) + 1})" if name in called[:place] else name
        for place, name in enumerate(called)
    ]
    shown = distinct_names(again, said.notes)
    return [shown[name] for name in again]


def check_columns(settings: CorpusSettings, said: Said, labelled_by: str) -> None:
    """ValueError for a column that was named though nothing has columns, or whose labels something
    else has given already."""
    usual = CorpusSettings()
    given = [
        name
        for name in ("text_column", "context_column")
        if getattr(settings, name) != getattr(usual, name)
    ]
    if given and not said.tables:
        raise ValueError(
            f"{' and '.join(given)} name{'s' * (len(given) == 1)} a column, but no table"
            f" ({', '.join(TABLES + OBJECTS)}) was read."
        )
    if "context_column" in given and labelled_by:
        raise ValueError(
            f"context_column {settings.context_column[:40]!r} cannot take effect: {labelled_by}"
            " name the contexts; leave it out."
        )


def gather_folder(path: Path, settings: CorpusSettings) -> Gathered:
    """Documents of all usable files below a folder; what is unusable is skipped with its reason.
    ValueError where nothing is left."""
    root = Path(with_home(str(path), "path"))
    if not root.is_dir():
        raise ValueError(
            f"{path} is not a folder{'; choose the source file for it' if root.is_file() else ''}."
        )
    root = root.resolve()
    if kind := model_in(root) or other_in(root):
        raise ValueError(f"The folder {root.name} is {kind}, not a folder of texts.")
    said = Said()
    files = list_files(root, said.skipped)
    context_of, splits = contexts_of(files, root, settings, said), splits_of(files)
    labelled = any(context_of.values())
    documents: list[Document] = []
    room = LARGEST_TOTAL
    for file in files:
        title, context, split = file.relative_to(root).as_posix(), context_of[file], splits[file]
        if context is None:
            continue
        try:
            if split == "test":
                raise ValueError("the test split is left out")
            if file.parent == root and labelled:
                raise ValueError(
                    "it lies beside the folders of the contexts; put it into one of them"
                )
            if room <= 0:
                raise ValueError(
                    f"the folder holds more than {LARGEST_TOTAL // 1_000_000} MB of text"
                )
            found = file_documents(file, title, settings, said, context, split)
        except ValueError as error:
            said.skipped.append(Skipped(title, str(error).removeprefix(f"{title}: ")))
            continue
        room -= sum(len(document.text) for document in found)
        documents += found
    if not documents:
        reasons = "".join(f" {sentence_of(item)}" for item in said.skipped[:3])
        raise ValueError(
            f"The folder {root.name} holds no text that can be used ({', '.join(KINDS)}).{reasons}"
        )
    check_columns(settings, said, "the folders" if labelled else "")
    notes = said.notes[:SAID_EACH] + [f"{len(said.notes) - SAID_EACH:,} more such notes."] * (
        len(said.notes) > SAID_EACH
    )
    return Gathered(tuple(documents), summed_up(said.skipped), tuple(notes))


def contexts_of(
    files: list[Path], root: Path, settings: CorpusSettings, said: Said
) -> dict[Path, str | None]:
    """The context of each file: its folder directly below root; UNKNOWN for files beside those;
    None for contexts not asked for."""
    shown = distinct_names(
        (file.relative_to(root).parts[0] for file in files if file.parent != root), said.notes
    )
    folders = {
        file: UNKNOWN if file.parent == root else shown[file.relative_to(root).parts[0]]
        for file in files
    }
    names = sorted(shown.values())
    if not names or not settings.contexts:
        return dict(folders)
    asked = {shown.get(name, name) for name in settings.contexts}
    unknown = sorted(asked - set(names))
    if unknown:
        raise ValueError(f"Unknown context {listed(unknown)}. The folder has: {listed(names)}.")
    return {file: name if name in asked else None for file, name in folders.items()}


def summed_up(skipped: list[Skipped]) -> tuple[Skipped, ...]:
    """At most SAID_EACH lines of one reason, then how many more there are: a folder may hold
    thousands of pictures."""
    counts = Counter(item.reason for item in skipped)
    seen: Counter[str] = Counter()
    said = []
    for item in skipped:
        seen[item.reason] += 1
        if seen[item.reason] <= SAID_EACH:
            said.append(item)
    more = [
        Skipped(f"{count - SAID_EACH:,} more files", reason)
        for reason, count in counts.items()
        if count > SAID_EACH
    ]
    return tuple(said + more)


def list_files(root: Path, skipped: list[Skipped]) -> list[Path]:
    """Files of the known kinds below root, sorted; hidden ones are passed over, links that lead out
    are said."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        for name in sorted(folders + names):
            path = Path(folder) / name
            title = path.relative_to(root).as_posix()
            if name.startswith("."):
                continue
            if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(root)):
                skipped.append(
                    Skipped(title, "it is a link to another folder, which is not followed")
                )
            elif name in names and not path.is_file():
                skipped.append(Skipped(title, "it is not a plain file"))
            elif name in names and kind_of(name) is None:
                known = f"its kind is not one of {', '.join(KINDS)} (also with .gz)"
                foreign = refused(first_bytes(path))
                skipped.append(Skipped(title, f"it is {foreign}; {known}" if foreign else known))
            elif name in names:
                found.append(path)
        models = {
            name: model_in(Path(folder) / name) for name in folders if not name.startswith(".")
        }
        skipped += [
            Skipped((Path(folder) / name).relative_to(root).as_posix(), f"it is {kind}")
            for name, kind in models.items()
            if kind
        ]
        folders[:] = sorted(name for name, kind in models.items() if kind is None)
    return sorted(found, key=lambda path: path.relative_to(root).parts)


def first_bytes(path: Path) -> bytes:
    """HEAD bytes of a plain file; none where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def kind_of(name: str) -> str | None:
    """One of KINDS, .gz aside; None for other files."""
    kind = Path(name.lower().removesuffix(".gz")).suffix
    return kind if kind in KINDS else None


def split_of(name: str) -> str:
    """What a name such as train.txt.gz says: TRAIN, VALIDATION, "test", or nothing."""
    return SPLITS.get(name.split(".")[0].lower(), "")


def splits_of(files: list[Path]) -> dict[Path, str]:
    """As split_of, but only where a train.* file stands beside: a lone test.txt is text like any
    other."""
    split_folders = {file.parent for file in files if split_of(file.name) == TRAIN}
    return {file: split_of(file.name) if file.parent in split_folders else "" for file in files}


def file_documents(
    path: Path,
    title: str,
    settings: CorpusSettings,
    said: Said,
    context: str = UNKNOWN,
    split: str = "",
) -> Sequence[Document]:
    """Documents of one file; ValueError says what is wrong with it."""
    if not path.is_file():  # nor a pipe or a device, which might never end
        raise ValueError(f"There is no file {title}.")
    try:
        with open(path, "rb") as file:
            return content_documents(file, title, settings, said, context, split)
    except OSError as error:
        raise ValueError(f"{title} cannot be read: {error.strerror or error}.") from None


def content_documents(
    file: BinaryIO,
    title: str,
    settings: CorpusSettings,
    said: Said,
    context: str = UNKNOWN,
    split: str = "",
) -> Sequence[Document]:
    """Documents of a file's content, by the kind that its title names; ValueError says what is
    wrong with it."""
    kind = kind_of(title)
    if kind is None:
        foreign = refused(file.read(HEAD))
        what = f"{title} is {foreign}; " if foreign else f"{title}: "
        raise ValueError(
            f"{what}this kind of file is not known. Known: {', '.join(KINDS)} (also with .gz)."
        )
    text = read_text(file, title)
    if not separate(text):
        said.skipped.append(Skipped(title, "it is empty"))
        return ()
    if kind in PLAIN:
        return text_documents(text, title, context, split)
    said.tables += 1
    read = csv_documents if kind in TABLES else json_documents
    return read(text, title, settings, said, context, split)


def text_documents(
    text: str, title: str, context: str = UNKNOWN, split: str = ""
) -> tuple[Document, ...]:
    pieces = separate(clean(text))
    many = len(pieces) > 1
    return tuple(
        Document(piece, context, f"{title}, document {number}" if many else title, split)
        for number, piece in enumerate(pieces, start=1)
    )


def read_text(file: BinaryIO, title: str) -> str:
    """Text in UTF-8 (or UTF-16 with a byte order mark), unpacked where it is .gz; ValueError for
    anything else, with nothing guessed."""
    packed = title.lower().endswith(".gz")
    try:
        data = (gzip.GzipFile(fileobj=file) if packed else file).read(LARGEST_FILE + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{title} is a damaged .gz file: {error}.") from None
    if len(data) > LARGEST_FILE:
        raise ValueError(
            f"{title} is larger than {LARGEST_FILE // 1_000_000} MB. Cut it into smaller files in a"
            " folder."
        )
    return decoded(data, title)
