"""The measurements of speed at toy sizes: they run, they compare like with like, and they say what
they left out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cpart_core.bench.generate import SHAPES, measure, variants_of
from cpart_core.bench.harness import roofline as _roof
from cpart_core.bench.harness import sweep as _sweep
from cpart_core.bench.harness.turn_trainers import count_telemetry, start
from cpart_core.bench.harness.turns import ratio, take_turns
from cpart_core.bench.kernels import compare
from cpart_core.bench.models import peer_trainers as _against
from cpart_core.bench.models.layers import Shape, bench_of, kept_bytes, layer, looped
from cpart_core.bench.models.peer_layers import copied_bytes, too_much, working
from cpart_core.bench.models.variants import NANOGPT, VARIANTS, WRITES_RECORDS
from cpart_core.bench.models.variants import SHAPES as STEPS
from cpart_core.bench.report.save import in_turns, paired
from cpart_core.corpus.build import build_corpus, gather
from cpart_core.runs.snapshots import snapshot_steps
from cpart_core.training.loop import Trainer

TOY = Shape(32, 128, 64)
CPU = torch.device("cpu")


def test_every_run_of_the_kernels_bench_finishes_and_is_compared() -> None:
    bench = bench_of(TOY, torch.float32, CPU, with_peers=False)
    found = compare(take_turns(bench.runs, 3, warm=0), bench)["ratios"]
    assert set(found) == {
        "top-2 / ideal",
        "top-2 / dense",
        "top-2 / loop",
        "soft / dense",
        "before fusion / dense",
    }
    assert all(item["wall"]["n"] == 3 and item["figure"] > 0 for item in found.values())


def test_the_roof_takes_turns_with_the_layers_and_none_is_above_it(monkeypatch) -> None:
    monkeypatch.setattr(_roof, "COPIED_BYTES", 1 << 20)
    shape = Shape(64, 512, 1024)
    times = take_turns(
        bench_of(shape, torch.float32, CPU, with_peers=False).runs
        | _roof.roof_runs(shape, torch.float32, CPU),
        3,
    )
    found = _roof.under_roof(times, shape, torch.float32, CPU)
    assert set(found["gflops"]["wall"]) == {"x W^T", "h W", "h^T x"} and found["copy_gb"]["cpu"] > 0
    assert set(found["shares"]) == {"dense", "ideal", "top-2"}
    assert all(0 < item["cpu"]["median"] < 1.2 for item in found["shares"].values()), (
        "1 is the roof; small shapes are timed coarsely"
    )
    dense, top_2 = (
        _roof.least_work(shape, torch.float32, _roof.NEURONS_COMPUTED[name])
        for name in ("dense", "top-2")
    )
    assert top_2[0] == dense[0] / 4 and top_2[1] == dense[1], (
        "every segment's weights are read by somebody"
    )


def test_the_loop_computes_what_our_layer_computes() -> None:
    made = layer(TOY.settings("topk"), None, CPU)
    x = torch.randn(2, 32, 32)
    torch.testing.assert_close(looped(made)(x), made(x), rtol=1e-4, atol=1e-5)


def test_topk_keeps_less_than_dense_and_soft_no_more() -> None:
    kept = kept_bytes(Shape(32, 512, 512), CPU)
    assert kept["top-2"] < kept["dense"] and kept["soft"] < 1.05 * kept["dense"]


def test_the_sweep_measures_every_execution_that_can_run(monkeypatch) -> None:
    monkeypatch.setattr(_sweep, "LAYERS", ((32, 8),))
    monkeypatch.setattr(_sweep, "TRAINING_TOKENS", 64)
    monkeypatch.setattr(_sweep, "READING_TOKENS", (2,))
    found = {
        (entry.shape.kind, entry.shape.gradient): set(entry.seconds)
        for entry in _sweep.sweep(CPU, [torch.float32], 3, quick=False)
    }
    assert found["topk", True] == {"weighted", "sorted", "grouped"} and found["topk", False] == {
        "weighted",
        "sorted",
        "grouped",
        "few",
    }
    assert found["dense", True] == {"plain", "weighted"} and found["soft", True] == {"weighted"}


def test_generation_is_measured_for_one_text_and_for_several() -> None:
    variants = variants_of(
        replace(
            SHAPES["small"], num_layers=1, width=32, num_heads=2, num_kv_heads=2, num_neurons=128
        )
    )
    assert variants["top-2"].weights_read < variants["dense"].weights_read
    one, two = (measure("toy", variants, texts, 3, 3) for texts in (1, 2))
    assert (
        "top-2, one by one" in two["tokens_per_second"]
        and "top-2, one by one" not in one["tokens_per_second"]
    )


def test_a_ratio_is_taken_repetition_by_repetition() -> None:
    times = take_turns({"a": lambda: sum(range(20_000)), "b": lambda: sum(range(100))}, 3, warm=0)
    assert ratio(times["a"], times["b"])["wall"]["median"] > 1


def test_turns_go_forwards_and_then_backwards_and_pairs_stay_pairs() -> None:
    assert list(in_turns("abc", 3)) == list("abccbaabc")
    assert paired([1.0, 4.0, 9.0, 5.0], [1.0, 2.0, 3.0, 0.0]) == {
        "median": 2,
        "low_quartile": 1,
        "high_quartile": 3,
        "n": 3,
    }


def test_what_others_cannot_do_here_is_left_out_and_a_fault_of_ours_is_not(monkeypatch) -> None:
    def offline() -> None:
        raise OSError("no network to fetch a kernel from\nmore")

    good, failed = working({"theirs": offline, "good": lambda: None})
    assert list(good) == ["good"] and failed == {
        "theirs": "OSError: no network to fetch a kernel from"
    }

    def broken(settings: object, vocabulary: int) -> torch.nn.Module:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(_against, "NanoGPT", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        _against.peers_of(STEPS["train"], 300, None, CPU, torch.float32, [NANOGPT], most=60.0)  # type: ignore[arg-type]


def test_copying_all_weights_is_left_out_at_full_size_and_tried_at_a_small_one() -> None:
    assert (
        too_much("batched_mm", copied_bytes(4096, 256, 128, 2, 4))
        == "copies the weights of every token, 6 GB with backward"
    )
    assert (
        too_much("batched_mm", copied_bytes(512, 256, 128, 2, 4)) is None
        and too_much("eager", 10**12) is None
    )


def test_telemetry_is_counted_by_itself_and_is_stored(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CPART_RUNS", str(tmp_path))
    settings = STEPS["quick"].with_values(
        {
            "num_layers": 1,
            "width": 32,
            "num_neurons": 64,
            "shared_neurons": 0,
            "kilobytes_per_context": 20,
        }
    )
    corpus = build_corpus(gather(settings.corpus), settings.corpus, settings.training.seed)
    turns = {
        name: start(settings, VARIANTS["quick"][name], corpus, name in WRITES_RECORDS)
        for name in ("validating", "live")
    }
    for turn in turns.values():
        turn.take(3)
    (name,) = counted = count_telemetry(turns, 3)
    live = turns["live"]
    assert isinstance(live.trainer, Trainer) and live.writer is not None
    live.writer.close()
    assert name == "live as counted / validating" and counted[name]["wall"]["median"] > 1
    assert live.trainer.step in snapshot_steps(live.writer.folder), (
        "what is counted is what a run does: it reaches the disk"
    )
