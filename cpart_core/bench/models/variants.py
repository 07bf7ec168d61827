"""The models that `bench train` compares at each shape, as settings, and the shares of each other's
time that they are to reach.

Shape `train` (6 layers, width 256, context 256): dense, soft and top-2 of ours, each also compiled
by layers, dense and top-2 by torch's operations instead of compiled CPU kernels, dense in fp32;
other people's models join them. Shape `batch-32`: dense, soft and top-2 of that model with 8,192
tokens a step instead of 2,048, where what top-2 pays once a step weighs less.

Shapes `quick` and `large`: dense: the same model with ordinary feed-forward layers, unwatched.
bare: partitioned, unwatched. signatures: also measures gradient signatures as often as before the
segments freeze. validating: also reads the validation rows, as any trainer does. live: also makes
snapshots and writes every record to disk, as a run does. frozen: as live, after the segments are
frozen (signatures a quarter as often).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cpart_core.settings.presets import preset
from cpart_core.settings.run import Settings

LARGE = {
    "num_layers": 6,
    "width": 256,
    "num_heads": 8,
    "num_kv_heads": 8,
    "num_neurons": 1024,
    "shared_neurons": 256,
    "context_length": 128,
    "batch_size": 16,
    "evaluate_every": 20,
    "snapshot_every": 20,
}
BESIDE_PEERS = {
    **LARGE,
    "shared_neurons": 0,
    "context_length": 256,
    "batch_size": 8,
    "evaluate_every": 5,
    "snapshot_every": 5,
}
"""No shared segment, as other people's layers have none. A block is evaluate_every steps."""
SHAPES: dict[str, Settings] = {
    "quick": preset("quick"),
    "large": Settings().with_values(LARGE),
    "train": Settings().with_values(BESIDE_PEERS),
    "batch-32": Settings().with_values(BESIDE_PEERS | {"batch_size": 32}),
}

NEVER = 1_000_000
PARTITIONED = {
    "steps": NEVER,
    "first_step": 2,
    "fusion_step": 2,
    "every": 2_000_000,
    "freeze_step": 5_000_000,
    "warmup_steps": 0,
}
"""Partitioned from the third step on and never again within the measurement, but not frozen."""
UNWATCHED = {"signature_every": 10_000, "evaluate_every": NEVER, "snapshot_every": NEVER}
WATCHING: dict[str, dict[str, Any]] = {
    "dense": {**PARTITIONED, **UNWATCHED, "execution": "dense"},
    "bare": {**PARTITIONED, **UNWATCHED},
    "signatures": {**PARTITIONED, **UNWATCHED, "signature_every": None},
    "validating": {**PARTITIONED, "snapshot_every": NEVER},
    "live": PARTITIONED,
    "frozen": {**PARTITIONED, "every": 0, "freeze_step": 2},
}
WITH_PEERS: dict[str, dict[str, Any]] = {
    "dense": {**PARTITIONED, **UNWATCHED, "execution": "dense"},
    "soft": {**PARTITIONED, **UNWATCHED, "execution": "soft"},
    "top-2": {**PARTITIONED, **UNWATCHED},
    "dense without passes": {**PARTITIONED, **UNWATCHED, "execution": "dense", "passes": False},
    "top-2 without passes": {**PARTITIONED, **UNWATCHED, "passes": False},
    "dense fp32": {**PARTITIONED, **UNWATCHED, "execution": "dense", "precision": "fp32"},
    "dense compiled": {**PARTITIONED, **UNWATCHED, "execution": "dense", "compile": "layers"},
    "soft compiled": {**PARTITIONED, **UNWATCHED, "execution": "soft", "compile": "layers"},
    "top-2 compiled": {**PARTITIONED, **UNWATCHED, "compile": "layers"},
}
VARIANTS = {"quick": WATCHING, "large": WATCHING, "train": WITH_PEERS, "batch-32": WITH_PEERS}
WRITES_RECORDS = ("live", "frozen")
NANOGPT = "nanoGPT"
MIXTURES = ("mixtral", "olmoe")
PUBLIC = ("llama", *MIXTURES)
"""Of `transformers`."""
WATCHED_GROUPS = (("dense", "bare"), ("bare", "signatures", "validating", "live", "frozen"))
GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "quick": WATCHED_GROUPS,
    "large": WATCHED_GROUPS,
    "train": (
        ("dense", "soft", "top-2", "dense fp32", "dense without passes", "top-2 without passes"),
        ("dense", "nanoGPT", "llama"),
        (
            "dense",
            "dense compiled",
            "nanoGPT compiled",
            "soft",
            "soft compiled",
            "top-2",
            "top-2 compiled",
        ),
        ("dense", "top-2", *MIXTURES),
    ),
    "batch-32": (("dense", "soft", "top-2"),),
}
"""Those that take turns in one process; a family of mixtures stands for all its implementations."""
WATCHED_RATIOS = (
    ("bare", "dense", 1.0),
    ("signatures", "bare", 1.03),
    ("validating", "signatures", None),
    ("live", "validating", 1.01),
    ("frozen", "bare", None),
)
RATIOS: dict[str, tuple[tuple[str, str, float | None], ...]] = {
    "quick": WATCHED_RATIOS,
    "large": WATCHED_RATIOS,
    "batch-32": (("top-2", "dense", 1 / 1.15), ("soft", "dense", None)),
    "train": (
        ("dense", "nanoGPT", 1 / 1.2),
        ("dense", "nanoGPT compiled", 1.0),
        ("dense", "llama", None),
        ("top-2", "dense", 1 / 1.15),
        ("soft", "dense", None),
        ("dense", "dense without passes", None),
        ("top-2", "top-2 without passes", None),
        ("dense", "dense fp32", 0.5),
        ("dense compiled", "nanoGPT compiled", 1.0),
        ("dense compiled", "dense", None),
        ("soft compiled", "soft", None),
        ("top-2 compiled", "top-2", None),
    ),
}
"""(ours, theirs, the share of their time to reach at most); None: no figure was set."""


def wanted_ratios(shape: str, measured: Collection[str]) -> list[tuple[str, str, float | None]]:
    """Those whose two sides were measured; top-2 also against every mixture of other people, the
    quickest of which has to be beaten."""
    named = [pair for pair in RATIOS[shape] if pair[0] in measured and pair[1] in measured]
    return named + [("top-2", name, None) for name in measured if name.startswith(MIXTURES)]
