"""`carve`: the smaller model for one context or one text, as a run of its own, measured before and
after."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cpart_core.cli.progress_line import share_line
from cpart_core.cli.roots import add_run_argument, find_run, newest_checkpoint
from cpart_core.cli.text_table import plain, table
from cpart_core.corpus.encoding import LARGEST_FILE, read_text_file
from cpart_core.files.paths import given_path

if TYPE_CHECKING:
    from cpart_core.records.keep import CarveReport, Footprint, KeepCurve

NAME = "carve"
HELP = (
    "Keep the segments that matter for one context or text, write the smaller model as a run, and"
    " measure both."
)
RANKINGS = ("contribution", "effect")
MIB = 2**20


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    add_run_argument(parser)
    parser.add_argument("--step", type=int, help="step of the checkpoint (default: the newest)")
    parser.add_argument(
        "--context",
        default="",
        metavar="NAME",
        help="choose the segments on training documents of this context",
    )
    parser.add_argument(
        "--text-file",
        type=given_path,
        metavar="FILE",
        help="choose them on the first half of this text instead",
    )
    parser.add_argument(
        "--keep",
        type=int,
        help=(
            "segments to keep in each layer; without it the loss of every count is printed, nothing"
            " is carved"
        ),
    )
    parser.add_argument(
        "--name", default="", help="name of the new run; the first 80 characters are kept"
    )
    parser.add_argument(
        "--ranking",
        default="contribution",
        choices=RANKINGS,
        help="what makes a segment matter (default: contribution)",
    )
    parser.add_argument(
        "--documents",
        type=int,
        default=32,
        help="most training documents to choose on (default: 32)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed of the choosing documents, random draws and intervals (default: 0)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def execute(arguments: argparse.Namespace) -> int:
    run = find_run(arguments)
    text = (
        ""
        if arguments.text_file is None
        else read_text_file(arguments.text_file, LARGEST_FILE, "text file")
    )
    selection = {
        "context": arguments.context,
        "text": text,
        "ranking": arguments.ranking,
        "documents": arguments.documents,
        "seed": arguments.seed,
    }
    request: dict[str, Any] = {
        "run": run.id,
        "step": newest_checkpoint(run, arguments.step),
        **selection,
    }
    name = "keep_k"
    if arguments.keep is not None:
        name, request = "carve", {**request, "keep": arguments.keep, "name": arguments.name}
    from cpart_core.service.answering import answer

    result = answer(name, request, share_line(sys.stderr))
    run.store_result(name, request, result)
    if arguments.json:
        print(as_json(result))
    else:
        print(curve_table(result) if name == "keep_k" else report_table(result))
    return 0


def about(result: KeepCurve | CarveReport) -> str:
    """What the segments were chosen for."""
    return f"context {result.context}" if result.context else "the given text"


def curve_table(curve: KeepCurve) -> str:
    """A row for each count."""
    import numpy as np

    low, middle, high = np.quantile(curve.random_loss - curve.loss[0], [0.05, 0.5, 0.95], axis=0)
    rows = [
        {
            "keep": int(k),
            "loss": float(curve.loss[i]),
            "rise": float(curve.rise[i]),
            "95% low": float(curve.low[i]),
            "95% high": float(curve.high[i]),
            "by chance: rise": float(middle[i]),
            "5%": float(low[i]),
            "95%": float(high[i]),
        }
        for i, k in enumerate(curve.kept)
    ]
    head = (
        f"run {curve.run}, step {curve.step}, {about(curve)}, seed {curve.seed}; chosen by"
        f" {curve.ranking} on {len(curve.chosen_on)} documents ({curve.chosen_tokens} tokens),"
        f" measured on a sample: the beginnings of {curve.documents} validation documents"
        f" ({curve.tokens} tokens), nats per token; by chance: {len(curve.random_loss)} draws"
    )
    return f"{head}\n\n{table(rows)}\n\nGive --keep K to carve."


def report_table(report: CarveReport) -> str:
    """Costs, then losses by context."""
    costs = [cost_row("before", report.before), cost_row("after", report.after)]
    losses = [
        {
            "context": name,
            "before": float(report.loss_before[i]),
            "after": float(report.loss_after[i]),
            "rise": float(report.loss_after[i] - report.loss_before[i]),
            "95% low": float(report.low[i]),
            "95% high": float(report.high[i]),
            "documents": int(report.documents_by_context[i]),
            "tokens": int(report.tokens_by_context[i]),
        }
        for i, name in enumerate(report.contexts)
    ]
    head = (
        f"run {report.run}, step {report.step}: the {report.keep} segments a layer that matter for"
        f" {about(report)} are now run {report.carved}"
    )
    how = (
        f"medians of {report.before.repeats} fresh processes each, one thread, load average"
        f" {report.load:.1f}"
    )
    text = (
        f"\n\nthe text itself: {report.text_before:.4f} -> {report.text_after:.4f}"
        f" ({report.text_tokens} tokens)"
        if report.text
        else ""
    )
    return (
        f"{head}\n\n{table(costs)}\n({how})\n\nvalidation loss by context (all validation text),"
        f" nats per token, seed {report.seed}\n{table(losses)}{text}"
    )


def cost_row(name: str, cost: Footprint) -> dict[str, Any]:
    return {
        "": name,
        "parameters": cost.num_parameters,
        "file bytes": cost.file_bytes,
        "MiB by loading": cost.loaded_bytes / MIB,
        "MiB peak": cost.peak_bytes / MIB,
        "MiB before loading": cost.idle_bytes / MIB,
        "read tokens/CPU s": round(cost.read_tokens_per_second),
        "write tokens/CPU s": cost.write_tokens_per_second,
    }


def as_json(result: KeepCurve | CarveReport) -> str:
    """All of the result; what is not a number is null."""
    return json.dumps(plain(asdict(result)), indent=2, allow_nan=False)
