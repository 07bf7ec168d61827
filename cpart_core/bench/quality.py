"""`bench quality`: validation loss of the partitioned model against its twins on the very same batches, several seeds.

Twins: dense (the same model at full width), random partition (same sizes, same fusion). Each seed is its own corpus split, weights and
batches; within a seed every twin sees the same rows, so differences are paired.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpart_core.bench._report import paired_interval, save
from cpart_core.config import Settings
from cpart_core.presets import PRESETS, preset

if TYPE_CHECKING:
    from cpart_core.corpus.document import Corpus

TWINS: dict[str, dict[str, Any]] = {
    "partitioned": {},
    "dense": {"execution": "dense"},
    "random partition": {"method": "random"},
}
BASE = "partitioned"
ALL_ROWS = 100_000
"""Validation rows of each context: more than there are, so all validation text is read."""


@dataclass(frozen=True)
class Outcome:
    """One finished training."""

    loss: float
    """Nats per validation token, mean over contexts, at the last step."""
    loss_by_context: list[float]
    tokens: int
    """Validation tokens behind the loss."""
    seconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=[entry.name for entry in PRESETS], default="own", help="settings of all twins (default: own)")
    parser.add_argument("--steps", type=int, help="training steps; default: the preset's")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... (default 3; an interval needs at least 2)")
    parser.add_argument("--out", type=Path, help="folder of the JSON file (default bench-results)")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cpart_core bench quality", description=__doc__.splitlines()[0] if __doc__ else None)
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.seeds < 2:
        raise ValueError(f"--seeds is {arguments.seeds}; give 2 or more, an interval needs them.")
    base = preset(arguments.preset)
    if arguments.steps:
        base = base.with_values({"steps": arguments.steps}).check()
    if base.training.steps <= base.partition.fusion_step:
        raise ValueError(
            f"{base.training.steps} steps end before fusion begins (step {base.partition.fusion_step}): all twins would be equal."
        )
    outcomes: dict[str, list[Outcome]] = {name: [] for name in TWINS}
    for seed in range(arguments.seeds):
        corpus = corpus_of(base, seed)
        for name, changes in TWINS.items():
            outcome = train(base.with_values({**changes, "seed": seed, "evaluation_rows": ALL_ROWS}), corpus)
            outcomes[name].append(outcome)
            print(f"seed {seed}  {name:17}  loss {outcome.loss:.4f}  n = {outcome.tokens:,} tokens  {outcome.seconds:.0f} s", flush=True)
    save("quality", {"preset": arguments.preset, "settings": base.to_json(), **compare(outcomes)}, arguments.out)
    return 0


def corpus_of(settings: Settings, seed: int) -> Corpus:
    from cpart_core.corpus.build import build_corpus, gather

    return build_corpus(gather(settings.corpus), settings.corpus, seed)


def train(settings: Settings, corpus: Corpus) -> Outcome:
    """Train to the end; the only validation is the last one, over all validation text."""
    from cpart_core.training.loop import Trainer

    quiet = {"evaluate_every": settings.training.steps, "snapshot_every": settings.training.steps}
    began = time.perf_counter()
    trainer = Trainer(settings.with_values(quiet).check(), corpus)
    last = None
    for record in trainer:
        last = record.evaluation or last
    evaluation = last or trainer.evaluate()
    by_context = [float(loss) for loss in evaluation.loss_by_context]
    return Outcome(evaluation.loss, by_context, int(evaluation.tokens_by_context.sum()), time.perf_counter() - began)


def compare(outcomes: dict[str, list[Outcome]]) -> dict[str, Any]:
    """Print and return paired differences (below 0: the partitioned model is better)."""
    ours = [outcome.loss for outcome in outcomes[BASE]]
    result: dict[str, Any] = {"outcomes": {name: [vars(outcome) for outcome in runs] for name, runs in outcomes.items()}, "differences": {}}
    for name, runs in outcomes.items():
        if name != BASE:
            difference = paired_interval(ours, [outcome.loss for outcome in runs])
            result["differences"][f"{BASE} - {name}"] = vars(difference)
            print(f"{BASE} - {name}: {difference} nats per token")
    return result
