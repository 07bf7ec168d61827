"""Trains other people's models as ours are trained: the same batches, loss, clipping, optimizer
settings and precision.

Weights are in fp32 under autocast, as ours; where bf16 is used, the grouped products of
`transformers` run a second time with all weights in bf16, which is quicker and what some people do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cpart_core.bench.models.peer_layers import REFUSALS, copied_bytes, too_much, why
from cpart_core.bench.models.variants import MIXTURES, NANOGPT
from cpart_core.bench.peers import public
from cpart_core.bench.peers.nanogpt import NanoGPT
from cpart_core.corpus.tensors import token_ids
from cpart_core.settings.run import Settings
from cpart_core.training.device import autocast
from cpart_core.training.optimizer import learning_rate

if TYPE_CHECKING:
    from cpart_core.corpus.batches import TrainingBatches

TOO_SLOW = 8.0
"""A peer whose step takes this many times the dense model's is left out, and its one step is
told."""
Make = Callable[[], nn.Module]


class PeerTrainer:
    """`train_step()` as our Trainer has it, without records: nothing but the step itself."""

    def __init__(
        self,
        model: nn.Module,
        settings: Settings,
        batches: TrainingBatches,
        device: torch.device,
        precision: torch.dtype,
    ) -> None:
        self.model = model.to(device).train()
        self.settings, self.batches, self.device, self.precision = (
            settings,
            batches,
            device,
            precision,
        )
        training = settings.training
        decayed = [parameter for parameter in model.parameters() if parameter.dim() > 1]
        plain = [parameter for parameter in model.parameters() if parameter.dim() < 2]
        groups = [
            {"params": decayed, "weight_decay": training.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        betas = (training.beta1, training.beta2)
        self.optimizer = torch.optim.AdamW(
            groups, lr=training.learning_rate, betas=betas, fused=True
        )
        self.step = 0

    def loss(self) -> Tensor:
        ids = token_ids(self.batches.batch(self.step), self.device)
        with autocast(self.device, self.precision):
            logits: Tensor = self.model(ids[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten())

    def train_step(self) -> float:
        """Returns the loss, which makes the host wait for it, as our records do."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.settings.training)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), self.settings.training.gradient_clip or float("inf")
        )
        self.optimizer.step()
        self.step += 1
        return loss.item()


@dataclass
class Peers:
    """Those that can be trained here, and why others cannot."""

    trainers: dict[str, PeerTrainer]
    left_out: dict[str, str]
    compile_seconds: float | None = None


def peers_of(
    settings: Settings,
    vocabulary: int,
    batches: TrainingBatches,
    device: torch.device,
    precision: torch.dtype,
    names: Sequence[str],
    most: float,
) -> Peers:
    """The peers among these names, each after two steps. most: seconds of a step above which one is
    left out."""
    found = Peers({}, {})
    for name, make in makers(settings, vocabulary, precision, names, found.left_out):
        try:
            torch.manual_seed(settings.training.seed)
            trainer = PeerTrainer(make(), settings, batches, device, precision)
            began = time.perf_counter()
            trainer.train_step()
            first = time.perf_counter() - began
            trainer.train_step()
            second = time.perf_counter() - began - first
        except REFUSALS as error:
            if name == NANOGPT:  # our own writing: model or trainer has a fault
                raise
            found.left_out[name] = why(error)
            continue
        if name.endswith("compiled"):
            found.compile_seconds = first - second
        if second > most:
            found.left_out[name] = (
                f"a step takes {second:.1f} s, {second / most * TOO_SLOW:.0f} times the dense"
                " model's"
            )
            continue
        found.trainers[name] = trainer
    return found


def makers(
    settings: Settings,
    vocabulary: int,
    precision: torch.dtype,
    names: Sequence[str],
    left_out: dict[str, str],
) -> Iterator[tuple[str, Make]]:
    """Those among these names, and all implementations of a family of mixtures; left_out is told
    who is not even made."""
    model = settings.model
    plain: dict[str, Make] = {
        NANOGPT: lambda: NanoGPT(model, vocabulary),
        f"{NANOGPT} compiled": lambda: cast(nn.Module, torch.compile(NanoGPT(model, vocabulary))),
        "llama": lambda: public.llama(model, vocabulary),
    }
    yield from ((name, make) for name, make in plain.items() if name in names)
    tokens, neurons = (
        settings.training.batch_size * model.context_length,
        model.num_neurons // model.num_segments,
    )
    copied = model.num_layers * copied_bytes(
        tokens, model.width, neurons, model.top_k, torch.float32.itemsize
    )
    for family in (family for family in MIXTURES if family in names):
        for implementation in public.experts_implementations():
            if reason := too_much(implementation, copied):
                left_out[f"{family} {implementation}"] = reason
                continue
            mixture = partial(public.mixture, family, implementation, model, vocabulary)
            yield f"{family} {implementation}", mixture
            if implementation == "grouped_mm" and precision == torch.bfloat16:
                yield f"{family} {implementation}, bf16 weights", partial(in_bf16, mixture)


def in_bf16(make: Make) -> nn.Module:
    return make().to(torch.bfloat16)
