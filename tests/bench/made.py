"""Results as the parts of `bench all` save them, with numbers made up for tests."""

from __future__ import annotations

from typing import Any

from cpart_core.bench.all import joined
from cpart_core.bench.speed import Speed


def spread_of(median: float) -> dict[str, float]:
    return {"median": median, "low_quartile": median - 0.1, "high_quartile": median + 0.1, "n": 5}


def both(median: float, figure: float | None = None) -> dict[str, Any]:
    return {"wall": spread_of(median), "cpu": spread_of(median), "figure": figure}


def made_kernels() -> dict[str, Any]:
    return {
        "threads": 1,
        "256 float32": {
            "ratios": {"top-2 / ideal": both(1.1, 1.25)},
            "left_out": {"mixtral sonicmoe": "no GPU"},
            "kept_bytes": {"dense": 100, "top-2": 50, "soft": 104},
            "roof": {
                "gflops": {
                    "wall": {"x W^T": 90.0, "h W": 100.0},
                    "cpu": {"x W^T": 95.0, "h W": 102.0},
                },
                "copy_gb": {"wall": 10.0, "cpu": 11.0},
                "shares": {
                    "top-2": {
                        "wall": spread_of(0.5),
                        "cpu": spread_of(0.6),
                        "bound_by": "products",
                    }
                },
            },
        },
    }


def made_parts() -> dict[str, Any]:
    line = {
        "name": "top-2",
        "ideal": False,
        "x": [256.0, 512.0],
        "y": [1.0, 2.0],
        "low": [0.9, 1.9],
        "high": [1.1, 2.1],
    }
    ideal = {
        "name": "ideal",
        "ideal": True,
        "x": [256.0, 512.0],
        "y": [0.5, 1.0],
        "low": [],
        "high": [],
    }
    return {
        "kernels": made_kernels(),
        "train": {
            "train": {
                "precision": "torch.bfloat16",
                "ratios": {"dense / nanoGPT": both(0.9, 0.83)},
                "kept_bytes": {"dense": 8, "top-2": 4},
                "parameters": {"dense": 10, "nanoGPT": 11},
            }
        },
        "generate": {"threads": 1, "small": {"1": {"time_ratios": {"carved / dense": both(0.4)}}}},
        "maps": {
            "PCA, 1 of 8 steps": both(0.3),
            "neurons": 20_000,
            "contexts": 20,
            "faithfulness": {"PCA, 1 of 8 steps": 0.1},
        },
        "scale": {
            "train": {
                "crews": {
                    "1": {"processes": 1, "speed": spread_of(1.0), "cpu": 1.0},
                    "2 ddp": {"processes": 2, "speed": spread_of(1.01), "cpu": 0.9},
                }
            }
        },
        "app": {
            "first visit of a fresh server": 1.5,
            "page change, to gradients": spread_of(0.6),
            "step slider, gradients": spread_of(0.4),
            "made run": {"records": 50_000, "neurons": 5_000, "seed": 0},
        },
        "curves": {
            "curves": [
                {
                    "part": "curves",
                    "title": "Layer against tokens",
                    "x_title": "tokens",
                    "y_title": "ms",
                    "lines": [line, ideal],
                }
            ]
        },
    }


def made_speed(failed: dict[str, str] | None = None, quick: bool = False) -> Speed:
    failed = {"curves": "it failed"} if failed is None else failed
    return joined(
        made_parts(),
        failed,
        {"kernels": 60.0, "train": 60.0},
        quick,
        "python -m cpart_core bench all",
    )
