"""`coherence`: how coherent runs write, against human and random text; or train a judge for it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cpart_core.cli.progress_line import share_line
from cpart_core.cli.roots import add_run_argument, find_run, newest_checkpoint
from cpart_core.cli.text_table import plain, table
from cpart_core.files.paths import given_path

if TYPE_CHECKING:
    from cpart_core.records.coherence import CoherenceReport

NAME = "coherence"
HELP = "Measure how coherent a run writes, beside human and random text."


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    add_run_argument(parser)
    parser.add_argument("--step", type=int, help="step of the checkpoint (default: the newest)")
    parser.add_argument(
        "--beside", default="", metavar="ID,ID,...", help="runs to compare it with, at most 3"
    )
    parser.add_argument(
        "--judge",
        default="",
        metavar="ID",
        help="the run that judges: not one of those compared, nor its twin",
    )
    parser.add_argument(
        "--train-judge",
        action="store_true",
        help="train one instead: dense, another seed, the same text held out",
    )
    parser.add_argument(
        "--prompts",
        type=int,
        default=24,
        help="held-out documents to continue, 4 to 64 (default: 24)",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=0.8,
        help="0 takes the most probable token (default: 0.8)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of the documents, the continuations and the intervals (default: 0)",
    )
    parser.add_argument(
        "--json", type=given_path, metavar="FILE", help="also write the scores here"
    )


def execute(arguments: argparse.Namespace) -> int:
    run = find_run(arguments)
    if arguments.train_judge:
        from cpart_core.cli.train_runs import train_in_order
        from cpart_core.runs.independent_judge import create_judge

        return train_in_order([create_judge(run)])
    if not arguments.judge:
        raise ValueError(
            f"Name a judge with --judge (see `runs`), or make one: coherence {run.id}"
            " --train-judge."
        )
    from cpart_core.runs.folder import open_run
    from cpart_core.service.answering import answer

    judge = open_run(arguments.judge)
    beside = [open_run(name.strip()) for name in arguments.beside.split(",") if name.strip()]
    request = {
        "run": run.id,
        "step": newest_checkpoint(run, arguments.step),
        "interventions": [],
        "others": [[other.id, newest_checkpoint(other, None), []] for other in beside],
        "judge": judge.id,
        "judge_step": newest_checkpoint(judge, None),
        "prompts": arguments.prompts,
        "temperature": arguments.temperature,
        "seed": arguments.seed,
    }
    report = answer("coherence", request, share_line(sys.stderr))
    print(f"{run.store_result('coherence', request, report)}\n\n{table(rows(report))}\n")
    print(
        f"n = {len(report.prompts)} held-out documents, seed {report.seed}. Judge:"
        f" {report.judge.name}. {report.judge.relation}"
    )
    print(f"Embedding score by {report.judge.embedder}. Scores: random text 0, human text 1.")
    if arguments.json:
        arguments.json.write_text(
            json.dumps(plain(as_data(report)), indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )
    return 0


def rows(report: CoherenceReport) -> list[dict[str, Any]]:
    """One of each writer and anchor."""
    import numpy as np

    names = [", ".join([writer.run, *writer.changes]) for writer in report.writers] + [
        "human text",
        "random text",
    ]
    found = []
    for number, name in enumerate(names):
        scores = [
            part[number] if number < len(report.writers) else None
            for part in (report.embedding_score, report.order_score)
        ]
        found.append(
            {
                "text by": name,
                **{
                    label: (
                        None
                        if score is None
                        else f"{score.score:.2f} [{score.low:.2f}, {score.high:.2f}]"
                    )
                    for label, score in zip(("embedding score", "order score"), scores, strict=True)
                },
                "similarity": float(np.nanmean(report.similarity[number])),
                "order": float(np.nanmean(report.order[number])),
                "perplexity": float(
                    np.exp(np.average(report.nats[number], weights=report.tokens[number]))
                ),
                "rep-4": float(np.nanmean(report.repetition[number])),
                "distinct-2": float(np.nanmean(report.distinct[number])),
            }
        )
    return found


def as_data(report: CoherenceReport) -> dict[str, Any]:
    """Writers, judge and scores."""
    return {
        "judge": asdict(report.judge),
        "prompts": len(report.prompts),
        "seed": report.seed,
        "temperature": report.temperature,
        "writers": [
            {**asdict(writer), "embedding": asdict(embedding), "order": asdict(order)}
            for writer, embedding, order in zip(
                report.writers, report.embedding_score, report.order_score, strict=True
            )
        ],
    }
