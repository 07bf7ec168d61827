"""`sample`: make the sample again, from its training to its manifest, with one command."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cpart_core.cli import analyze
from cpart_core.cli.roots import use_root
from cpart_core.files.paths import given_path

if TYPE_CHECKING:
    from cpart_core.runs.folder import Run

NAME = "sample"
HELP = (
    "Train the sample and its dense twin, compute all pictures, drop what only training needs,"
    " write the manifests."
)
RUN_ID, RUN_NAME = "first-light", "First light"
PICTURES = (
    "losses,profiles,neuron_map,document_map,trace,specialization,ablation_matrix,router_audit"
)


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    parser.add_argument(
        "--out",
        metavar="ROOT",
        type=given_path,
        default=Path("sample_checkpoints"),
        help="where to (default: sample_checkpoints of this folder)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Goes on from what is there: a run that is finished is not trained again."""
    use_root(arguments.out)
    # The repository's own sample has the same id and would be found first, read-only.
    os.environ["CPART_SAMPLES"] = os.environ["CPART_RUNS"]
    from cpart_core.runs.sample import make_sample

    runs = sample_runs(arguments.out)
    code = train_what_is_not_finished(runs)
    if code:
        return code
    parser = argparse.ArgumentParser()
    analyze.add_arguments(parser, show_all=False)
    for run in runs:
        what = "losses,profiles" if run.info.twin_of else PICTURES
        code = analyze.execute(
            parser.parse_args([run.id, "--what", what, "--out", str(arguments.out)])
        )
    for run in runs:
        print(f"{run.id}: {make_sample(run) / 1e6:.1f} MB in {run.folder}", flush=True)
    return code


def sample_runs(root: Path) -> list[Run]:
    """The sample and its dense twin, made where they are not there yet."""
    from cpart_core.runs.create import create_run, create_twin
    from cpart_core.runs.folder import open_run
    from cpart_core.settings.presets import preset

    if (root / RUN_ID / "run.json").is_file():
        run = open_run(RUN_ID)
    else:
        run = create_run(preset("sample"), None, RUN_NAME, run_id=RUN_ID)
    twin = (
        open_run(f"{RUN_ID}-dense")
        if (root / f"{RUN_ID}-dense" / "run.json").is_file()
        else create_twin(run, "dense")
    )
    return [run, twin]


def train_what_is_not_finished(runs: list[Run]) -> int:
    from cpart_core.cli.train_runs import train_in_order

    return train_in_order([run for run in runs if run.state().state != "finished"])
