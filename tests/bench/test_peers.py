"""Other people's models are trained on what ours are trained on, with as many weights, and
learn."""

from __future__ import annotations

import sys
from concurrent.futures import Future
from types import ModuleType

import numpy as np
import pytest
import torch

from cpart_core.bench import train
from cpart_core.bench.models.layers import Shape, bench_of
from cpart_core.bench.models.peer_memory import kept_by_peer
from cpart_core.bench.models.peer_trainers import PeerTrainer, peers_of
from cpart_core.bench.models.variants import (
    GROUPS,
    MIXTURES,
    NANOGPT,
    PUBLIC,
    RATIOS,
    SHAPES,
    wanted_ratios,
)
from cpart_core.bench.peers import public
from cpart_core.bench.peers.nanogpt import NanoGPT
from cpart_core.bench.train import in_groups, not_measured
from cpart_core.corpus.batches import Batch
from cpart_core.model.decoder import Decoder
from cpart_core.settings.run import Settings
from cpart_core.training import compile_layers as compiled

TOY = Settings().with_values(
    {
        "num_layers": 2,
        "width": 32,
        "num_heads": 2,
        "num_kv_heads": 2,
        "num_neurons": 128,
        "shared_neurons": 0,
        "context_length": 16,
        "warmup_steps": 0,
    }
)
VOCABULARY = 300
CPU = torch.device("cpu")
EXPERTS_OF_ALL = {
    f"{family} {implementation}"
    for family in MIXTURES
    for implementation in ("eager", "batched_mm", "grouped_mm")
}
"""Those of transformers that need no special GPU."""


class OneBatch:
    """The same rows at every step."""

    def batch(self, step: int) -> Batch:
        ids = np.random.default_rng(0).integers(0, VOCABULARY, (4, 17))
        return Batch(ids, *(np.zeros_like(ids) for _ in range(3)))


def trainer() -> PeerTrainer:
    torch.manual_seed(0)
    return PeerTrainer(NanoGPT(TOY.model, VOCABULARY), TOY, OneBatch(), CPU, torch.float32)


def test_nanogpt_has_as_many_feed_forward_weights_sees_no_later_token_and_learns():
    made = trainer()
    block = made.model.blocks[0]
    layer = Decoder(TOY.model, VOCABULARY).layers[0].feedforward
    assert block.up.weight.numel() + block.down.weight.numel() == sum(
        w.numel() for w in (layer.w_gate, layer.w_up, layer.w_down)
    )
    ids = torch.randint(0, VOCABULARY, (1, 16))
    other = ids.clone()
    other[0, 9] += 1
    other %= VOCABULARY
    torch.testing.assert_close(made.model(ids)[:, :9], made.model(other)[:, :9])
    losses = [made.train_step() for _ in range(20)]
    assert losses[-1] < losses[0] - 0.5 and kept_by_peer(made) > 0


def test_who_is_missing_or_too_slow_is_said_and_not_failed(monkeypatch):
    monkeypatch.setattr(public, "transformers_there", lambda: False)
    monkeypatch.setattr(compiled, "compiler_there", lambda device: True)
    left_out = not_measured("train", no_peers=False, no_compile=True)
    assert left_out == {
        "llama": public.NOT_THERE, "mixtral": public.NOT_THERE, "olmoe": public.NOT_THERE, "dense compiled": "not asked for",
        "soft compiled": "not asked for", "top-2 compiled": "not asked for", "nanoGPT compiled": "not asked for",
    }  # fmt: skip
    assert set(not_measured("train", no_peers=True, no_compile=False)) == {
        "nanoGPT",
        "nanoGPT compiled",
        *PUBLIC,
    }
    found = peers_of(TOY, VOCABULARY, OneBatch(), CPU, torch.float32, ["dense", NANOGPT], most=60.0)
    assert list(found.trainers) == [NANOGPT] and not found.left_out
    found = peers_of(TOY, VOCABULARY, OneBatch(), CPU, torch.float32, [NANOGPT], most=1e-9)
    assert not found.trainers and "times the dense model's" in found.left_out[NANOGPT]


