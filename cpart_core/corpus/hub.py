"""Hugging Face datasets, by name or local path. The `datasets` library is an extra and is imported
only here."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cpart_core.corpus.columns import find_columns
from cpart_core.corpus.document import Document, Gathered, Said, Skipped
from cpart_core.corpus.folders import LARGEST_TOTAL, split_of
from cpart_core.corpus.foreign import model_in
from cpart_core.corpus.objects import row_documents
from cpart_core.files.paths import with_home
from cpart_core.settings.corpus import CorpusSettings


def gather_dataset(settings: CorpusSettings) -> Gathered:
    """Rows of a dataset: "owner/name", "owner/name:configuration", or a local path (also one that
    save_to_disk wrote).

    Splits named train and validation are kept as such, test is left out. Code in a dataset's
    repository is never run. ValueError where the extra is missing or the dataset cannot be read.
    """
    if (kind := model_in(Path(with_home(settings.path, "path")))) is not None:
        raise ValueError(f"The folder {Path(settings.path).name} is {kind}, not a dataset.")
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise ValueError(
            "Reading a Hugging Face dataset needs the extra `hub`: pip install '.[hub]' in CPart's"
            " folder."
        ) from None
    try:
        splits = load(datasets, settings.path)
        names = [name for name in splits if split_of(f"{name}.x") != "test"] or list(splits)
        said = Said(
            [
                Skipped(f"{settings.path} {name}", "the test split is left out")
                for name in splits
                if name not in names
            ]
        )
        documents: list[Document] = []
        for name in names:
            documents += split_documents(
                splits[name], f"{settings.path} {name}", settings, said, split_of(f"{name}.x")
            )
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001  the library and the network raise of all kinds; none may end the program
        raise ValueError(
            f"The dataset {settings.path!r} cannot be read: {' '.join(str(error).split())[:300]}"
        ) from None
    if not documents:
        reasons = "; ".join(f"{item.title}: {item.reason}" for item in said.skipped[:3])
        raise ValueError(f"The dataset {settings.path!r} gives no text. {reasons}")
    return said.gathered(documents)


def split_documents(
    rows: Iterable[dict[str, Any]], title: str, settings: CorpusSettings, said: Said, split: str
) -> list[Document]:
    """Documents of one split; its first row has the names of its columns."""
    coming = iter(limited(rows))
    first = next(coming, None)
    if first is None:
        return []
    return row_documents(
        itertools.chain([first], coming),
        find_columns(list(first), title, settings, False, said),
        title,
        said,
        split=split,
    )


def load(datasets: Any, path: str) -> dict[str, Any]:
    """Split name -> rows."""
    folder = Path(with_home(path, "path"))
    if any(
        (folder / name).is_file()
        for name in ("dataset_dict.json", "dataset_info.json", "state.json")
    ):
        loaded = datasets.load_from_disk(str(folder))
        return dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
    name, _, configuration = (str(folder), "", "") if folder.exists() else path.partition(":")
    return dict(datasets.load_dataset(name, configuration or None, streaming=True))


def limited(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows until their text reaches the limit of a source: a streamed dataset may have no end."""
    size = 0
    for row in rows:
        yield row
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if size > LARGEST_TOTAL:
            return
