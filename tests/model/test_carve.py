"""Laws of carving: the smaller model IS the whole model with the other segments forbidden."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cpart_core.model.carve import carve, kept_neurons
from cpart_core.model.generate import generate
from cpart_core.model.intervention import Intervention, intervene
from cpart_core.model.permute import partition_of
from tests.model.test_decoder import FUSIONS, some_ids, tiny

KEPT = np.array([[5, 0, 2], [7, 1, 3]])


def forbidden(kept: np.ndarray) -> list[Intervention]:
    return [
        Intervention(layer, s, "forbid")
        for layer, row in enumerate(kept)
        for s in range(8)
        if s not in row
    ]


@pytest.mark.parametrize("execution", ["dense", "soft", "topk"])
@pytest.mark.parametrize(("fusion", "pooling"), FUSIONS)
@pytest.mark.parametrize("keep", [1, 3])
def test_carved_logits_are_those_of_the_whole_with_the_rest_forbidden(
    execution, fusion, pooling, keep
):
    if (execution, fusion, keep) == ("topk", "uniform", 3):
        pytest.skip("which of equal weights are the greatest is nobody's law")
    model, kept = tiny(execution=execution, fusion=fusion, pooling=pooling).eval(), KEPT[:, :keep]
    start = torch.tensor([[0] * 24, [0] * 10 + [10] * 14])
    smaller = carve(model, kept)
    with torch.no_grad():
        with intervene(model, forbidden(kept)):
            wanted = model(some_ids(), start)
        torch.testing.assert_close(smaller(some_ids(), start), wanted, rtol=1e-4, atol=1e-5)
        assert (model(some_ids(), start) - wanted).abs().max() > 1e-3, (
            "forbidding changes nothing: this proves nothing"
        )


def test_before_fusion_begins_a_carved_model_is_not_fused_either():
    model = tiny(execution="topk")
    model.set_fused(False)
    smaller = carve(model, KEPT)
    assert not smaller.feedforwards()[0].fused
    with intervene(model, forbidden(KEPT)):
        torch.testing.assert_close(smaller(some_ids()), model(some_ids()), rtol=1e-4, atol=1e-5)


def test_keeping_every_segment_changes_no_bit_and_carving_twice_is_carving_once():
    model = tiny(execution="topk").eval()
    assert torch.equal(carve(model, np.tile(np.arange(8), (2, 1)))(some_ids()), model(some_ids()))
    once, twice = carve(model, KEPT[:, :2]), carve(carve(model, KEPT), np.array([[0, 2], [0, 2]]))
    assert torch.equal(once(some_ids()), twice(some_ids())), (
        "of 0 2 5 and 1 3 7 the first and the last are 0 5 and 1 7"
    )


def test_it_is_as_small_as_it_says_and_neurons_are_numbered_from_zero():
    model = tiny()
    smaller, numbers = carve(model, KEPT), kept_neurons(model, KEPT)
    assert smaller.settings.num_neurons == 8 + 3 * 8 and smaller.settings.weight_scale == 8
    cut = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in smaller.parameters())
    assert cut == 2 * (5 * 8 * 3 * 32 + 5 * 8)
    old, new = partition_of(model), partition_of(smaller)
    for layer in range(2):
        rename = {segment: place for place, segment in enumerate(sorted(KEPT[layer]))} | {-1: -1}
        assert [rename[s] for s in old.segment_of[layer][numbers[layer]]] == new.segment_of[
            layer
        ].tolist()


def test_it_writes_the_text_that_the_forbidden_model_writes():
    model = tiny(execution="topk", pooling="document").eval()
    smaller = carve(model, KEPT)
    with intervene(model, forbidden(KEPT)):
        wanted = list(generate(model, [1, 2, 3], max_tokens=15, temperature=0.0))
    assert list(generate(smaller, [1, 2, 3], max_tokens=15, temperature=0.0)) == wanted


@pytest.mark.parametrize("kept", [[[0, 0], [1, 2]], [[0], [8]], [[0]], [[], []]])
def test_impossible_choices_are_refused(kept):
    with pytest.raises(ValueError, match="without repeats"):
        carve(tiny(), np.array(kept))
