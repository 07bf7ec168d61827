"""The segments of two snapshots, matched: by neurons where both began with the same ones, else by
the contexts that they work on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.progress import Progress, silent
from cpart_core.analysis.segments.stability import unit, with_mean
from cpart_core.analysis.statistics.bootstrap import INTERVAL
from cpart_core.model.fusion.base import Size
from cpart_core.partition.partition import assign
from cpart_core.records.comparison import SegmentComparison
from cpart_core.records.training import SHARED, Snapshot
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.origin import Trained

METHODS = ("auto", "neurons", "fusion", "signatures")
SHUFFLES = 200
FEWEST_CONTEXTS = 3


class Side(NamedTuple):
    """A run at one of its snapshots."""

    run: Run
    snapshot: Snapshot

    @property
    def dense(self) -> bool:
        return self.run.settings.model.execution == "dense"


class Matched(NamedTuple):
    similarity: np.ndarray
    match: np.ndarray
    agreement: np.ndarray
    """[L + 1]"""
    null: np.ndarray
    """[shuffles, L + 1]"""


def compare_segments(
    first: Side, second: Side, method: str, seed: int, progress: Progress = silent
) -> SegmentComparison:
    """Match the segments of two snapshots. ValueError for an unknown method; what cannot be matched
    is answered with method none."""
    if method not in METHODS:
        raise ValueError(f"The matching {method!r} is not known; allowed: {', '.join(METHODS)}.")
    names, columns = shared_contexts(first.run, second.run)
    same = same_neurons(first.run, second.run)
    kind, why = choose_method(first, second, method, same)
    by = "signatures" if kind == "signatures" or first.dense or second.dense else "fusion"
    profiles = [
        profile(side, by)[:, column] for side, column in zip((first, second), columns, strict=True)
    ]
    matched = nothing(first, second)
    if kind == "neurons":
        matched = match_neurons(first.snapshot, second.snapshot, seed, progress)
    elif kind != "none":
        known = ~(np.isnan(profiles[0]).any(axis=(0, 2)) | np.isnan(profiles[1]).any(axis=(0, 2)))
        if known.sum() < FEWEST_CONTEXTS:
            kind, why = (
                "none",
                (
                    f"Profiles are compared over contexts, at least {FEWEST_CONTEXTS}; both know"
                    f" {int(known.sum())} of one name."
                ),
            )
        else:
            matched = match_profiles(profiles[0][:, known], profiles[1][:, known], seed, progress)
    moved = np.full(first.snapshot.segment_of.shape[0], np.nan)
    if same and kind != "none":
        moved = moved_share(first.snapshot, second.snapshot, matched.match)
    facts = [use_of(side) for side in (first, second)]
    layers = min(len(facts[0][0]), len(facts[1][0]))
    return SegmentComparison(
        run=first.run.id,
        step=int(first.snapshot.step),
        other=second.run.id,
        other_step=int(second.snapshot.step),
        seed=seed,
        method=kind,
        why=why,
        same_neurons=same,
        contexts=names,
        similarity=matched.similarity,
        match=matched.match,
        agreement=matched.agreement,
        null_mean=matched.null.mean(axis=0),
        null_high=np.percentile(matched.null, INTERVAL[1], axis=0),
        shuffles=SHUFFLES,
        moved=with_mean(moved),
        strongest_by=by,
        strongest=strongest(profiles[0], by),
        other_strongest=strongest(profiles[1], by),
        committee=np.stack([committee[:layers] for committee, _ in facts]),
        dead=np.stack([dead[:layers] for _, dead in facts]),
    )


def choose_method(first: Side, second: Side, method: str, same: bool) -> tuple[str, str]:
    """(method, a sentence that says why)."""
    for side in (first, second):
        if not side.snapshot.partitioned:
            return (
                "none",
                (
                    f"Step {side.snapshot.step:,} of run {side.run.id} is before its first"
                    " partition: its segments are a numbering."
                ),
            )
    shapes = [side.snapshot.fusion_mass.shape for side in (first, second)]
    if shapes[0][0] != shapes[1][0]:
        return (
            "none",
            (
                f"A has {shapes[0][0]} layers and B {shapes[1][0]}; segments are matched layer by"
                " layer."
            ),
        )
    if method == "neurons" and not same:
        return (
            "none",
            (
                "The two runs did not begin with the same neurons, so these cannot be counted."
                " Match by what segments work on instead."
            ),
        )
    if method == "fusion" and (first.dense or second.dense):
        return (
            "none",
            "A dense model computes no fusion weights. Match by neurons or signatures instead.",
        )
    if method == "neurons" or method == "auto" and same:
        return (
            "neurons",
            (
                "Both sides began with the same neurons under the same numbers, so the neurons that"
                " two segments share are counted."
            ),
        )
    because = "" if same else "The two runs did not begin with the same neurons. "
    if method == "signatures" or first.dense or second.dense:
        return (
            "signatures",
            (
                f"{because}Segments are matched by the mean gradient signature of their neurons in"
                " each context."
            ),
        )
    return (
        "fusion",
        f"{because}Segments are matched by the fusion mass that they get on each context.",
    )


def same_neurons(first: Run, second: Run) -> bool:
    """Whether neuron n of one run began as neuron n of the other: one run, or one seed drawn into
    weights of the same shapes in one order."""
    if first.id == second.id:
        return True
    return (
        isinstance(first.info.origin, Trained)
        and isinstance(second.info.origin, Trained)
        and start_of(first) == start_of(second)
    )


def start_of(run: Run) -> tuple[object, ...]:
    """What the initial weights follow from."""
    model = run.settings.model
    drawn = model.fusion.drawn(Size(model.num_segments, model.width))
    shape = (model.num_layers, model.width, model.num_heads, model.num_kv_heads, model.num_neurons)
    return (run.settings.training.seed, run.info.vocabulary_size, *shape, drawn)


def same_contexts(first: Run, second: Run) -> bool:
    """Whether contexts of one name mean the same: those of one run, and labels that nobody found by
    himself."""
    return first.id == second.id or not (first.info.discovered or second.info.discovered)


def shared_contexts(
    first: Run, second: Run
) -> tuple[tuple[str, ...], tuple[np.ndarray, np.ndarray]]:
    """(names, their places in each run). Contexts that a run found by itself have numbers for names
    and are nobody else's."""
    known, others = first.info.contexts, second.info.contexts
    if not same_contexts(first, second):
        known = ()
    names = tuple(name for name in known if name in others)
    places = [
        np.array([run.info.contexts.index(name) for name in names], dtype=np.int64)
        for run in (first, second)
    ]
    return names, (places[0], places[1])


