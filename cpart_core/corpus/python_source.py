"""Python source as text: code without its docstrings, and docstrings without their code. Parses,
never runs anything."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import warnings
from collections.abc import Iterator

from cpart_core.corpus.document import Document
from cpart_core.corpus.passages import PASSAGE, group_lines

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
LEGAL = re.compile(r"copyright|licen[cs]e", re.IGNORECASE)


def parse(source: str) -> ast.Module | None:
    """The module's tree, or None where this Python cannot parse it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old modules hold invalid escapes
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            return None


def documented(tree: ast.Module) -> Iterator[tuple[str, Documented, ast.Expr]]:
    """(dotted name, definition, the statement that is its docstring), from the top down."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, Documented, ast.Expr]]:
        if (
            isinstance(node, Documented)
            and node.body
            and isinstance(first := node.body[0], ast.Expr)
        ):
            if isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                yield prefix, node, first
        for block in ("body", "orelse", "handlers", "finalbody"):
            for child in getattr(node, block, ()):
                name = (
                    f"{prefix}.{child.name}".strip(".")
                    if isinstance(child, Documented) and not isinstance(child, ast.Module)
                    else prefix
                )
                yield from walk(child, name)

    return walk(tree, "")


def library_documents(name: str, source: str, context: str) -> Iterator[Document]:
    """A module's code without docstrings, cut before top-level statements into documents of about
    PASSAGE characters."""
    tree = parse(source)
    if tree is None or not tree.body:
        return
    # not splitlines(): that also splits at form feeds, which Python's line numbers do not
    lines = source.split("\n")
    lines = [line + "\n" for line in lines[:-1]] + lines[-1:]
    for _, node, docstring in documented(tree):
        first, last = docstring.lineno - 1, docstring.end_lineno or docstring.lineno
        if lines[first].lstrip()[:1] not in ("'", '"', "r", "R", "u", "U"):
            continue  # def f(): "docstring" on one line
        lines[first:last] = [""] * (last - first)
        if len(node.body) == 1 and not isinstance(node, ast.Module):
            lines[first] = " " * docstring.col_offset + "pass\n"
    starts = {0, len(lines)} | {top_line(statement) - 1 for statement in tree.body}
    blocks = [(begin, end) for begin, end in itertools.pairwise(sorted(starts))]
    for begin, end, text in merge_blocks(lines, blocks):
        if text.strip() and not (begin == 0 and LEGAL.search(text[:600])):
            yield Document(text.strip("\n") + "\n", context, f"{name} lines {begin + 1}-{end}")


def top_line(statement: ast.stmt) -> int:
    """First line of a statement, its decorators included."""
    return min(
        [
            statement.lineno,
            *(decorator.lineno for decorator in getattr(statement, "decorator_list", ())),
        ]
    )


def merge_blocks(lines: list[str], blocks: list[tuple[int, int]]) -> Iterator[tuple[int, int, str]]:
    """(first line, end line, text) of neighbouring blocks joined up to PASSAGE characters; longer
    blocks cut at line ends."""
    begin, size = 0, 0
    for first, end in [*blocks, (len(lines), len(lines))]:
        length = sum(map(len, lines[first:end]))
        if (size + length > PASSAGE or first == end) and begin < first:
            position = begin
            for group in group_lines_with_count(lines[begin:first]):
                yield position, position + len(group), "".join(group)
                position += len(group)
            begin, size = first, 0
        size += length


def group_lines_with_count(lines: list[str]) -> list[list[str]]:
    """As group_lines, but lines stay whole and empty ones count, so that line numbers can be
    told."""
    groups: list[list[str]] = [[]]
    room = PASSAGE
    for line in lines:
        if len(line) > room and groups[-1]:
            groups.append([])
            room = PASSAGE
        groups[-1].append(line)
        room -= len(line)
    return groups


def docstring_documents(name: str, source: str) -> Iterator[Document]:
    """A module's docstrings, each below the name it belongs to, joined into documents of about
    PASSAGE characters."""
    tree = parse(source)
    if tree is None:
        return
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    entries = []
    for path, _, statement in documented(tree):
        assert isinstance(statement.value, ast.Constant)
        text = inspect.cleandoc(str(statement.value.value)).strip()
        if len(text) >= 40:
            entries.append(f"{f'{module}.{path}'.strip('.')}\n{text}\n\n")
    for number, group in enumerate(group_lines(entries, PASSAGE), start=1):
        yield Document("".join(group), "docstrings", f"docstrings of {module}, passage {number}")
