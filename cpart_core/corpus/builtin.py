"""The built-in contexts: real text that every Python installation carries, and generated text. No
network, no site-packages.

The same on every machine of one Python version: an explicit choice of modules, paths sorted and
then put in an order that only their names decide, line ends normalised. Left out are modules that
systems patch (PATCHED) and packages that many installations lack. Test code is one of the latter,
so it is a context only where `contexts` asks for it by name.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
import tokenize
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cpart_core.corpus import generated
from cpart_core.corpus.document import Document, Gathered, Skipped
from cpart_core.corpus.invented import write_invented
from cpart_core.corpus.passages import clean, passages
from cpart_core.corpus.python_source import docstring_documents, library_documents
from cpart_core.settings.corpus import CorpusSettings

PATCHED = frozenset(
    "_osx_support _sysconfig argparse ctypes curses distutils ensurepip idlelib lib2to3 locale"
    " msilib nturl2path platform pydoc pydoc_data site sysconfig tempfile tkinter turtle turtledemo"
    " venv webbrowser".split()
)
"""Modules that Debian and others change, or ship apart from Python."""
NUMBERED = ("CJK ", "HANGUL SYLLABLE", "TANGUT ", "NUSHU ", "KHITAN ", "EGYPTIAN ", "ANATOLIAN ")
"""Beginnings of the names of characters that are only numbers."""
LARGEST_MODULE = 300_000
"""Bytes; larger ones are tables, not code."""


@dataclass(frozen=True)
class BuiltinContext:
    """One line of the list a page shows."""

    name: str
    about: str
    documents: Callable[[], Iterable[Document]]
    everywhere: bool = True
    """False: not in every installation, so used only where asked for by name."""


def builtin_contexts() -> tuple[BuiltinContext, ...]:
    """The visible list: adding a context = one line here."""

    def made(name: str, write: Callable[..., str]) -> Callable[[], Iterable[Document]]:
        return lambda: generated.generate_documents(name, write)

    return (
        BuiltinContext(
            "library", "Code of Python's standard library, without its docstrings", read_library
        ),
        BuiltinContext(
            "docstrings", "The library's docstrings: short technical English", read_docstrings
        ),
        BuiltinContext(
            "reference", "The Python language reference: long technical English", read_reference
        ),
        BuiltinContext(
            "characters",
            "The Unicode character database: code, character, category, name; all scripts",
            read_characters,
        ),
        BuiltinContext(
            "tests",
            "Test code of the standard library (not in every installation)",
            read_tests,
            everywhere=False,
        ),
        BuiltinContext(
            "arithmetic",
            "Generated: sums, products, divisions, with right answers",
            made("arithmetic", generated.write_arithmetic),
        ),
        BuiltinContext(
            "records",
            "Generated: orders of a shop as CSV and JSON lines",
            made("records", generated.write_records),
        ),
        BuiltinContext(
            "calendar",
            "Generated: true sentences about dates and weekdays",
            made("calendar", generated.write_calendar),
        ),
        BuiltinContext(
            "invented",
            "Generated: a made-up language with case and agreement",
            made("invented", write_invented),
        ),
    )


def gather_builtin(settings: CorpusSettings) -> Gathered:
    """Documents of the chosen built-in contexts, each up to kilobytes_per_context and no more is
    read than that.

    Raises ValueError for an unknown name, or where nothing at all can be read.
    """
    known = builtin_contexts()
    unknown = sorted(set(settings.contexts) - {context.name for context in known})
    if unknown:
        raise ValueError(
            f"Unknown context {', '.join(unknown)}. Built in are:"
            f" {', '.join(context.name for context in known)}."
        )
    documents: list[Document] = []
    skipped: list[Skipped] = []
    for context in known:
        if context.name not in settings.contexts and not (
            context.everywhere and not settings.contexts
        ):
            continue
        found = list(up_to(context.documents(), settings.kilobytes_per_context * 1000))
        documents += found
        if not found:
            skipped.append(
                Skipped(
                    context.name,
                    "this Python installation does not carry its text, so the corpus differs from"
                    " that of others",
                )
            )
    if not documents:
        raise ValueError(
            f"None of the contexts {', '.join(settings.contexts)} is in this Python installation."
            " Choose others."
        )
    version = ".".join(map(str, sys.version_info[:3]))
    return Gathered(
        tuple(documents),
        tuple(skipped),
        (f"Built-in text of Python {version}; another version gives slightly other text.",),
    )


def up_to(documents: Iterable[Document], size: int) -> Iterator[Document]:
    """Documents until their UTF-8 bytes reach `size`, the last one included."""
    for document in documents:
        yield document
        size -= len(document.text.encode())
        if size <= 0:
            return


def by_name_hash(name: str) -> bytes:
    """A mixed order that depends on the names alone, so that a part of the text is a fair sample of
    all."""
    return hashlib.sha256(name.encode()).digest()


def module_sources(package: str = "") -> Iterator[tuple[str, str]]:
    """(path below the library folder, source) of modules, in mixed order; `package` = only that
    package, whatever it is."""
    root = Path(sysconfig.get_paths()["stdlib"])
    names = [package] if package else sorted(set(sys.stdlib_module_names) - PATCHED)
    paths = [root / f"{name}.py" for name in names]
    paths += [path for name in names for path in (root / name).rglob("*.py")]
    relative = {path.relative_to(root).as_posix(): path for path in paths if path.is_file()}
    for name in sorted(relative, key=by_name_hash):
        inner = {"tests", "test", "idle_test"} & set(name.split("/"))
        table = (
            name.startswith(("encodings/", "html/entities"))
            or relative[name].stat().st_size > LARGEST_MODULE
        )
        if table or (inner and not package):
            continue
        try:
            with tokenize.open(relative[name]) as file:
                yield name, clean(file.read())
        except (OSError, SyntaxError, UnicodeDecodeError):
            continue  # test data that is broken on purpose


def read_library() -> Iterator[Document]:
    for name, source in module_sources():
        yield from library_documents(name, source, "library")


def read_tests() -> Iterator[Document]:
    for name, source in module_sources("test"):
        yield from library_documents(name, source, "tests")


def read_docstrings() -> Iterator[Document]:
    for name, source in module_sources():
        yield from docstring_documents(name, source)


def read_reference() -> Iterator[Document]:
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return
    for name in sorted(topics, key=by_name_hash):
        for number, passage in enumerate(passages(clean(topics[name])), start=1):
            yield Document(passage, "reference", f"topic {name}, passage {number}")


def read_characters() -> Iterator[Document]:
    """64 neighbouring code points a document; those with NUMBERED names are left out."""
    blocks = range(0x20, 0x1FC00, 64)
    for first in sorted(blocks, key=lambda block: by_name_hash(f"{block:X}")):
        lines = []
        for code in range(first, first + 64):
            char = chr(code)
            name = unicodedata.name(char, "")
            category = unicodedata.category(char)
            # no format characters: some would turn the direction of the text on a page
            if name and category not in ("Cf", "Zl", "Zp") and not name.startswith(NUMBERED):
                lines.append(f"{code:04X} {char} {category} {name}\n")
        if len(lines) >= 8:
            yield Document(
                clean("".join(lines)), "characters", f"U+{first:04X} to U+{first + 63:04X}"
            )
