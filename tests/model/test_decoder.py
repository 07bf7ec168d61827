"""Laws of the decoder and its partitioned feed-forward layers."""

from __future__ import annotations

import pytest
import torch

from cpart_core.model.capture import capture
from cpart_core.model.decoder import Decoder
from cpart_core.model.fusion.attention import Attention
from cpart_core.model.generate import generate, generate_batch
from cpart_core.model.permute import apply_partition, partition_of
from cpart_core.partition.partition import Partition
from cpart_core.settings.fields.method import with_flat
from cpart_core.settings.model import ModelSettings

TINY = ModelSettings(
    num_layers=2,
    width=32,
    num_heads=4,
    num_kv_heads=2,
    num_neurons=72,
    shared_neurons=8,
    num_segments=8,
    context_length=24,
    fusion=Attention(fusion_width=8),
)
FUSIONS = [
    ("uniform", "token"),
    ("attention", "token"),
    ("attention", "document"),
    ("random", "token"),
    ("random", "document"),
]


def tiny(**changes: object) -> Decoder:
    return Decoder(with_flat(TINY, changes, "model"), vocabulary_size=50, seed=3)


def some_ids(rows: int = 2, length: int = 24) -> torch.Tensor:
    return torch.randint(0, 50, (rows, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("execution", ["dense", "soft", "topk"])
@pytest.mark.parametrize(("fusion", "pooling"), FUSIONS)
def test_no_logit_depends_on_a_later_token(execution: str, fusion: str, pooling: str) -> None:
    model = tiny(execution=execution, fusion=fusion, pooling=pooling)
    seen: list[torch.Tensor] = []
    hook = model.layers[0].register_forward_pre_hook(
        lambda _, args: seen.append(args[0].requires_grad_())
    )
    start = torch.tensor([[0] * 24, [0] * 10 + [10] * 14])
    logits = model(some_ids(), start)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[:, 11].square().sum(), seen[0])
    assert gradient[:, 12:].abs().max() == 0
    assert gradient[:, 11].abs().min() > 0


def test_document_pooling_starts_anew_at_each_document() -> None:
    model = tiny(execution="soft", pooling="document")
    fusion = model.feedforwards()[0].fusion
    x = torch.randn(1, 12, 32, generator=torch.Generator().manual_seed(1))
    start = torch.tensor([[0] * 5 + [5] * 7])
    together = fusion(x, start)
    assert torch.allclose(together[:, :5], fusion(x[:, :5], None), atol=1e-6)
    assert torch.allclose(together[:, 5:], fusion(x[:, 5:], None), atol=1e-6)


def test_the_oracle_is_its_table_and_reads_nothing_without_labels() -> None:
    model = tiny(execution="topk", fusion="oracle")
    table = torch.zeros(3, 8).scatter(
        1, torch.tensor([[5, 2], [0, 1], [7, 3]]), torch.tensor([[0.8, 0.2]] * 3)
    )
    for layer in model.feedforwards():
        layer.fusion.take_affinity(table)
    context = torch.tensor([[0] * 24, [2] * 12 + [-1] * 12])
    logits = model(some_ids(), context_BT=context)
    alpha = model.feedforwards()[0].last_alpha
    torch.testing.assert_close(alpha[0], table[0].expand(24, 8))
    torch.testing.assert_close(
        alpha[1], torch.cat([table[2].expand(12, 8), torch.full((12, 8), 1 / 8)])
    )
    changed = some_ids().clone()
    changed[:, 12:] = 49
    torch.testing.assert_close(model(changed, context_BT=context)[:, :12], logits[:, :12])
    fusion = model.feedforwards()[0].fusion
    fusion.take_affinity(torch.zeros(2, 8))  # contexts that no batch has shown yet
    assert (fusion.table[:2] == 1 / 8).all() and torch.equal(fusion.table[2], table[2])
    with pytest.raises(ValueError, match="oracle"):
        model(some_ids())
    with pytest.raises(ValueError, match="choose a run whose fusion is attention"):
        list(generate(model, [1, 2], max_tokens=3))


@pytest.mark.parametrize("shared", [0, 8])
def test_uniform_fusion_is_the_dense_layer(shared: int) -> None:
    settings = {"num_neurons": 64 + shared, "shared_neurons": shared, "fusion": "uniform"}
    dense, soft = tiny(execution="dense", **settings), tiny(execution="soft", **settings)
    torch.testing.assert_close(soft(some_ids()), dense(some_ids()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooling", ["token", "document"])
def test_topk_is_soft_with_the_other_weights_zeroed(pooling: str) -> None:
    topk, soft = (
        tiny(execution="topk", top_k=3, pooling=pooling),
        tiny(execution="soft", pooling=pooling),
    )
    for layer in soft.feedforwards():
        full = layer.weights

        def zeroed(alpha: torch.Tensor, full: object = full) -> tuple[torch.Tensor, None]:
            weight, _ = full(alpha)  # type: ignore[operator]
            chosen = alpha.topk(3, dim=-1).indices
            return weight * torch.zeros_like(weight).scatter(-1, chosen, 1.0), None

        layer.weights = zeroed  # type: ignore[method-assign, assignment]
    torch.testing.assert_close(topk(some_ids()), soft(some_ids()), rtol=1e-5, atol=1e-6)
    topk(some_ids()).square().mean().backward()
    soft(some_ids()).square().mean().backward()
    for (name, a), (_, b) in zip(topk.named_parameters(), soft.named_parameters(), strict=True):
        torch.testing.assert_close(
            a.grad, b.grad, rtol=1e-4, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}"
        )


@pytest.mark.parametrize("execution", ["soft", "topk"])
def test_permuting_segments_permutes_weights_and_nothing_else(execution: str) -> None:
    model, turned = tiny(execution=execution), tiny(execution=execution)
    order = torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])
    old = partition_of(turned)
    name = torch.empty(8, dtype=torch.int16)
    name[order] = torch.arange(8, dtype=torch.int16)
    renamed = old.segment_of.copy()
    renamed[old.segment_of >= 0] = name.numpy()[old.segment_of[old.segment_of >= 0]]
    apply_partition(turned, Partition(renamed, 8))
    for layer in turned.feedforwards():
        layer.fusion.keys.data = layer.fusion.keys.data[order]
    with torch.no_grad(), capture(model) as before, capture(turned) as after:
        torch.testing.assert_close(turned(some_ids()), model(some_ids()), rtol=1e-5, atol=1e-5)
        with capture(model) as before:
            model(some_ids())
        with capture(turned) as after:
            turned(some_ids())
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(b.alpha, a.alpha[..., order])
        torch.testing.assert_close(b.norm, a.norm[..., order], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("execution", ["dense", "soft", "topk"])
def test_captured_contributions_add_up_to_the_layers_output(execution: str) -> None:
    model = tiny(execution=execution)
    outputs: list[torch.Tensor] = []
    for layer in model.feedforwards():
        layer.register_forward_hook(lambda _, __, y: outputs.append(y))
    with torch.no_grad(), capture(model) as layers:
        model(some_ids())
        for item, y in zip(layers, outputs, strict=True):
            torch.testing.assert_close(
                sum(item.output(s) for s in range(-1, 8)), y, rtol=1e-4, atol=1e-6
            )


@pytest.mark.parametrize(
    ("execution", "pooling"),
    [("dense", "token"), ("soft", "document"), ("topk", "document"), ("topk", "token")],
)
def test_generation_with_a_cache_equals_reading_everything_anew(
    execution: str, pooling: str
) -> None:
    model = tiny(execution=execution, pooling=pooling)
    given = [1, 2, 3]
    made = list(generate(model, given, max_tokens=10, temperature=0))
    whole = model(torch.tensor([given + made]))[0, len(given) - 1 : -1].argmax(dim=-1)
    assert made == whole.tolist()


@pytest.mark.parametrize(
    ("execution", "pooling"),
    [("dense", "token"), ("soft", "document"), ("topk", "document"), ("topk", "token")],
)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_many_texts_at_once_are_written_as_each_alone(
    execution: str, pooling: str, temperature: float
) -> None:
    model = tiny(execution=execution, pooling=pooling)
    prompts, seeds = [[1, 2, 3], [7], [4, 4, 9, 30, 2, 8], [5, 6, 7], [1] * 22], [0, 1, 2, 3, 4]
    alone = [
        list(generate(model, ids, max_tokens=9, temperature=temperature, seed=seed))
        for ids, seed in zip(prompts, seeds, strict=True)
    ]
    assert (
        generate_batch(model, prompts, max_tokens=9, temperature=temperature, seeds=seeds) == alone
    )
    stop = alone[0][4]
    cut = [ids[: ids.index(stop)] if stop in ids else ids for ids in alone]
    assert (
        generate_batch(
            model, prompts, max_tokens=9, temperature=temperature, seeds=seeds, stop=stop
        )
        == cut
    )
    assert generate_batch(model, [], max_tokens=3) == []
    with pytest.raises(ValueError, match="2 seeds for 1 prompts"):
        generate_batch(model, [[1]], max_tokens=3, seeds=[0, 1])


def test_sampling_keeps_its_word() -> None:
    model = tiny()
    assert list(generate(model, [5], max_tokens=9, seed=4)) == list(
        generate(model, [5], max_tokens=9, seed=4)
    )
    assert list(generate(model, [5], max_tokens=9, seed=4)) != list(
        generate(model, [5], max_tokens=9, seed=5)
    )
    greedy = list(generate(model, [5], max_tokens=9, temperature=0))
    assert list(generate(model, [5], max_tokens=9, top_k=1)) == greedy
    assert list(generate(model, [5], max_tokens=9, top_p=1e-6)) == greedy
    assert (
        list(generate(model, [5], max_tokens=9, temperature=0, stop=greedy[3]))
        == greedy[: greedy.index(greedy[3])]
    )
    with pytest.raises(ValueError, match="at most 24"):
        next(generate(model, [1] * 24, max_tokens=1))
    with pytest.raises(ValueError, match="temperature is 11"):
        next(generate(model, [1], max_tokens=1, temperature=11))


def test_captured_gradients_are_those_of_the_activations() -> None:
    for execution in ("dense", "soft", "topk"):
        model = tiny(execution=execution)
        with capture(model, gradients=True) as layers:
            model(some_ids()).square().sum().backward()
            assert all(item.contribution.sum() > 0 for item in layers), execution
