"""`train`: start a run here, in the foreground."""

from __future__ import annotations

import argparse

from cpart_core.cli.flags import add_setting_flags, settings_from_flags
from cpart_core.cli.roots import NOW_HELP, OUT_HELP, use_root
from cpart_core.paths import given_path
from cpart_core.runs.twins import TWINS, check_twins, twin_kinds
from cpart_core.training.distributed import team_of_environment

NAME = "train"
HELP = "Train a model and store all of it in a run folder."


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    parser.add_argument("--name", default="", help="a name for people; any text")
    parser.add_argument("--id", default="", help="id of the run, which is the name of its folder (default: made from the time)")
    parser.add_argument("--out", metavar="ROOT", type=given_path, help=OUT_HELP)
    parser.add_argument(
        "--twins", default="", metavar="A,B", help=f"also train controls on the very same batches afterwards: {', '.join(TWINS)}"
    )
    parser.add_argument("--now", action="store_true", help=NOW_HELP)
    add_setting_flags(parser, show_all)


def execute(arguments: argparse.Namespace) -> int:
    settings = settings_from_flags(arguments)
    use_root(arguments.out)
    from cpart_core.cli.training import follow_the_first, train_in_order
    from cpart_core.runs.create import create_run, create_twin

    team = team_of_environment()
    if not team.first:
        return follow_the_first(team)
    kinds = twin_kinds(arguments.twins)
    check_twins(settings, kinds)
    run = create_run(settings, None, arguments.name, run_id=arguments.id)
    return train_in_order([run, *(create_twin(run, kind) for kind in kinds)], team=team, now=arguments.now)
