"""A person's own text: pasted, one file, or a folder.

File kinds: .txt and .md (documents may be separated by lines that hold only <|doc|>), .csv, .jsonl, and each of them with .gz.
Folder: every subfolder is a context, whatever lies below it; files beside the subfolders are left out and said so. A folder without
subfolders is text without labels. Where a folder has a file train.*, then valid.* or validation.* is its held-out text, and test.* is
left out.
Links that lead out of the folder are not followed.
"""

from __future__ import annotations

import codecs
import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from cpart_core.config import CorpusSettings
from cpart_core.corpus.document import TRAIN, UNKNOWN, VALIDATION, Document, Gathered, Skipped
from cpart_core.corpus.passages import clean, clean_name, separate
from cpart_core.corpus.tables import csv_documents, jsonl_documents

KINDS = (".txt", ".md", ".csv", ".jsonl")
LARGEST_FILE = 200_000_000
"""Bytes of one file, unpacked."""
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
    skipped: list[Skipped] = []
    documents = file_documents(path, path.name, settings, skipped)
    if not documents:
        reasons = "; ".join(dict.fromkeys(item.reason for item in skipped[:3]))
        raise ValueError(f"{path.name} holds no text{': ' if reasons else ''}{reasons}.")
    return Gathered(tuple(documents), tuple(skipped))


def gather_uploads(files: Sequence[tuple[str, bytes]], settings: CorpusSettings, context_each: bool = False) -> Gathered:
    """Documents of uploaded files, (name, content) each; unusable ones are skipped with the reason. ValueError where none is left.

    context_each: every plain-text file is a context, named as the file; else text without labels.
    """
    skipped: list[Skipped] = []
    documents: list[Document] = []
    for name, data in files:
        context = name.split(".")[0] if context_each and kind_of(name) in (".txt", ".md") else UNKNOWN
        try:
            documents += content_documents(io.BytesIO(data), name, settings, skipped, context)
        except ValueError as error:
            skipped.append(Skipped(name, str(error)))
    if not documents:
        raise ValueError(
            "None of the files holds text that can be used. " + " ".join(f"{item.title}: {item.reason}" for item in skipped[:3])
        )
    return Gathered(tuple(documents), tuple(skipped))


def gather_folder(path: Path, settings: CorpusSettings) -> Gathered:
    """Documents of all usable files below a folder; what is unusable is skipped with its reason. ValueError where nothing is left."""
    root = path.expanduser()
    if not root.is_dir():
        raise ValueError(f"{path} is not a folder.")
    root = root.resolve()
    skipped: list[Skipped] = []
    files = list_files(root, skipped)
    context_of, splits = contexts_of(files, root, settings), splits_of(files)
    documents: list[Document] = []
    room = LARGEST_TOTAL
    for file in files:
        title, context, split = file.relative_to(root).as_posix(), context_of[file], splits[file]
        if context is None:
            continue
        try:
            if split == "test":
                raise ValueError("the test split is left out")
            if file.parent == root and any(context_of.values()):
                raise ValueError("it lies beside the folders of the contexts; put it into one of them")
            if room <= 0:
                raise ValueError(f"the folder holds more than {LARGEST_TOTAL // 1_000_000} MB of text")
            found = file_documents(file, title, settings, skipped, context, split)
        except ValueError as error:
            skipped.append(Skipped(title, str(error)))
            continue
        room -= sum(len(document.text) for document in found)
        documents += found
    if not documents:
        reasons = "".join(f" {item.title}: {item.reason}" for item in skipped[:3])
        raise ValueError(f"The folder {root.name} holds no text that can be used ({', '.join(KINDS)}).{reasons}")
    return Gathered(tuple(documents), summed_up(skipped))


def contexts_of(files: list[Path], root: Path, settings: CorpusSettings) -> dict[Path, str | None]:
    """The context of each file: its folder directly below root; UNKNOWN for files beside those; None for contexts not asked for."""
    folders = {file: UNKNOWN if file.parent == root else clean_name(file.relative_to(root).parts[0]) or "unnamed" for file in files}
    names = sorted(set(folders.values()) - {UNKNOWN})
    if not names or not settings.contexts:
        return dict(folders)
    unknown = sorted(set(settings.contexts) - set(names))
    if unknown:
        raise ValueError(f"Unknown context {', '.join(unknown)}. The folder has: {', '.join(names[:30])}.")
    return {file: name if name in settings.contexts else None for file, name in folders.items()}


