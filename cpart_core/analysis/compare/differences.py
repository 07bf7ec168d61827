"""What differs between A and B, as one list, largest first, and in words. Knows results and runs,
not how they were made. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cpart_core.analysis.segments.verdict import headline, most_possible
from cpart_core.records.comparison import LossComparison, SegmentComparison
from cpart_core.records.specialization import Specialization
from cpart_core.runs.folder import Run
from cpart_core.settings.run import Settings
from cpart_core.wording.percent import POINTS, number, percent, points

SAME = 1e-12
TOLD = {"yes": "beyond chance", "no": "within chance", "": "no interval"}


@dataclass(frozen=True)
class Difference:
    """One number that A and B do not share."""

    what: str
    unit: str
    first: float
    """A's; NaN where the number is of the pair, such as the share of neurons that moved."""
    second: float
    difference: float
    """B - A; of the pair: how far apart they are."""
    low: float
    """95 % interval of the difference; NaN without one."""
    high: float
    size: float
    """0 to 1, for the order: the difference as a share of the greater value, or of what is
    possible."""
    note: str = ""

    @property
    def beyond(self) -> str:
        """yes, no, or nothing where there is no interval: whether the interval leaves out 0."""
        if not np.isfinite([self.low, self.high]).all():
            return ""
        return "yes" if self.low > 0 or self.high < 0 else "no"

    @property
    def words(self) -> str:
        """The difference as a sentence."""
        if np.isnan(self.first):
            return (
                f"{capital(self.what)}:"
                f" {amount(self.difference, self.unit)}{self.note and f' ({self.note})'}."
            )
        way = "more" if self.difference > 0 else "less"
        if self.unit in ("nats per token", "bits per byte", "share"):
            way = "higher" if self.difference > 0 else "lower"
        if self.unit in ("nats per token", "bits per byte"):
            if self.beyond != "no":
                way += ", so worse" if self.difference > 0 else ", so better"
        limits = (
            ""
            if not self.beyond
            else f" (95 %: {signed(self.low, self.unit)} to {signed(self.high, self.unit)})"
        )
        doubt = ", which chance alone can do" if self.beyond == "no" else ""
        both = f"{amount(self.first, self.unit)} in A, {amount(self.second, self.unit)} in B"
        return (
            f"{capital(self.what)}: {both}: B is {apart(self.difference, self.unit)}"
            f" {way}{limits}{doubt}."
        )


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def amount(value: float, unit: str) -> str:
    """A number with its unit."""
    if unit == "share":
        return percent(value)
    return f"{value:,.0f} {unit}" if unit in ("parameters", "segments") else f"{value:.4f} {unit}"


def signed(value: float, unit: str) -> str:
    return points(value) if unit == "share" else f"{value:+.4f}"


def apart(difference: float, unit: str) -> str:
    """How far two numbers of a unit lie apart; two shares in percentage points, since 36 % and 48.5
    % are not 12.5 % apart."""
    return (
        f"{number(abs(difference))} {POINTS}" if unit == "share" else amount(abs(difference), unit)
    )


def settings_that_differ(first: Settings, second: Settings) -> list[tuple[str, str, str, str]]:
    """(group, setting, A's, B's) of those that are not equal, in the order of the settings."""
    others = {item.name: value for _, item, value in second.items()}
    return [
        (group, item.name, shown(value), shown(others[item.name]))
        for group, item, value in first.items()
        if value != others[item.name]
    ]


def shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "all"
    return "nothing" if value == "" else f"{value:g}" if isinstance(value, float) else str(value)


def corpus_words(first: Run, second: Run) -> str:
    """Whether both read the same text."""
    if first.id == second.id:
        return "One run at two steps: the same corpus."
    if first.info.fingerprint and first.info.fingerprint == second.info.fingerprint:
        return (
            f"The same corpus (fingerprint {first.info.fingerprint[:8]}): losses are paired"
            " document by document."
        )
    names = [run.info.fingerprint[:8] or "not built yet" for run in (first, second)]
    same = (
        "the same sources, divided by other seeds"
        if first.settings.corpus == second.settings.corpus
        else "other text"
    )
    return (
        f"Not the same corpus (fingerprints {names[0]} and {names[1]}): {same}. Only documents held"
        " out from both are compared."
    )


def differences(
    first: Run,
    second: Run,
    segments: SegmentComparison | None,
    losses: LossComparison | None,
    meters: tuple[Specialization, Specialization] | None,
    recorded: Sequence[Difference] = (),
) -> list[Difference]:
    """All that differs: what is surely there (and what has no interval) by size, then what chance
    alone can do. Leaves out what is equal."""
    sizes = [float(run.info.num_parameters) for run in (first, second)]
    found = [pair_of("parameters", "parameters", sizes[0], sizes[1])] if all(sizes) else []
    found += loss_differences(losses) if losses is not None else list(recorded)
    if meters is not None:
        found.append(information_difference(*meters))
    if segments is not None:
        found += segment_differences(segments)
    found = [one for one in found if np.isfinite(one.difference) and abs(one.difference) > SAME]
    return sorted(found, key=lambda one: (one.beyond == "no", -one.size))


def pair_of(
    what: str,
    unit: str,
    first: float,
    second: float,
    low: float = np.nan,
    high: float = np.nan,
    most: float = 0.0,
) -> Difference:
    """A number of A and of B; `most`: what the difference could be at most (0: the greater of the
    two)."""
    most = most or max(abs(first), abs(second))
    return Difference(
        what,
        unit,
        first,
        second,
        second - first,
        low,
        high,
        abs(second - first) / most if most else 0.0,
    )


