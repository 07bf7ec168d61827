"""`bench generate`: tokens per second of writing with a cache, one text and several at once; dense,
soft, top-k and carved.

All variants are one shape with random weights and take turns. A carved model keeps 2 of 8 segments
and the shared one; the ideal line says what would be left of the dense time if only the weights
that are read for a token counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from cpart_core.bench.harness.turns import Times, ratio, take_turns, told
from cpart_core.bench.report.save import save, spread
from cpart_core.files.paths import given_path
from cpart_core.model.carve import carve
from cpart_core.model.decoder import Decoder
from cpart_core.model.fusion.attention import Attention
from cpart_core.model.generate import generate, generate_batch
from cpart_core.settings.model import ModelSettings
from cpart_core.study.measure import parameter_counts

VOCABULARY, PROMPT, KEPT = 1024, 8, 2
SHAPES = {
    "small": ModelSettings(
        num_layers=4,
        width=256,
        num_heads=8,
        num_kv_heads=8,
        num_neurons=1024,
        shared_neurons=0,
        context_length=256,
    ),
    "wide": ModelSettings(
        num_layers=4,
        width=1024,
        num_heads=16,
        num_kv_heads=16,
        num_neurons=8192,
        shared_neurons=0,
        context_length=256,
    ),
}
RATIOS = (("top-2", "dense"), ("soft", "dense"), ("carved", "dense"), ("carved", "top-2"))


@dataclass(frozen=True)
class Variant:
    """A model, and how many weights it reads for one token."""

    model: Decoder
    weights_read: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shape", choices=list(SHAPES), help="only this shape (default: all)")
    parser.add_argument(
        "--texts", type=int, nargs="+", default=[1, 8], help="texts written at once (default 1 8)"
    )
    parser.add_argument(
        "--tokens", type=int, default=48, help="tokens written of each text (default 48)"
    )
    parser.add_argument("--repeats", type=int, default=7, help="repetitions of each (default 7)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument(
        "--quick", action="store_true", help="small, 12 tokens, 3 repetitions: does it run?"
    )
    parser.add_argument(
        "--out", type=given_path, help="folder of the JSON file (default bench-results)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cpart_core bench generate",
        description=__doc__.splitlines()[0] if __doc__ else None,
    )
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.repeats < 3:
        raise ValueError(f"--repeats is {arguments.repeats}; give 3 or more, a median needs them.")
    most = min(shape.context_length for shape in SHAPES.values()) - PROMPT
    if not 1 <= arguments.tokens <= most or min(arguments.texts) < 1:
        raise ValueError(f"--tokens is {arguments.tokens}; give 1 to {most}, and at least 1 text.")
    torch.set_num_threads(arguments.threads)
    tokens, repeats = (12, 3) if arguments.quick else (arguments.tokens, arguments.repeats)
    names = ["small"] if arguments.quick else [arguments.shape] if arguments.shape else list(SHAPES)
    results: dict[str, Any] = {
        "threads": arguments.threads,
        "prompt_tokens": PROMPT,
        "tokens": tokens,
    }
    for name in names:
        variants = variants_of(SHAPES[name])
        results[name] = {
            str(texts): measure(name, variants, texts, tokens, repeats) for texts in arguments.texts
        }
    save("generate", results, arguments.out)
    return 0


def variants_of(settings: ModelSettings) -> dict[str, Variant]:
    """Fusion looks at single tokens, so that texts do not agree on their segments."""
    found = {}
    for name, execution in (("dense", "dense"), ("soft", "soft"), ("top-2", "topk")):
        model = Decoder(
            replace(settings, execution=execution, fusion=Attention(pooling="token")),
            VOCABULARY,
            seed=0,
        ).eval()
        found[name] = Variant(model, weights_read(model))
    kept = np.tile(np.arange(KEPT), (settings.num_layers, 1))
    carved = carve(found["top-2"].model, kept)
    return found | {"carved": Variant(carved, weights_read(carved))}


def weights_read(model: Decoder) -> int:
    """Weights that one token's forward must read: all but the segments that are not chosen and, in
    a dense model, the fusion."""
    return parameter_counts(
        model.settings, sum(parameter.numel() for parameter in model.parameters())
    )[1]


def measure(
    name: str, variants: dict[str, Variant], texts: int, tokens: int, repeats: int
) -> dict[str, Any]:
    prompts = torch.randint(
        0, VOCABULARY, (texts, PROMPT), generator=torch.Generator().manual_seed(1)
    ).tolist()
    runs = {which: writing(variant.model, prompts, tokens) for which, variant in variants.items()}
    if texts > 1:
        runs["top-2, one by one"] = one_by_one(variants["top-2"].model, prompts, tokens)
    times = take_turns(runs, repeats, warm=1)
    print(
        f"\n{name}, {texts} {'text' if texts == 1 else 'texts'} of {tokens} tokens: tokens per"
        " second"
    )
    speeds = {}
    for which, item in times.items():
        speeds[which] = {
            "wall": speed(item.wall, texts * tokens),
            "cpu": speed(item.cpu, texts * tokens),
        }
        print(
            f"  {which:18} {speeds[which]['wall']['median']:9.1f}  per second of CPU time"
            f" {speeds[which]['cpu']['median']:9.1f}"
        )
    return {"tokens_per_second": speeds, "time_ratios": ratios_of(times, variants)}


def ratios_of(times: dict[str, Times], variants: dict[str, Variant]) -> dict[str, Any]:
    """Times as a share, each beside the share of the weights that are read."""
    found: dict[str, Any] = {}
    for ours, theirs in RATIOS:
        ideal = variants[ours].weights_read / variants[theirs].weights_read
        found[f"{ours} / {theirs}"] = {**ratio(times[ours], times[theirs]), "weights_read": ideal}
        print(
            f"  time {ours + ' / ' + theirs:16} {told(found[f'{ours} / {theirs}'])}  weights read"
            f" {ideal:.2f}",
            flush=True,
        )
    if "top-2, one by one" in times:
        found["at once / one by one"] = ratio(times["top-2"], times["top-2, one by one"])
        print(f"  time at once / one by one  {told(found['at once / one by one'])}", flush=True)
    return found


def speed(seconds: list[float], tokens: int) -> dict[str, float | int]:
    return spread([tokens / value for value in seconds])


def writing(model: Decoder, prompts: list[list[int]], tokens: int) -> Callable[[], object]:
    if len(prompts) == 1:
        return lambda: list(generate(model, prompts[0], max_tokens=tokens, temperature=0.0))
    return lambda: generate_batch(model, prompts, max_tokens=tokens, temperature=0.0)


def one_by_one(model: Decoder, prompts: list[list[int]], tokens: int) -> Callable[[], object]:
    return lambda: [
        list(generate(model, prompt, max_tokens=tokens, temperature=0.0)) for prompt in prompts
    ]
