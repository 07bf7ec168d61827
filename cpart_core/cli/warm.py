"""`warm`: compiles now what is otherwise compiled at its first use; the app does it by itself,
behind everything else, when it first starts."""

from __future__ import annotations

import argparse
import time

NAME = "warm"
HELP = (
    "Compile what is compiled once on a machine (training on its CPU, maps) now, instead of when it"
    " is first used."
)


def add_arguments(parser: argparse.ArgumentParser, show_all: bool) -> None:
    parser.add_argument(
        "--kernels",
        "--passes",
        action="store_true",
        help="only what training on a CPU needs",
    )


def execute(arguments: argparse.Namespace) -> int:
    import torch

    from cpart_core.model.warm_up import compile_cpu_kernels

    torch.set_num_threads(1)
    seconds = compile_cpu_kernels()
    print(
        f"CPU kernels, for training on a CPU: {seconds:.1f} s of compiling"
        if seconds
        else "CPU kernels: compiled before"
    )
    if arguments.kernels:
        return 0
    from cpart_core.service.server import compile_umap

    began = time.perf_counter()
    compile_umap()
    print(f"maps by UMAP: ready after {time.perf_counter() - began:.1f} s")
    return 0