def loss_differences(losses: LossComparison) -> list[Difference]:
    """The whole, then each context (only the whole where there is one context)."""
    names = [*(f"{losses.name} of {name}" for name in losses.contexts), losses.name]
    places = [len(names) - 1, *(range(len(names) - 1) if len(losses.contexts) > 1 else ())]
    values = zip(
        names, losses.loss_by_context, losses.other_by_context, losses.low, losses.high, strict=True
    )
    every = [pair_of(name, losses.unit, *map(float, numbers)) for name, *numbers in values]
    return [every[place] for place in places]


def recorded_losses(first: Run, first_step: int, second: Run, second_step: int) -> list[Difference]:
    """The sampled validation loss that training itself noted at or before the steps: no interval,
    since it kept no documents.

    Empty where one has none yet, and where the two validated on other text or in other tokens.
    """
    if (
        first.info.fingerprint != second.info.fingerprint
        or first.info.contexts != second.info.contexts
    ):
        return []
    if first.settings.training.evaluation_rows != second.settings.training.evaluation_rows:
        return []
    rows = []
    for run, step in ((first, first_step), (second, second_step)):
        table = run.evaluations()
        place = int(np.searchsorted(table.step, step, side="right")) - 1
        if place < 0:
            return []
        rows.append([*table.loss_by_context[place].tolist(), float(table.loss[place])])
    names = [
        *(f"sampled validation loss of {name}" for name in first.info.contexts),
        "sampled validation loss",
    ]
    return [pair_of(name, "nats per token", a, b) for name, a, b in zip(names, *rows, strict=True)]


def information_difference(first: Specialization, second: Specialization) -> Difference:
    """I(S;C), mean over layers. The interval is from the far ends of both own intervals: wider than
    a paired one would be."""
    chosen = all(headline(one) is one.choice for one in (first, second))
    uses = [one.choice if chosen else one.mass for one in (first, second)]
    a, b = (use.context for use in uses)
    most = max(most_possible(one, use) for one, use in zip((first, second), uses, strict=True))
    low, high = float(b.low[-1] - a.high[-1]), float(b.high[-1] - a.low[-1])
    found = pair_of(
        "I(S;C), mean over layers", "bits", float(a.value[-1]), float(b.value[-1]), low, high, most
    )
    return replace(found, note="of the choice" if chosen else "of the fusion mass")


def segment_differences(segments: SegmentComparison) -> list[Difference]:
    """Dead segments, committee share, and how far the two partitions lie apart."""
    found = []
    if np.isfinite(segments.committee).all():
        a, b = segments.committee.mean(axis=1).tolist()
        found.append(pair_of("committee share, mean over layers", "share", a, b, most=1.0))
        a, b = segments.dead.sum(axis=1).tolist()
        found.append(
            pair_of("dead segments", "segments", a, b, most=float(max(segments.match.size, 1)))
        )
    apart = [("neurons whose segment changed after matching", float(segments.moved[-1]), "")]
    compared = int(segments.compared.sum())
    if compared:
        share = float(segments.changed.sum()) / compared
        apart.append(
            (
                "contexts whose strongest segment changed",
                share,
                f"{int(segments.changed.sum())} of {compared}, over all layers",
            )
        )
    return found + [
        Difference(what, "share", np.nan, np.nan, share, np.nan, np.nan, share, note)
        for what, share, note in apart
    ]


def headline_words(losses: LossComparison) -> str:
    """One sentence on the loss as a whole."""
    value, low, high = float(losses.difference[-1]), float(losses.low[-1]), float(losses.high[-1])
    n = (
        f"all {len(losses.titles)} validation documents"
        if losses.whole
        else f"{len(losses.titles)} documents held out from both"
    )
    if abs(value) <= SAME:
        return f"A and B have the same loss on {n}."
    limits = f"{value:+.4f} {losses.unit}" + (
        f", 95 %: {low:+.4f} to {high:+.4f}" if np.isfinite(low) else ", no interval"
    )
    if not np.isfinite(low) or low <= 0 <= high:
        return f"A and B are not told apart by the loss on {n} (B less A: {limits})."
    return f"{'A' if value > 0 else 'B'} predicts {n} better (B less A: {limits})."


def match_words(result: SegmentComparison) -> str:
    """How segments were matched and how good that is against chance."""
    if result.method == "none":
        return f"Segments are not matched. {result.why}"
    above = int((result.agreement[:-1] > result.null_high[:-1] + 1e-9).sum())
    layers = len(result.agreement) - 1
    kind = (
        "of the segments' neurons lie in matched segments"
        if result.method == "neurons"
        else "is the mean correlation of matched segments"
    )
    value, chance = (
        percent(x) if result.method == "neurons" else f"{x:.2f}"
        for x in (result.agreement[-1], result.null_mean[-1])
    )
    verb = "would by chance" if result.method == "neurons" else "by chance"
    return (
        f"{result.why} {value} {kind}, {chance} {verb}: beyond chance in {above} of {layers}"
        " layers."
    )


def difference_rows(found: Sequence[Difference]) -> list[dict[str, str | float]]:
    """One row each, for the terminal and the CSV."""
    return [
        {
            "what": one.what,
            "a": one.first,
            "b": one.second,
            "b_less_a": one.difference,
            "low": one.low,
            "high": one.high,
            "unit": one.unit,
            "told_apart": TOLD[one.beyond],
            "size": one.size,
        }
        for one in found
    ]
