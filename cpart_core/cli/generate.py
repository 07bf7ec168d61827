"""`generate`: continue a text in the terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cpart_core.cli.roots import add_run_argument, find_run, newest_checkpoint
from cpart_core.model.context_window import beginning_left_out, early_end, fit

if TYPE_CHECKING:
    from cpart_core.corpus.tokenizer import Tokenizer

NAME = "generate"
HELP = "Continue a text with a checkpoint."


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    add_run_argument(parser)
    parser.add_argument("--text", required=True, help="the text to continue")
    parser.add_argument("--step", type=int, help="step of the checkpoint (default: the newest)")
    parser.add_argument(
        "--max-tokens",
        type=int,
        default=100,
        help="most tokens to add, as far as they fit behind the text (default: 100)",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=0.8,
        help="0 takes the most probable token (default: 0.8)",
    )
    parser.add_argument(
        "--top-k",
        type=int,
        default=0,
        help="choose among the k most probable tokens; 0 = off (default: 0)",
    )
    parser.add_argument(
        "--top-p",
        type=float,
        default=1.0,
        help="choose among the fewest tokens with this mass; 1 = off (default: 1)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same text (default: 0)"
    )


def execute(arguments: argparse.Namespace) -> int:
    run = find_run(arguments)
    step = newest_checkpoint(run, arguments.step)
    from cpart_core.model.generate import generate
    from cpart_core.runs.checkpoint import load_model

    model, tokenizer, _ = load_model(run, step)
    text = as_typed(arguments.text)
    length = model.settings.context_length
    room = fit(tokenizer.encode(text), arguments.max_tokens, length)
    ids = room.ids
    say(beginning_left_out(len(ids), length) if room.left_out else "")
    sampled = generate(
        model,
        ids,
        max_tokens=arguments.max_tokens,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        seed=arguments.seed,
        stop=tokenizer.end,
    )
    sys.stdout.write(text)
    made = write(sampled, ids, tokenizer)
    say(early_end(len(ids), made, arguments.max_tokens, length))
    return 0


def write(sampled: Iterable[int], read: list[int], tokenizer: Tokenizer) -> int:
    """Print what is sampled behind the ids that were read, as it comes; how many tokens it was."""
    ids, shown = list(read), len(tokenizer.decode(read))
    for token in sampled:
        ids.append(token)
        text = tokenizer.decode(ids)
        if not text.endswith("\ufffd"):  # half of a character waits for its other half
            sys.stdout.write(text[shown:])
            sys.stdout.flush()
            shown = len(text)
    sys.stdout.write(tokenizer.decode(ids)[shown:] + "\n")
    sys.stdout.flush()
    return len(ids) - len(read)


def say(sentence: str) -> None:
    """Beside the text, which alone is on the standard output."""
    if sentence:
        print(sentence, file=sys.stderr)


def as_typed(text: str) -> str:
    """An argument of a terminal that is not UTF-8 comes as escaped bytes: the text that they
    are."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
