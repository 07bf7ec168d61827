"""The parts' own results -> what the Speed page shows: numbers with their figures, curves, and what
was left out."""

from __future__ import annotations

import math
from typing import Any

from cpart_core.bench.speed import BANDWIDTH, OF_ROOF, RATE, READER, Curve, LeftOut, Line, Measured

UMAP_SECONDS, PCA_SECONDS = 3.0, 0.5
SPEED_OF_TWO = 0.9
SLIDER_SECONDS = 0.2
KEPT = (("top-2", 1.0), ("soft", 1.05))
"""Bytes kept for the backward pass, as a share of dense."""


def measured_of(parts: dict[str, Any]) -> tuple[Measured, ...]:
    makers = {
        "kernels": kernels,
        "train": training,
        "generate": generation,
        "maps": maps,
        "scale": scale,
        "app": pages,
    }
    return tuple(
        item for name, make in makers.items() if name in parts for item in make(parts[name])
    )


def compared(
    part: str,
    where: str,
    what: str,
    found: dict[str, Any],
    figure: float | None,
    at_most: bool = True,
) -> Measured:
    """A ratio of times with its wall and CPU spread."""
    return number(part, where, what, "time", found["wall"], found["cpu"]["median"], figure, at_most)


def number(
    part: str,
    where: str,
    what: str,
    unit: str,
    spread: dict[str, Any],
    cpu: float,
    figure: float | None,
    at_most: bool = True,
) -> Measured:
    bound = math.nan if figure is None else float(figure)
    low, high = spread["low_quartile"], spread["high_quartile"]
    return Measured(
        part, where, what, unit, spread["median"], low, high, spread["n"], cpu, bound, at_most
    )


def kernels(raw: dict[str, Any]) -> list[Measured]:
    """The feed-forward layer by itself, forward and backward."""
    found = []
    for name, results in shapes(raw):
        width, _, precision = name.partition(" ")
        where = f"layer, width {width}, {precision}"
        found += [
            compared("kernels", where, what, item, item["figure"])
            for what, item in results["ratios"].items()
        ]
        found += kept("kernels", f"layer, width {width}, float32", results["kept_bytes"])
        found += under_roof(where, results["roof"]) if "roof" in results else []
    return unique(found)


def under_roof(where: str, roof: dict[str, Any]) -> list[Measured]:
    """The roof itself, and the share of it that each layer reaches."""
    rates = {clock: max(by_product.values()) for clock, by_product in roof["gflops"].items()}
    tops = {RATE: ("best product", rates), BANDWIDTH: ("copy", roof["copy_gb"])}
    found = [
        Measured(
            "kernels",
            where,
            what,
            unit,
            top["wall"],
            top["wall"],
            top["wall"],
            1,
            top.get("cpu", math.nan),
            math.nan,
            False,
        )
        for unit, (what, top) in tops.items()
    ]
    for name, share in roof["shares"].items():
        cpu = share["cpu"]["median"] if "cpu" in share else math.nan
        found.append(
            number("kernels", where, name, OF_ROOF, share["wall"], cpu, None, at_most=False)
        )
    return found


def training(raw: dict[str, Any]) -> list[Measured]:
    """A whole step."""
    found = []
    for shape, results in shapes(raw):
        where = f"step, shape {shape}, {results['precision'].removeprefix('torch.')}"
        found += [
            compared("train", where, what, item, item["figure"])
            for what, item in results["ratios"].items()
        ]
        found += kept("train", where, results.get("kept_bytes", {}))
        found += parameters(where, results.get("parameters", {}))
    return found


def generation(raw: dict[str, Any]) -> list[Measured]:
    found = []
    for shape, by_texts in shapes(raw):
        for texts, results in by_texts.items():
            where = f"writing, shape {shape}, {texts} at once"
            found += [
                compared("generate", where, what, item, None)
                for what, item in results["time_ratios"].items()
            ]
    return found


def maps(raw: dict[str, Any]) -> list[Measured]:
    """Seconds by themselves; the first UMAP of a process has no figure, since it compiles."""
    found = []
    for name, item in shapes(raw):
        if "wall" not in item:
            continue
        figure = (
            UMAP_SECONDS
            if name.startswith("UMAP, 1 of")
            else PCA_SECONDS
            if name.startswith("PCA, 1 of")
            else None
        )
        where = (
            f"{raw['neurons']:,} neurons, {raw['contexts']} contexts" if "of" in name else "maps"
        )
        found.append(number("maps", where, name, "s", item["wall"], item["cpu"]["median"], figure))
    return found


