"""The visible list of controls, which are the twins of a run and the arms of a study. Adding one =
one line. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cpart_core.model.fusion.oracle import Oracle
from cpart_core.model.fusion.random import RandomRouter
from cpart_core.partition.contiguous import Contiguous
from cpart_core.partition.methods import METHODS
from cpart_core.partition.random import Random
from cpart_core.settings.effect import effective
from cpart_core.settings.run import Settings

Changes = dict[str, Any]
"""Flat setting name -> value."""


@dataclass(frozen=True)
class Twin:
    """A kind of control: the same text, batches and seed, with some settings changed."""

    name: str
    """a-z, 0-9 and -: it is part of the run's id."""
    help: str
    """What it tells, after 'The same model ...'."""
    changes: Callable[[Settings], Changes]


def always(changes: Changes) -> Callable[[Settings], Changes]:
    """Changes that do not depend on the settings."""
    return lambda _: dict(changes)


def active_size(settings: Settings) -> Changes:
    """A dense model with as many neurons as top-k computes for a token."""
    model = settings.model
    neurons = (
        model.shared_neurons
        + model.top_k * (model.num_neurons - model.shared_neurons) // model.num_segments
    )
    # Segments of a dense model are only drawn; what does not divide evenly is called shared.
    return {
        "execution": "dense",
        "num_neurons": neurons,
        "shared_neurons": neurons % model.num_segments,
    }


TWINS: dict[str, Twin] = {
    twin.name: twin
    for twin in (
        Twin(
            "dense",
            "without segments: what partitioning costs or gains",
            always({"execution": "dense"}),
        ),
        Twin(
            "random",
            "with neurons divided by chance: what the method is worth",
            always({"method": Random.name}),
        ),
        Twin(
            "router",
            "with a frozen random router: what learned fusion is worth",
            always({"fusion": RandomRouter.name}),
        ),
        Twin(
            "dense-active",
            "dense, as small as what top-k computes for a token: what the other neurons are worth",
            active_size,
        ),
        Twin(
            "oracle",
            "whose fusion is told the true context: what perfect routing by context would be worth",
            always({"fusion": Oracle.name}),
        ),
        Twin(
            "mixture",
            "with a learned router alone, an ordinary mixture: segments by position, no affinity,"
            " balance over each batch",
            always({"method": Contiguous.name, "affinity_weight": 0.0, "balance": "batch"}),
        ),
        Twin(
            "no-pull",
            "without the affinity regulariser, which draws fusion weights to the gradient affinity",
            always({"affinity_weight": 0.0}),
        ),
        *(
            Twin(kind.name, f"with segments from {kind.source}", always({"method": kind.name}))
            for kind in METHODS.values()
            if kind.reclusters
        ),
    )
}


def twin_kinds(text: str) -> tuple[str, ...]:
    """ "dense,random" -> ("dense", "random"); ValueError for a kind that is not known."""
    kinds = tuple(dict.fromkeys(kind.strip() for kind in text.split(",") if kind.strip()))
    unknown = sorted(set(kinds) - set(TWINS))
    if unknown:
        raise ValueError(f"Unknown twin {', '.join(unknown)}; allowed: {', '.join(TWINS)}.")
    return kinds


def twin_settings(settings: Settings, kind: str) -> Settings:
    """The settings of a twin. ValueError for an unknown kind, or one that these settings cannot
    have."""
    (kind,) = twin_kinds(kind)
    return settings.with_values(TWINS[kind].changes(settings)).check()


def check_twins(settings: Settings, kinds: Iterable[str]) -> None:
    """ValueError for a twin that these settings cannot have, or that would be the very same model
    and tell nothing."""
    for kind in kinds:
        twin = twin_settings(settings, kind)
        if effective(twin) == effective(settings):
            changes = ", ".join(
                f"{name} {value}" for name, value in TWINS[kind].changes(settings).items()
            )
            raise ValueError(
                f"The {kind} twin would be the very same model as the run itself: {changes} changes"
                " nothing here. Leave it out."
            )
