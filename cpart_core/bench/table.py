"""`bench table`: the table of docs/results.md, made from a stored `bench all`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

from cpart_core.bench.speed import Measured, Speed, read_speed, speed_files
from cpart_core.files.paths import given_path

BEGIN, END = "<!-- bench table -->", "<!-- end of bench table -->"
HOW = "No measurement is stored. Make one: python -m cpart_core bench all --publish"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        nargs="?",
        type=given_path,
        help="JSON file of `bench all` (default: the one that comes with CPart, else the newest)",
    )
    parser.add_argument(
        "--into",
        type=given_path,
        metavar="results.md",
        help="write it between the two marks of this file instead of the screen",
    )
    parser.add_argument(
        "--everything",
        action="store_true",
        help="also what no figure was set for and is not told in any case",
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core bench table",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    files = [arguments.file] if arguments.file else speed_files()
    if not files:
        raise ValueError(HOW)
    try:
        speed = read_speed(files[0])
    except ValueError as error:
        raise ValueError(f"{files[0].name} cannot be read: {error}") from None
    table = as_markdown(speed, arguments.everything)
    if arguments.into is None:
        print(table)
        return 0
    arguments.into.write_text(
        placed(arguments.into.read_text(encoding="utf-8"), table, arguments.into.name),
        encoding="utf-8",
    )
    print(f"written into {arguments.into}")
    return 0


def placed(text: str, table: str, name: str) -> str:
    """The text with the table between its two marks. ValueError when it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(
            f"{name} has no place for the table; it needs the lines {BEGIN} and {END}."
        )
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def as_markdown(speed: Speed, everything: bool = True) -> str:
    """A sentence on where the numbers are from, and one row for each number."""
    machine = speed.machine
    packages = machine.get("packages")
    torch = packages.get("torch", "?") if isinstance(packages, dict) else "?"
    lines = [
        (
            f"{machine.get('cores', '?')} cores of {machine.get('processor', '?')}, GPU:"
            f" {machine.get('gpu', '?')}, torch {torch}, transformers"
            f" {machine.get('transformers', '?')}; {speed.date[:10]}, `{speed.command}`."
        ),
        *(["Quick run: its numbers decide nothing."] if speed.quick else []),
        "",
        "| where | what | median (quartiles) | by CPU time | figure | |",
        "|---|---|---|---|---|---|",
    ]
    for item in speed.measured:
        if everything or item.told:
            cells = (
                item.where,
                f"{item.what}, {item.unit}",
                value_text(item),
                short(item.cpu),
                figure_text(item),
                item.verdict,
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def value_text(item: Measured) -> str:
    spread = f" ({short(item.low)} to {short(item.high)})" if item.n > 1 else ""
    return f"{short(item.median)}{' s' if item.unit == 's' else ''}{spread}"


def figure_text(item: Measured) -> str:
    return (
        ""
        if math.isnan(item.figure)
        else f"{'at most' if item.at_most else 'at least'} {short(item.figure)}"
    )


def short(value: float) -> str:
    """Three digits, or all before the point; nothing for what was not counted."""
    return "" if math.isnan(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
