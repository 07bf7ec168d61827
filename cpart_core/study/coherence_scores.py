"""Coherence of a study's runs, measured when the others are finished: the judge is the dense run of
another seed, never the run itself.

Another seed is, as a rule, another split of the same text, so the judge may have been trained on
what this seed holds out. Only documents that neither was trained on are continued: all of those
held out where the source itself says what is held out, a tenth where the seed draws. All arms of a
seed have the same text, hence the same judge and the same documents. A study with one seed, or
without a dense arm as large as its reference, has no judge.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cpart_core.runs.training_session import ignore_words
from cpart_core.study.cell import read_outcome, write_outcome
from cpart_core.study.design import dense_twin
from cpart_core.study.outcome import Outcome
from cpart_core.study.plan import Plan

PROMPTS = 60
"""Documents that are continued, at most."""


def judge_arm(plan: Plan) -> str:
    """The arm whose runs judge: dense, as large as the reference; "" where the study has none."""
    return dense_twin(plan.arms, plan.arms[plan.reference])


def judges_of(plan: Plan, folder: Path, seed: int) -> list[Outcome]:
    """Finished runs that may judge a seed's: who judged another of them already, then the next
    seed's first."""
    arm = judge_arm(plan)
    place = plan.seeds.index(seed)
    others = (*plan.seeds[place + 1 :], *plan.seeds[:place]) if arm else ()
    found = [
        outcome for other in others if (outcome := read_outcome(folder, arm, other)) is not None
    ]
    judged = [
        outcome.word("coherence_judge")
        for name in plan.arms
        if (outcome := read_outcome(folder, name, seed)) is not None
    ]
    return sorted(found, key=lambda judge: judge.run not in judged)


def lacks_coherence(plan: Plan, folder: Path, arm: str, seed: int) -> bool:
    """Whether a run is finished, not judged yet, and there is somebody to judge it."""
    outcome = read_outcome(folder, arm, seed)
    return (
        outcome is not None
        and not outcome.word("coherence_judge")
        and bool(judges_of(plan, folder, seed))
    )


def add_coherence(
    plan: Plan, folder: Path, outcome: Outcome, say: Callable[[str], None] = ignore_words
) -> Outcome:
    """Measure a finished run's coherence and store it in its outcome; with too few documents for
    any judge, NaN is stored, and who was asked.

    The root of runs must be the study's folder. ValueError without a judge, and for damaged runs.
    """
    from cpart_core.analysis.coherence.measure import TooFewDocuments, coherence_of
    from cpart_core.runs.folder import open_run
    from cpart_core.training.device import set_threads

    judges = judges_of(plan, folder, outcome.seed)
    if not judges:
        raise ValueError(
            f"Nobody can judge {outcome.run}: that takes a finished dense run of another seed of"
            " this study."
        )
    set_threads(open_run(outcome.run).settings.training)
    for judge in judges:
        say(f"measuring coherence, judged by {judge.run}")
        try:
            found = coherence_of(
                outcome.run, outcome.steps, judge.run, judge.steps, outcome.seed, PROMPTS
            )
        except TooFewDocuments as few:
            say(str(few))
            continue
        embedding, order = found.embedding, found.order
        changed = outcome.with_values(
            {
                "coherence_embedding": embedding.score,
                "coherence_order": order.score,
                "coherence_similarity": embedding.model,
                "coherence_similarity_human": embedding.human,
                "coherence_similarity_random": embedding.random,
                "coherence_order_share": order.model,
                "coherence_order_human": order.human,
                "coherence_prompts": float(found.prompts),
                "coherence_judge": judge.run,
                "coherence_embedder": found.judge.embedder,
            }
        )
        break
    else:
        changed = outcome.with_values({"coherence_prompts": 0.0, "coherence_judge": judges[0].run})
    write_outcome(folder, changed)
    return changed
