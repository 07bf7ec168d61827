"""Laws of the training step: what is fused or made ahead is what it replaces, gradients included;
validation stays within its share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cpart_core.corpus.batches import TrainingBatches
from cpart_core.model.fusion.pooling import query_of
from cpart_core.model.next_token import next_token_losses
from cpart_core.model.rms_norm import rms_norm
from cpart_core.model.rotary_attention import rotary_attention
from cpart_core.model.rotary_positions import rotary_angles, rotate
from cpart_core.model.saved_tensors import kept_until_backward
from cpart_core.settings.run import Settings
from cpart_core.training.estimate import MOST_ROWS, rows_to_evaluate
from cpart_core.training.loop import Trainer
from cpart_core.training.prefetch import Prefetcher
from tests.training.made import made_corpus, made_settings


def both(
    ours: Tensor,
    theirs: Tensor,
    leaves: list[Tensor],
    tolerance: float,
    of_gradients: float | None = None,
) -> None:
    """The same values, and the same gradients of a random sum."""
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    weights = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(1))
    pairs = [
        torch.autograd.grad(result, leaves, weights.to(result.dtype)) for result in (ours, theirs)
    ]
    tolerance = of_gradients or tolerance
    for mine, wanted in zip(*pairs, strict=True):
        torch.testing.assert_close(
            mine, wanted, rtol=tolerance, atol=tolerance * float(wanted.abs().max())
        )


def test_the_query_of_a_rounded_state_is_the_fp32_product_and_no_fp32_copy_is_kept() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 40, 16, generator=generator).bfloat16().requires_grad_()
    w_query = torch.randn(8, 16, generator=generator, requires_grad=True)
    query = query_of(x, w_query)
    both(query, F.linear(x.float(), w_query), [x, w_query], 1e-6, of_gradients=2**-7)
    d_query = torch.randn(query.shape, generator=generator)
    products = (query_of(x, w_query), F.linear(x, w_query.bfloat16()).float())
    for mine, rounded in zip(
        *(torch.autograd.grad(product, [x, w_query], d_query) for product in products), strict=True
    ):
        assert torch.equal(mine, rounded), (
            "its gradients are those of the product in the format of x"
        )
    assert sum(kept_until_backward(lambda: query_of(x, w_query), (w_query,))) == x.nbytes


def test_a_step_of_soft_fusion_keeps_a_twentieth_more_than_dense_at_most() -> None:
    shape = {
        "precision": "bf16",
        "width": 128,
        "num_neurons": 512,
        "shared_neurons": 0,
        "first_step": 1,
        "fusion_step": 1,
    }
    kept = {}
    for execution in ("dense", "soft"):
        trainer = Trainer(made_settings(**shape, execution=execution), made_corpus())
        trainer.train_step()
        kept[execution] = sum(kept_until_backward(trainer.train_step, trainer.model.parameters()))
    assert kept["dense"] < kept["soft"] <= 1.05 * kept["dense"]


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.bfloat16, 3e-2)])
def test_the_loss_by_a_few_rows_of_logits_is_cross_entropy(
    dtype: torch.dtype, tolerance: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(2, 600, 16, generator=generator).to(dtype).requires_grad_()
    matrix = (torch.randn(1000, 16, generator=generator) * 0.3).requires_grad_()
    target = torch.randint(0, 1000, (2, 600), generator=generator)
    logits = F.linear(hidden, matrix.to(dtype)).flatten(0, 1).float()
    plain = F.cross_entropy(logits, target.flatten(), reduction="none").view(2, 600)
    both(next_token_losses(hidden, matrix, target), plain, [hidden, matrix], tolerance)


def test_a_matrix_that_does_not_move_gets_no_gradient_of_its_logits() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(1000, 16, generator=generator)
    target = torch.randint(0, 1000, (2, 600), generator=generator)
    hidden = torch.randn(2, 600, 16, generator=generator)
    found = []
    for moves in (True, False):
        leaf, weight = hidden.clone().requires_grad_(), matrix.clone().requires_grad_(moves)
        next_token_losses(leaf, weight, target).sum().backward()
        assert (weight.grad is not None) == moves
        found.append(leaf.grad)
    assert torch.equal(*found)


def test_the_norm_in_one_pass_is_the_norm() -> None:
    x = torch.randn(3, 401, 24, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weight = torch.linspace(0.5, 1.5, 24).requires_grad_()
    both(
        rms_norm(x, weight, 1e-5, torch.float32),
        F.rms_norm(x, (24,), weight, 1e-5),
        [x, weight],
        1e-4,
    )


@pytest.mark.parametrize("length", [5, 128, 300])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.bfloat16, 4e-2)])
def test_attention_by_row_is_attention(length: int, dtype: torch.dtype, tolerance: float) -> None:
    heads, width = 2, 8
    cos, sin = rotary_angles(length, width, 1e4)
    exact = (
        torch.randn(2, length, 3 * heads * width, generator=torch.Generator().manual_seed(0))
        .to(dtype)
        .float()
        .requires_grad_()
    )
    q, k, v = exact.view(2, length, 3 * heads, width).transpose(1, 2).split(heads, dim=1)
    plain = F.scaled_dot_product_attention(
        rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True
    )
    ours = rotary_attention(exact.to(dtype), cos, sin, heads).float()
    both(ours, plain.transpose(1, 2).reshape(2, length, -1), [exact], tolerance)


def test_a_batch_made_ahead_is_the_batch_also_when_another_step_is_asked_for() -> None:
    corpus = made_corpus()
    batches, ahead = (
        TrainingBatches(corpus.train, len(corpus.contexts), 3, 16, seed=1) for _ in range(2)
    )
    made = Prefetcher(ahead)
    for step, more in ((0, True), (1, True), (7, True), (8, False), (3, True)):
        wanted, got = batches.batch(step), made.batch(step, more)
        assert np.array_equal(wanted.ids, got.ids) and np.array_equal(wanted.start, got.start)


def test_training_in_bf16_finds_what_fp32_finds() -> None:
    losses = [
        [r.loss for r in Trainer(made_settings(precision=name, steps=8), made_corpus())]
        for name in ("fp32", "bf16", "bf16")
    ]
    assert losses[1] == losses[2]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)


def test_validation_takes_a_small_share_whatever_the_number_of_contexts() -> None:
    for contexts in (1, 8, 20):
        training = Settings().training
        rows = rows_to_evaluate(training, contexts)
        assert 1 <= rows <= MOST_ROWS
        assert (
            rows == 1 or rows * contexts / 3 <= 0.02 * training.evaluate_every * training.batch_size
        )
    assert rows_to_evaluate(Settings().with_values({"evaluation_rows": 3}).training, 20) == 3
