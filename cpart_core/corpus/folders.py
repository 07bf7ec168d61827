"""A folder of a person's own texts.

Every subfolder is a context, whatever lies below it; files beside the subfolders are left out and
said so. A folder without subfolders is text without labels. Where a folder has a file train.*, then
valid.* or validation.* is its held-out text, and test.* is left out. Links that lead out of the
folder are not followed."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from cpart_core.corpus.columns import listed
from cpart_core.corpus.document import TRAIN, UNKNOWN, VALIDATION, Document, Gathered, Said, Skipped
from cpart_core.corpus.files import KINDS, check_columns, file_documents, kind_of, sentence_of
from cpart_core.corpus.foreign import HEAD, model_in, other_in, refused
from cpart_core.corpus.passages import distinct_names
from cpart_core.files.paths import with_home
from cpart_core.settings.corpus import CorpusSettings

SAID_EACH = 20
LARGEST_TOTAL = 500_000_000
"""Bytes of a folder, unpacked: all text is held in memory once."""
SPLITS = {"train": TRAIN, "valid": VALIDATION, "validation": VALIDATION, "test": "test"}


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


def split_of(name: str) -> str:
    """What a name such as train.txt.gz says: TRAIN, VALIDATION, "test", or nothing."""
    return SPLITS.get(name.split(".")[0].lower(), "")


def splits_of(files: list[Path]) -> dict[Path, str]:
    """As split_of, but only where a train.* file stands beside: a lone test.txt is text like any
    other."""
    split_folders = {file.parent for file in files if split_of(file.name) == TRAIN}
    return {file: split_of(file.name) if file.parent in split_folders else "" for file in files}