def profile(side: Side, by: str) -> np.ndarray:
    """[L, C, S] what each segment does in each context: fusion mass, or mean signature of its
    neurons; NaN where not measured."""
    snapshot = side.snapshot
    mass = snapshot.fusion_mass.astype(np.float64)
    if by == "fusion":
        return mass
    signature = snapshot.signature.astype(np.float64)
    member = (snapshot.segment_of[:, :, None] == np.arange(mass.shape[2])).astype(np.float64)
    means: np.ndarray = (
        np.einsum("lnc,lns->lcs", signature, member) / np.maximum(member.sum(axis=1), 1)[:, None]
    )
    means[:, np.asarray(snapshot.signature_tokens) <= 0] = np.nan
    return means


def strongest(profile_LCS: np.ndarray, by: str) -> np.ndarray:
    """[L, C] the segment with most fusion mass, or whose signature stands out most against its own
    mean; -1 where all are alike or unknown."""
    shown = profile_LCS
    if by == "signatures":
        mean = profile_LCS.mean(axis=1, keepdims=True)
        shown = np.divide(profile_LCS, mean, out=np.ones_like(profile_LCS), where=mean > 0)
    known = ~np.isnan(shown).any(axis=2)
    safe = np.where(known[:, :, None], shown, 0.0)
    apart = known & (np.ptp(safe, axis=2) > 1e-6)
    return np.where(apart, safe.argmax(axis=2), -1)


def matched_sum(similarity_SxQ: np.ndarray, match: np.ndarray) -> float:
    rows = np.flatnonzero(match >= 0)
    return float(similarity_SxQ[rows, match[rows]].sum())