def scale(raw: dict[str, Any]) -> list[Measured]:
    """tokens/s of several processes as a share of one's with all threads."""
    found = []
    for shape, results in shapes(raw):
        for name, group in results["crews"].items():
            if group["processes"] > 1:
                figure = SPEED_OF_TWO if group["processes"] == 2 else None
                what = f"{name} / one process"
                found.append(
                    number(
                        "scale",
                        f"step, shape {shape}",
                        what,
                        "speed",
                        group["speed"],
                        group["cpu"],
                        figure,
                        at_most=False,
                    )
                )
    return found


def pages(raw: dict[str, Any]) -> list[Measured]:
    """Seconds that a person waits in the browser; the clock on the wall alone counts there."""
    made = raw["made run"]
    where = f"pages, {made['neurons']:,} neurons, {made['records']:,} records"
    return [
        number(
            "app",
            where,
            name,
            "s",
            item,
            math.nan,
            SLIDER_SECONDS if name.startswith("step slider") else None,
        )
        for name, item in shapes(raw)
        if "median" in item
    ]


def kept(part: str, where: str, sizes: dict[str, int]) -> list[Measured]:
    """Counted, not timed: no spread."""
    shares = {
        name: (sizes[name] / sizes["dense"], figure)
        for name, figure in KEPT
        if name in sizes and sizes.get("dense")
    }
    return [
        Measured(
            part,
            where,
            f"{name} / dense",
            "bytes kept for backward",
            share,
            share,
            share,
            1,
            math.nan,
            figure,
            True,
        )
        for name, (share, figure) in shares.items()
    ]


def parameters(where: str, counts: dict[str, int]) -> list[Measured]:
    """Each model's parameters as a share of the dense one's, so that like is seen to be compared
    with like."""
    shares = {name: count / counts["dense"] for name, count in counts.items() if name != "dense"}
    return [
        Measured(
            "train", where, f"{name} / dense", "parameters", x, x, x, 1, math.nan, math.nan, True
        )
        for name, x in shares.items()
    ]


def shapes(raw: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The results that are objects of their own; beside them stand threads, seeds and the like."""
    return [(name, value) for name, value in raw.items() if isinstance(value, dict)]


def unique(found: list[Measured]) -> list[Measured]:
    """Without those that say the same thing twice (bytes are counted in fp32 beside either
    precision)."""
    return list({(item.where, item.what, item.unit): item for item in found}.values())


def curves_of(parts: dict[str, Any]) -> tuple[Curve, ...]:
    own = tuple(
        READER.read(Curve, item, "a curve") for item in parts.get("curves", {}).get("curves", [])
    )
    return own + tuple(
        processes(shape, results) for shape, results in shapes(parts.get("scale", {}))
    )


def processes(shape: str, results: dict[str, Any]) -> Curve:
    """Speed against processes that share the same threads: ideally nothing is lost."""
    groups = results["crews"]
    ways = sorted(
        {name.partition(" ")[2] for name, group in groups.items() if group["processes"] > 1}
    )
    lines = []
    for way in ways:
        points = [
            groups["1"],
            *(group for name, group in groups.items() if name.partition(" ")[2] == way),
        ]
        spreads = [point["speed"] for point in points]
        x = tuple(float(point["processes"]) for point in points)
        y, low, high = (
            tuple(float(item[key]) for item in spreads)
            for key in ("median", "low_quartile", "high_quartile")
        )
        lines.append(Line(way, False, x, y, low, high))
    most = max((group["processes"] for group in groups.values()), default=1)
    lines.append(Line("nothing lost", True, (1.0, float(most)), (1.0, 1.0), (), ()))
    return Curve(
        "scale",
        f"Processes on the same cores, shape {shape}",
        "processes",
        "tokens/s, one process = 1",
        tuple(lines),
    )


def left_out_of(parts: dict[str, Any], missing: dict[str, str]) -> tuple[LeftOut, ...]:
    found = [LeftOut(part, part, why) for part, why in missing.items()]
    for part in ("kernels", "train"):
        for shape, results in shapes(parts.get(part, {})):
            found += [
                LeftOut(part, f"{name}, {shape}", why)
                for name, why in results.get("left_out", {}).items()
            ]
    return tuple(found)
