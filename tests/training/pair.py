"""Two processes that train made runs together, and what they leave behind: `python -m
tests.training.pair FOLDER`, once with each RANK."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from cpart_core.model.kernels.cpu.use import cpu_kernels_from
from cpart_core.settings.run import Settings
from cpart_core.training.loop import Trainer
from cpart_core.training.moving import Parameters
from cpart_core.training.objective import NextToken, Objective
from cpart_core.training.process_group import (
    SINGLE_PROCESS,
    ProcessGroup,
    group_of_environment,
    joined,
    leave,
)
from tests.training.made import made_corpus, made_settings
from tests.training.objectives import OBJECTIVES

STEPS = 12
STOP = 6
"""Between the first partition and fusion: the affinity regulariser is on, fusion is not."""
CASES: dict[str, dict[str, Any]] = {
    "topk": {},
    "uneven": {
        "batch_size": 5,
        "shared_neurons": 8,
        "execution": "soft",
        "balance": "batch",
        "method": "coactivation",
    },
    "discovered": {"method": "cocluster", "balance": "global"},
    "a vector": {},
    "w_up": {},
    "a segment and a vector": {},
}
PARTS: dict[str, Objective] = {**OBJECTIVES, "w_up": NextToken(Parameters(("w_up",)))}
"""By case: what else than the default is minimised and moved."""
DDP_ALONE = ("a segment and a vector",)
"""FSDP2 cuts every matrix over the processes, and a block of one cannot be trained so."""


def settings_of(case: str, **changes: object) -> Settings:
    return made_settings(steps=STEPS, **(CASES[case] | changes))


def train(
    case: str,
    folder: Path,
    group: ProcessGroup = SINGLE_PROCESS,
    parallel: str = "ddp",
    begin: Path | None = None,
    until: int = STEPS,
) -> None:
    """Train to step `until` (from the state in `begin`), and keep records, weights and state in
    `folder`."""
    with cpu_kernels_from(0):  # small as it is, it shall train as large models do
        trainer = Trainer(
            settings_of(case, parallel=parallel),
            made_corpus(labelled=case != "discovered"),
            group,
            PARTS.get(case),
        )
        if begin is not None:
            trainer.restore(*read(begin))
        keep(trainer, [trainer.train_step() for _ in range(trainer.step, until)], folder)


def keep(trainer: Trainer, records: Iterable[Any], folder: Path) -> None:
    weights, tensors = trainer.weights(), trainer.state_tensors()
    if not trainer.state.group.first:
        return
    folder.mkdir(parents=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in weights.items()},
        folder / "weights.safetensors",
    )
    save_file(tensors, folder / "state.safetensors")
    (folder / "numbers.json").write_text(json.dumps(trainer.state_numbers()))
    (folder / "records.json").write_text(json.dumps([facts(record) for record in records]))


def facts(record: Any) -> dict[str, Any]:
    """What is compared of a record."""
    numbers = {
        name: getattr(record, name)
        for name in (
            "loss",
            "affinity_loss",
            "balance_loss",
            "gradient_norm",
            "tokens",
            "learning_rate",
        )
    }
    arrays = {"by_context": record.loss_by_context}
    if record.evaluation is not None:
        arrays |= {
            "evaluation": record.evaluation.loss_by_context,
            "counts": record.evaluation.tokens_by_context,
        }
    if record.change is not None:
        arrays["churn"] = record.change.churn
    if record.snapshot is not None:
        names = ("segment_of", "signature_scale", "signature_tokens", "fusion_mass", "chosen_share")
        arrays |= {name: getattr(record.snapshot, name) for name in names}
    return numbers | {
        name: [None if x != x else float(x) for x in array.flatten()]
        for name, array in arrays.items()
    }


def read(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    numbers = json.loads((folder / "numbers.json").read_text())
    return (
        load_file(folder / "weights.safetensors"),
        load_file(folder / "state.safetensors"),
        numbers,
    )


def start_pair(command: Sequence[str], **options: Any) -> list[subprocess.Popen[str]]:
    """Two processes as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    return [
        subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **where, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        for rank in range(2)
    ]


def main(root: Path) -> None:
    with joined(group_of_environment()) as group:
        for case in CASES:
            train(case, root / "ddp" / case, group)
            if case not in DDP_ALONE:
                train(case, root / "fsdp" / case, group, "fsdp")
        train("topk", root / "half", group, begin=root / "alone-half", until=9)
        train("topk", root / "rest", group, "fsdp", begin=root / "half")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    leave(0)