def match_neurons(
    first: Snapshot, second: Snapshot, seed: int, progress: Progress = silent
) -> Matched:
    """By the neurons that lie in a segment on both sides; chance: B's neurons shuffled over its
    segments."""
    random = np.random.default_rng(seed)
    S, Q = first.fusion_mass.shape[2], second.fusion_mass.shape[2]
    similarity, match, agreement, null = [], [], [], []
    for layer, (a, b) in enumerate(
        zip(first.segment_of.astype(np.int64), second.segment_of.astype(np.int64), strict=True)
    ):
        progress(layer / len(first.segment_of), f"Matching layer {layer}")
        inside = (a != SHARED) & (b != SHARED)
        total = max(int(inside.sum()), 1)
        counts = overlap(a[inside], b[inside], S, Q)
        similarity.append(counts)
        # A hair's weight of each neuron's own decides between equal counts, so that the match does
        # not hang on how segments are numbered.
        hair = np.random.default_rng(layer).uniform(0.0, 1e-6, len(a))[inside]
        match.append(
            assign(
                counts
                + np.bincount(a[inside] * Q + b[inside], weights=hair, minlength=S * Q).reshape(
                    S, Q
                )
            )
        )
        agreement.append(matched_sum(counts, match[-1]) / total)
        shuffled = (
            overlap(a[inside], random.permutation(b[inside]), S, Q) for _ in range(SHUFFLES)
        )
        null.append([matched_sum(table, assign(table)) / total for table in shuffled])
    return Matched(
        np.stack(similarity),
        np.stack(match),
        with_mean(np.array(agreement)),
        with_mean(np.array(null).T),
    )


def overlap(first_K: np.ndarray, second_K: np.ndarray, S: int, Q: int) -> np.ndarray:
    """[S, Q] neurons in segment s of the one and q of the other."""
    return np.bincount(first_K * Q + second_K, minlength=S * Q).reshape(S, Q).astype(np.float64)


def match_profiles(
    first_LCS: np.ndarray, second_LCQ: np.ndarray, seed: int, progress: Progress = silent
) -> Matched:
    """By correlation of profiles over contexts; chance: B's contexts shuffled."""
    random = np.random.default_rng(seed)
    pairs = min(first_LCS.shape[2], second_LCQ.shape[2])
    similarity, match, agreement, null = [], [], [], []
    for layer, (a, b) in enumerate(zip(first_LCS, second_LCQ, strict=True)):
        progress(layer / len(first_LCS), f"Matching layer {layer}")
        ours, theirs = unit(a).T, unit(b)
        similarity.append(ours @ theirs)
        match.append(assign(similarity[-1]))
        agreement.append(matched_sum(similarity[-1], match[-1]) / pairs)
        shuffled = (ours @ theirs[random.permutation(len(theirs))] for _ in range(SHUFFLES))
        null.append([matched_sum(table, assign(table)) / pairs for table in shuffled])
    return Matched(
        np.stack(similarity),
        np.stack(match),
        with_mean(np.array(agreement)),
        with_mean(np.array(null).T),
    )


def nothing(first: Side, second: Side) -> Matched:
    L, _, S = first.snapshot.fusion_mass.shape
    unknown = np.full(L + 1, np.nan)
    return Matched(
        np.zeros((L, S, 0)),
        np.full((L, S), -1, dtype=np.int64),
        unknown,
        np.full((1, L + 1), np.nan),
    )


def moved_share(first: Snapshot, second: Snapshot, match_LS: np.ndarray) -> np.ndarray:
    """[L] share of all neurons that are not where the match would have them; the shared segment is
    matched with itself."""
    a, b = first.segment_of.astype(np.int64), second.segment_of.astype(np.int64)
    expected = np.take_along_axis(match_LS, np.maximum(a, 0), axis=1)
    stayed = np.where(a == SHARED, b == SHARED, (expected == b) & (expected >= 0))
    return np.asarray(1.0 - stayed.mean(axis=1))


def use_of(side: Side) -> tuple[np.ndarray, np.ndarray]:
    """(committee share [L], dead segments [L]) by the snapshot's fusion mass; NaN for a dense
    model, or without validation text."""
    from cpart_core.analysis.segments.profiles import dead_segments
    from cpart_core.analysis.segments.specialization import committee_share

    mass = side.snapshot.fusion_mass.astype(np.float64)
    if side.dense or np.isnan(mass).any(axis=(0, 2)).all():
        return np.full(len(mass), np.nan), np.full(len(mass), np.nan)
    return committee_share(mass), dead_segments(mass).sum(axis=1).astype(np.float64)


def answer(asked: Asked) -> SegmentComparison:
    """The request `compare_segments`: of one snapshot of each run."""
    values = asked.values
    asked.progress(0.0, "Reading snapshots")
    other = open_run(values["other"])
    first, second = (
        Side(run, run.snapshot(values[step]))
        for run, step in ((asked.run, "step"), (other, "other_step"))
    )
    return compare_segments(first, second, values["method"], values["seed"], asked.progress)
