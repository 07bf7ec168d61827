"""`train`: start a run here, in the foreground."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cpart_core.cli.flags import add_setting_flags, given_flags, settings_from_flags
from cpart_core.cli.roots import NOW_HELP, OUT_HELP, use_root
from cpart_core.files.paths import given_path
from cpart_core.runs.twins import TWINS, check_twins, twin_kinds
from cpart_core.settings.run import Settings
from cpart_core.training.process_group import group_of_environment
from cpart_core.wording.printable import marked

if TYPE_CHECKING:
    from cpart_core.corpus.document import Corpus

NAME = "train"
HELP = "Train a model and store all of it in a run folder."

MOST_SAID = 20
"""Lines about what was left out; the run's corpus keeps all of them."""


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    parser.add_argument(
        "--name",
        default="",
        help="a name for people; any text, of which the first 80 characters are kept",
    )
    parser.add_argument(
        "--id",
        default="",
        help="id of the run, which is the name of its folder (default: made from the time)",
    )
    parser.add_argument("--out", metavar="ROOT", type=given_path, help=OUT_HELP)
    parser.add_argument(
        "--twins",
        default="",
        metavar="A,B",
        help=f"also train controls on the very same batches afterwards: {', '.join(TWINS)}",
    )
    parser.add_argument("--now", action="store_true", help=NOW_HELP)
    add_setting_flags(parser, show_all)


def execute(arguments: argparse.Namespace) -> int:
    group = group_of_environment()
    settings = settings_from_flags(arguments, print if group.first else silent)
    use_root(arguments.out)
    from cpart_core.cli.train_runs import follow_the_first, train_in_order
    from cpart_core.corpus.store import save_corpus
    from cpart_core.runs.create import create_run, create_twin

    if not group.first:
        return follow_the_first(group)
    kinds = twin_kinds(arguments.twins)
    check_twins(settings, kinds)
    if group.alone and arguments.setting_parallel is not None:
        print(
            f"parallel {settings.training.parallel} has no effect: torchrun did not start several"
            " processes."
        )
    corpus = text_of(settings, given_flags(arguments))
    run = create_run(settings, None, arguments.name, run_id=arguments.id)
    save_corpus(corpus, run.folder / "corpus")
    del corpus  # the trainer reads it from there, and it may be large
    return train_in_order(
        [run, *(create_twin(run, kind) for kind in kinds)], group=group, now=arguments.now
    )


def silent(sentence: str) -> None:
    """Only the first of several processes speaks."""


def text_of(settings: Settings, given: Iterable[str]) -> Corpus:
    """The corpus, read and checked before there is a run folder; what is to be said of it is
    printed. ValueError for what cannot work."""
    from cpart_core.corpus.build import build_corpus, gather
    from cpart_core.runs.folder import runs_root
    from cpart_core.training.precheck import check_before, count_corpus

    print("reading the text", flush=True)
    corpus = build_corpus(gather(settings.corpus), settings.corpus, settings.training.seed)
    left_out = [f"left out: {entry.title}: {entry.reason}" for entry in corpus.skipped]
    said = check_before(settings, count_corpus(corpus), runs_root(), given)
    for sentence in [*corpus.notes, *left_out[:MOST_SAID], *said]:
        print(marked(" ".join(sentence.split()), "?"), flush=True)
    if len(left_out) > MOST_SAID:
        print(f"left out: {len(left_out) - MOST_SAID:,} more", flush=True)
    return corpus
