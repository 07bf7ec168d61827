"""`evaluate`: loss, accuracy and bits per byte of a checkpoint on all validation text."""

from __future__ import annotations

import argparse
import json
import math
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from cpart_core.cli.progress_line import share_line
from cpart_core.cli.roots import add_run_argument, find_run, newest_checkpoint
from cpart_core.cli.text_table import table

if TYPE_CHECKING:
    from cpart_core.records.losses import LossReport

NAME = "evaluate"
HELP = "Validation loss of a checkpoint, by context, on all validation text."


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    add_run_argument(parser)
    parser.add_argument("--step", type=int, help="step of the checkpoint (default: the newest)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def execute(arguments: argparse.Namespace) -> int:
    run = find_run(arguments)
    step = newest_checkpoint(run, arguments.step)
    from cpart_core.service.answering import answer

    request = {"run": run.id, "step": step}
    report: LossReport = answer("losses", request, share_line(sys.stderr))
    # pages say the same number from now on; where nothing can be stored it is still said here
    with suppress(OSError):
        run.store_result("losses", request, report)
    print(as_json(report) if arguments.json else as_table(report))
    return 0


def as_table(report: LossReport) -> str:
    from cpart_core.runs.validation_loss import of_report

    rows = [
        {
            "context": name,
            "loss": float(loss),
            "low 95 %": float(low),
            "high 95 %": float(high),
            "perplexity": math.exp(loss),
            "accuracy": float(right),
            "tokens": int(tokens),
            "documents": int(documents),
        }
        for name, loss, low, high, right, tokens, documents in zip(
            report.contexts,
            report.loss_by_context,
            report.low_by_context,
            report.high_by_context,
            report.accuracy_by_context,
            report.tokens_by_context,
            report.documents_by_context,
            strict=True,
        )
    ]
    found = of_report(report)
    head = f"run {report.run}, step {report.step}, {found.n} (loss in nats per token)"
    said = f"{found.name} (mean over contexts) {report.loss:.4f}"
    if math.isfinite(report.low):
        said += f" (95 % over documents: {report.low:.4f} to {report.high:.4f})"
    return f"{head}\n\n{table(rows)}\n\n{said}   bits per byte {report.bits_per_byte:.4f}"


def as_json(report: LossReport) -> str:
    """Valid JSON: a context without validation text has null for its loss."""
    contexts = [
        {
            "context": name,
            "loss": number(report.loss_by_context[i]),
            "accuracy": number(report.accuracy_by_context[i]),
            "tokens": int(report.tokens_by_context[i]),
            "documents": int(report.documents_by_context[i]),
        }
        for i, name in enumerate(report.contexts)
    ]
    values = {
        "run": report.run,
        "step": report.step,
        "loss": number(report.loss),
        "low_95": number(report.low),
        "high_95": number(report.high),
        "tokens": report.num_tokens,
        "documents": report.num_documents,
        "bits_per_byte": number(report.bits_per_byte),
        "contexts": contexts,
    }
    return json.dumps(values, indent=2)


def number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