def test_every_public_model_has_as_many_weights_and_learns():
    pytest.importorskip("transformers")
    found = peers_of(TOY, VOCABULARY, OneBatch(), CPU, torch.float32, [NANOGPT, *PUBLIC], most=60.0)
    assert {"nanoGPT", "llama"} | EXPERTS_OF_ALL <= set(found.trainers), found.left_out
    weights = 3 * TOY.model.width * TOY.model.num_neurons
    for name in {"llama"} | EXPERTS_OF_ALL:
        made = found.trainers[name]
        layers = [part for path, part in made.model.named_modules() if path.endswith(".mlp")]
        routers = TOY.model.num_segments * TOY.model.width if name in EXPERTS_OF_ALL else 0
        assert [sum(p.numel() for p in layer.parameters()) for layer in layers] == [
            weights + routers
        ] * TOY.model.num_layers, name
        losses = [made.train_step() for _ in range(10)]
        assert losses[-1] < losses[0] - 0.1 and kept_by_peer(made) > 0, name


def test_every_public_layer_goes_forward_and_backward():
    pytest.importorskip("transformers")
    bench = bench_of(Shape(32, 128, 64), torch.float32, CPU, with_peers=True)
    assert set(bench.runs) >= EXPERTS_OF_ALL, bench.left_out


def test_only_what_was_measured_is_compared():
    names = ("dense", "soft", "top-2", "dense fp32", "top-2 compiled", "olmoe eager")
    assert {pair[:2] for pair in wanted_ratios("train", names)} == {
        ("top-2", "dense"), ("soft", "dense"), ("dense", "dense fp32"), ("top-2 compiled", "top-2"), ("top-2", "olmoe eager")
    }  # fmt: skip


def test_both_sides_of_every_comparison_take_turns_in_one_group():
    for shape, groups in GROUPS.items():
        compared = {pair[:2] for group in groups for pair in wanted_ratios(shape, group)}
        assert compared == {pair[:2] for pair in RATIOS[shape]} | {
            ("top-2", name) for name in MIXTURES if shape == "train"
        }


def test_groups_are_joined_the_first_one_counts_and_one_without_news_is_not_measured(monkeypatch):
    asked = []

    class Process:
        def __init__(self, *_, initializer):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, work, shape, settings, names, blocks):
            asked.append(names)
            found = Future()
            found.set_result(
                {
                    "ratios": {name: len(asked) for name in names},
                    "threads": len(asked),
                    "left_out": {},
                }
            )
            return found

    monkeypatch.setattr(train, "ProcessPoolExecutor", Process)
    left_out = not_measured("train", no_peers=True, no_compile=True)
    whole = in_groups("train", TOY, 3, left_out)
    assert asked == [list(GROUPS["train"][0])] and whole["left_out"] == left_out
    whole = in_groups("quick", TOY, 3, {})
    assert (
        whole["ratios"]
        == {
            "dense": 2,
            "bare": 2,
            "signatures": 3,
            "validating": 3,
            "live": 3,
            "frozen": 3,
        }
        and whole["threads"] == 2
    )


def test_a_group_is_measured_in_a_process_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("CPART_RUNS", str(tmp_path))
    monkeypatch.setitem(
        sys.modules, "__main__", ModuleType("__main__")
    )  # tests of pages leave the app's there, which a new process would start
    small = {
        "num_layers": 1,
        "width": 32,
        "num_neurons": 64,
        "shared_neurons": 0,
        "kilobytes_per_context": 20,
        "evaluate_every": 2,
    }
    monkeypatch.setitem(GROUPS, "quick", (("dense", "bare"),))
    whole = in_groups("quick", SHAPES["quick"].with_values(small), 3, {})
    assert (
        set(whole["ratios"]) == {"bare / dense"}
        and whole["ratios"]["bare / dense"]["wall"]["n"] == 3
    )
    assert set(whole["tokens_per_second"]) == {"dense", "bare"} and whole["left_out"] == {}
