"""A mean with its 95 % interval over seeds, paired, inside the range of what is estimated. Standard
library only, because pages compute it too.

Student's interval is taken on a scale without ends (log of what is above an end, logit between
two), by the delta method: g(mean) with the standard error times g'(mean), turned back. So the mean
stays the mean, lies inside, and no end is ever reached by what varies. Simulated
(tests/study/test_interval.py): at three values, coverage is as near 95 % as that of the plain
interval or nearer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

# fmt: off
T_QUANTILES = (
    12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139,
    2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963,
    2.079614, 2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272,
)
# fmt: on
"""Student's t at 0.975 for 1, 2, ... 30 degrees of freedom; beyond them the last, which is a little
too wide."""
NORMAL_QUANTILE = 1.959964


@dataclass(frozen=True)
class Scale:
    """The numbers that a measure can be, its ends included."""

    low: float = -math.inf
    high: float = math.inf

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def clamped(self, value: float) -> float:
        """Beyond an end by rounding: that end."""
        return min(max(value, self.low), self.high)

    def of_difference(self) -> Scale:
        """Where the difference of two such numbers lies."""
        return Scale(self.low - self.high, self.high - self.low)

    def of_relative_difference(self) -> Scale:
        """(a - b) / |b|: not below -1 where nothing is below 0."""
        return CHANGE if self.low >= 0 else REAL

    def around(self, middle: float, error: float, quantile: float) -> tuple[float, float]:
        """The interval of a mean with its standard error."""
        below, above = middle - self.low, self.high - middle
        # the same each time; at an end of the range always so
        if error == 0.0 or not (below and above):
            return middle, middle
        if math.isinf(below) and math.isinf(above):
            return middle - quantile * error, middle + quantile * error
        if math.isinf(above):  # log of the distance from the lower end
            factor = bounded_exp(quantile * error / below)
            return self.low + below / factor, self.low + below * factor
        if math.isinf(below):
            factor = bounded_exp(quantile * error / above)
            return self.high - above * factor, self.high - above / factor
        width = self.high - self.low  # logit of the place between the ends
        factor = bounded_exp(quantile * error * width / (below * above))
        return self.low + width * below / (
            below + above * factor
        ), self.low + width * below * factor / (below * factor + above)


REAL = Scale()
POSITIVE = Scale(0.0)
SHARE = Scale(0.0, 1.0)
CHANGE = Scale(-1.0)
"""A relative change: nothing can fall by more than all of it."""
COSINE = Scale(-1.0, 1.0)


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval. NaN ends where there are fewer than two values."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}] (n = {self.n})"

    @property
    def steady(self) -> bool:
        """Every value was the same."""
        return self.high - self.low < 1e-9


def interval(values: Sequence[float], scale: Scale = REAL) -> Interval:
    """Of the mean of independent values of a scale. ValueError without any value."""
    if not values:
        raise ValueError("An interval needs at least one value.")
    values = [scale.clamped(value) for value in values]
    if len(values) < 2:
        return Interval(values[0], math.nan, math.nan, len(values))
    middle = scale.clamped(mean(values))
    error = stdev(values) / len(values) ** 0.5
    return Interval(middle, *scale.around(middle, error, t_quantile(len(values))), len(values))


def t_quantile(n: int) -> float:
    """Standard errors on each side of the mean of n values."""
    return T_QUANTILES[min(n - 1, len(T_QUANTILES)) - 1]


def how_little(n: int) -> str:
    """What so few seeds can say, in a sentence; nothing for ten or more."""
    if n < 2:
        return (
            "One seed says nothing of what another would give: there is no interval, and nothing is"
            " decided."
        )
    if n >= 10:
        return ""
    wider = t_quantile(n) / NORMAL_QUANTILE
    least = t_quantile(n) / n**0.5
    count = SMALL_NUMBERS.get(n, str(n))
    return (
        f"{count} seeds say little: an interval is {wider:.1f} times as wide as if the spread"
        " between seeds were known, and a difference is decided only where it is more than"
        f" {least:.1f} times that spread. Not decided means not known; it does not mean equal."
    )


SMALL_NUMBERS = {
    2: "Two",
    3: "Three",
    4: "Four",
    5: "Five",
    6: "Six",
    7: "Seven",
    8: "Eight",
    9: "Nine",
}


def bounded_exp(value: float) -> float:
    """exp, as large as a float can be."""
    return math.exp(min(value, 700.0))
