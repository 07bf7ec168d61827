"""A mean with its 95 % interval over seeds, paired. Standard library only, because pages compute it too."""

from __future__ import annotations

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
"""Student's t at 0.975 for 1, 2, ... 30 degrees of freedom; beyond them the last, which is a little too wide."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval (Student's t). NaN ends where there are fewer than two values."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}] (n = {self.n})"


def interval(values: Sequence[float]) -> Interval:
    """ValueError without any value."""
    if not values:
        raise ValueError("An interval needs at least one value.")
    if len(values) < 2:
        return Interval(values[0], float("nan"), float("nan"), len(values))
    half = T_QUANTILES[min(len(values) - 1, len(T_QUANTILES)) - 1] * stdev(values) / len(values) ** 0.5
    return Interval(mean(values), mean(values) - half, mean(values) + half, len(values))
