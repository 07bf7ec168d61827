"""One arm of a study with its twins: what its figures are compared with. Found by settings,
whatever the arms are called."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cpart_core.settings.run import Settings
from cpart_core.study.interval import Interval, interval
from cpart_core.study.measures import scale_of
from cpart_core.study.result import Study


@dataclass(frozen=True)
class Design:
    """One arm of a study and the arms that it is compared with; "" where the study has none."""

    study: Study
    arm: str
    random: str
    """The same settings, neurons divided by chance."""
    dense: str
    """As many neurons without segments."""

    @property
    def settings(self) -> Settings:
        return self.study.arms[self.arm]

    @property
    def kind(self) -> str:
        """Which of the two I counts: of the choice where only the chosen segments are computed,
        else of the fusion mass."""
        return "choice" if self.settings.model.execution == "topk" else "mass"

    def values(self, measure: str, arm: str | None = None) -> dict[int, float]:
        """Seed -> value of the arm itself or of another one."""
        return self.study.values(self.arm if arm is None else arm, measure)

    def over(self, measure: str, arm: str | None = None) -> Interval | None:
        """Mean and interval over seeds; None where not measured."""
        values = self.values(measure, arm)
        return interval(list(values.values()), scale_of(measure)) if values else None


def designs(study: Study) -> tuple[str, ...]:
    """Arms that have segments at work, the reference first."""
    found = [arm for arm, settings in study.arms.items() if settings.model.execution != "dense"]
    return tuple(sorted(found, key=lambda arm: arm != study.reference))


def design_of(study: Study, arm: str) -> Design:
    """The arm with its random and its dense twin, found by their settings."""
    settings = study.arms[arm]
    by_chance = settings.with_values({"method": "random"})
    random = next(
        (name for name, other in study.arms.items() if other == by_chance and name != arm), ""
    )
    return Design(study, arm, random, dense_twin(study.arms, settings))


def dense_twin(arms: Mapping[str, Settings], ours: Settings) -> str:
    """The dense arm as large as `ours`, the one named so where there are several; "" where there is
    none."""
    found = [
        name
        for name, other in arms.items()
        if other.model.execution == "dense" and same_size(other, ours)
    ]
    return "dense" if "dense" in found else next(iter(found), "")


def same_size(one: Settings, other: Settings) -> bool:
    return all(
        getattr(one.model, name) == getattr(other.model, name)
        for name in ("num_layers", "width", "num_neurons")
    )


def ceiling(design: Design) -> float:
    """The greatest I(S;C) there can be, bits: log2 C, and for a choice of k of S segments
    log2(S/k): evenly used, always the same k."""
    model = design.settings.model
    of_segments = model.num_segments / (model.top_k if design.kind == "choice" else 1)
    return math.log2(max(1.0, min(float(len(design.study.contexts)), of_segments)))
