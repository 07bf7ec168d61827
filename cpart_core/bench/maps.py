"""`bench maps`: layouts of 20,000 neurons, their figures, and balanced clustering from small to
65,536 neurons.

Wall time and, beside it, CPU time of this process over all of its threads, which other programs
disturb less. What can be repeated takes turns, and medians are shown; the first UMAP of the
process, which compiles, is there once. Signatures are invented and planted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cpart_core.bench.harness.turns import take_turns
from cpart_core.bench.report.save import save, spread
from cpart_core.files.paths import given_path

NEURONS, CONTEXTS, STEPS = 20_000, 20, 8
CURVE = ((1024, 8), (4096, 16), (16384, 32), (65536, 64))
"""(neurons, segments) of the clusterings."""
FEATURES = 64
SEED = 0

Work = Callable[[], Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--repeats", type=int, default=3, help="repeats of each measurement (default 3)"
    )
    parser.add_argument(
        "--neurons", type=int, default=NEURONS, help=f"points of the layouts (default {NEURONS:,})"
    )
    parser.add_argument(
        "--most",
        type=int,
        default=CURVE[-1][0],
        help="neurons of the largest clustering (default 65,536)",
    )
    parser.add_argument(
        "--out", type=given_path, help="folder of the JSON file (default bench-results)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core bench maps",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.repeats < 1 or arguments.neurons < 100 or arguments.most < CURVE[0][0]:
        raise ValueError(
            f"Give --repeats of 1 or more, --neurons of 100 or more and --most of {CURVE[0][0]:,}"
            " or more."
        )
    from cpart_core.analysis.maps.plane import lay_out

    stages = made_stages(arguments.neurons)
    results: dict[str, Any] = {
        "UMAP, first in the process (compiles)": once(
            lambda: lay_out([stages[-1][:50]], "umap", SEED)
        )
    }
    faithfulness: dict[str, float] = {}

    def layout(name: str, method: str, count: int) -> Work:
        def work() -> None:
            faithfulness[name] = lay_out(stages[-count:], method, SEED).faithfulness

        return work

    kinds = {
        f"{method.upper()}, {count} of {STEPS} steps": (method, count)
        for method in ("pca", "umap")
        for count in (1, STEPS)
    }
    works = {name: layout(name, *kind) for name, kind in kinds.items()}
    works |= {
        f"clustering, {N:,} into {S}": clustering(N, S) for N, S in CURVE if N <= arguments.most
    }
    results |= in_turns(works, arguments.repeats)
    for name, found in results.items():
        kept = f"   neighbours kept {faithfulness[name]:.3f}" if name in faithfulness else ""
        print(
            f"{name:40} {found['wall']['median']:7.2f} s   CPU {found['cpu']['median']:7.2f}"
            f" s{kept}",
            flush=True,
        )
    results |= {
        "neurons": arguments.neurons,
        "contexts": CONTEXTS,
        "features": FEATURES,
        "seed": SEED,
        "faithfulness": faithfulness,
    }
    save("maps", results, arguments.out)
    return 0


def in_turns(works: dict[str, Work], repeats: int) -> dict[str, Any]:
    """Every work `repeats` times, forwards and backwards. -> {name: {"wall": spread, "cpu":
    spread}}, seconds"""
    return {
        name: {"wall": spread(times.wall), "cpu": spread(times.cpu)}
        for name, times in take_turns(works, repeats, warm=0).items()
    }


def once(work: Work) -> dict[str, Any]:
    found: dict[str, Any] = in_turns({"once": work}, 1)["once"]
    return found


def made_stages(neurons: int) -> list[np.ndarray]:
    """Features [P, C] of STEPS steps: neurons lean to the contexts of one of 60 profiles, or lie
    between two; earlier steps are noisier."""
    from cpart_core.analysis.maps.plane import log_features

    random = np.random.default_rng(SEED)
    profile = np.exp(1.2 * random.normal(size=(60, CONTEXTS))) * np.where(
        random.random((60, CONTEXTS)) < 0.2, 5.0, 0.4
    )
    one, other = random.integers(0, 60, (2, neurons))
    share = random.beta(0.5, 0.5, (neurons, 1))
    signature = (profile[one] * share + profile[other] * (1 - share)) * random.gamma(
        6.0, 1 / 6, (neurons, CONTEXTS)
    ) + 0.02
    features = log_features(signature / signature.mean(axis=0))
    return [
        (features + 0.05 * noise * random.normal(size=features.shape)).astype(np.float32)
        for noise in reversed(range(STEPS))
    ]


def clustering(neurons: int, segments: int) -> Work:
    """Balanced k-means of neurons around centres of unequal size, so that balance has something to
    do."""
    from cpart_core.partition.balanced import balanced_kmeans

    random = np.random.default_rng(SEED)
    centre = 0.5 * random.normal(size=(segments, FEATURES))
    lean = random.choice(segments, neurons, p=random.dirichlet(np.full(segments, 3.0)))
    features = centre[lean] + random.normal(size=(neurons, FEATURES))
    return lambda: balanced_kmeans(features, segments, SEED)