def summed_up(skipped: list[Skipped]) -> tuple[Skipped, ...]:
    """At most SAID_EACH lines of one reason, then how many more there are: a folder may hold thousands of pictures."""
    counts = Counter(item.reason for item in skipped)
    seen: Counter[str] = Counter()
    said = []
    for item in skipped:
        seen[item.reason] += 1
        if seen[item.reason] <= SAID_EACH:
            said.append(item)
    more = [Skipped(f"{count - SAID_EACH:,} more files", reason) for reason, count in counts.items() if count > SAID_EACH]
    return tuple(said + more)


def list_files(root: Path, skipped: list[Skipped]) -> list[Path]:
    """Files of the known kinds below root, sorted; hidden ones are passed over, links that lead out are said."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        for name in sorted(folders + names):
            path = Path(folder) / name
            title = path.relative_to(root).as_posix()
            if name.startswith("."):
                continue
            if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(root)):
                skipped.append(Skipped(title, "it is a link to another folder, which is not followed"))
            elif name in names and not path.is_file():
                skipped.append(Skipped(title, "it is not a plain file"))
            elif name in names and kind_of(name) is None:
                skipped.append(Skipped(title, f"its kind is not one of {', '.join(KINDS)} (also with .gz)"))
            elif name in names:
                found.append(path)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
    return sorted(found, key=lambda path: path.relative_to(root).parts)


def kind_of(name: str) -> str | None:
    """One of KINDS, .gz aside; None for other files."""
    kind = Path(name.lower().removesuffix(".gz")).suffix
    return kind if kind in KINDS else None


def split_of(name: str) -> str:
    """What a name such as train.txt.gz says: TRAIN, VALIDATION, "test", or nothing."""
    return SPLITS.get(name.split(".")[0].lower(), "")


def splits_of(files: list[Path]) -> dict[Path, str]:
    """As split_of, but only where a train.* file stands beside: a lone test.txt is text like any other."""
    split_folders = {file.parent for file in files if split_of(file.name) == TRAIN}
    return {file: split_of(file.name) if file.parent in split_folders else "" for file in files}


def file_documents(
    path: Path, title: str, settings: CorpusSettings, skipped: list[Skipped], context: str = UNKNOWN, split: str = ""
) -> Sequence[Document]:
    """Documents of one file; ValueError says what is wrong with it."""
    if not path.is_file():  # nor a pipe or a device, which might never end
        raise ValueError(f"There is no file {title}.")
    try:
        with open(path, "rb") as file:
            return content_documents(file, title, settings, skipped, context, split)
    except OSError as error:
        raise ValueError(f"{title} cannot be read: {error.strerror or error}.") from None


def content_documents(
    file: BinaryIO, title: str, settings: CorpusSettings, skipped: list[Skipped], context: str = UNKNOWN, split: str = ""
) -> Sequence[Document]:
    """Documents of a file's content, by the kind that its title names; ValueError says what is wrong with it."""
    kind = kind_of(title)
    if kind is None:
        raise ValueError(f"{title}: this kind of file is not known. Known: {', '.join(KINDS)} (also with .gz).")
    text = read_text(file, title)
    if not separate(text):
        skipped.append(Skipped(title, "it is empty"))
        return ()
    if kind == ".csv":
        return csv_documents(text, title, settings, skipped, context, split)
    if kind == ".jsonl":
        return jsonl_documents(text, title, settings, skipped, context, split)
    return text_documents(text, title, context, split)


def text_documents(text: str, title: str, context: str = UNKNOWN, split: str = "") -> tuple[Document, ...]:
    pieces = separate(clean(text))
    many = len(pieces) > 1
    return tuple(
        Document(piece, context, f"{title}, document {number}" if many else title, split) for number, piece in enumerate(pieces, start=1)
    )


def read_text(file: BinaryIO, title: str) -> str:
    """Text in UTF-8 (or UTF-16 with a byte order mark), unpacked where it is .gz; ValueError for anything else, with nothing guessed."""
    packed = title.lower().endswith(".gz")
    try:
        data = (gzip.GzipFile(fileobj=file) if packed else file).read(LARGEST_FILE + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{title} is a damaged .gz file: {error}.") from None
    if len(data) > LARGEST_FILE:
        raise ValueError(f"{title} is larger than {LARGEST_FILE // 1_000_000} MB. Cut it into smaller files in a folder.")
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        kind = "a binary file, not text" if b"\0" in data else f"not {encoding.upper()} text (byte {error.start:,}); save it as UTF-8"
        raise ValueError(f"{title} is {kind}.") from None
    if "\0" in text:
        raise ValueError(f"{title} is a binary file, not text (it holds zero bytes).")
    return clean(text)
