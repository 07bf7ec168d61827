"""Laws of interventions: what they change, what they leave, and that nothing stays behind."""

from __future__ import annotations

import pytest
import torch

from cpart_core.model.capture import capture
from cpart_core.model.decoder import Decoder
from cpart_core.model.generate import generate
from cpart_core.model.intervention import Intervention, NeuronAblation, intervene
from tests.model.test_decoder import some_ids, tiny

EXECUTIONS = pytest.mark.parametrize("execution", ["dense", "soft", "topk"])
CHOOSING = pytest.mark.parametrize("execution", ["soft", "topk"])


def outputs(model: Decoder) -> list[torch.Tensor]:
    """What every feed-forward layer added in one forward."""
    seen: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, y: seen.append(y))
        for layer in model.feedforwards()
    ]
    with torch.no_grad():
        model(some_ids())
    for hook in hooks:
        hook.remove()
    return seen


@EXECUTIONS
def test_a_neutral_change_changes_nothing(execution: str) -> None:
    model = tiny(execution=execution)
    plain = model(some_ids())
    with intervene(
        model,
        [
            Intervention(0, 3, "scale", 1.0),
            Intervention(1, -1, "scale", 1.0),
            NeuronAblation(1, ()),
        ],
    ):
        # to rounding: looking in takes the plain execution
        torch.testing.assert_close(model(some_ids()), plain, rtol=1e-5, atol=1e-6)


@EXECUTIONS
def test_without_any_segment_only_the_shared_one_is_left(execution: str) -> None:
    model = tiny(execution=execution)
    with torch.no_grad(), capture(model) as layers:
        model(some_ids())
        shared = layers[0].output(-1)
    with intervene(model, [Intervention(0, segment, "ablate") for segment in range(8)]):
        torch.testing.assert_close(outputs(model)[0], shared, rtol=1e-5, atol=1e-6)
    with intervene(model, [Intervention(0, segment, "ablate") for segment in range(-1, 8)]):
        assert outputs(model)[0].abs().max() == 0


@EXECUTIONS
@pytest.mark.parametrize("segment", [-1, 0, 5])
def test_ablating_takes_away_exactly_what_was_captured(execution: str, segment: int) -> None:
    model = tiny(execution=execution)
    plain = outputs(model)[0]
    with torch.no_grad(), capture(model) as layers:
        model(some_ids())
        given = layers[0].output(segment)
    assert given.abs().max() > 0
    for factor, change in (
        (0.0, Intervention(0, segment, "ablate")),
        (2.5, Intervention(0, segment, "scale", 2.5)),
    ):
        with intervene(model, [change]):
            torch.testing.assert_close(
                outputs(model)[0], plain + (factor - 1) * given, rtol=1e-4, atol=1e-6
            )


@EXECUTIONS
def test_captured_contributions_still_add_up(execution: str) -> None:
    model = tiny(execution=execution)
    with intervene(
        model,
        [
            Intervention(0, 2, "scale", 3.0),
            Intervention(0, -1, "scale", 0.5),
            NeuronAblation(0, (9, 40)),
            Intervention(0, 1, "forbid"),
        ],
    ):
        with torch.no_grad(), capture(model) as layers:
            model(some_ids())
            total = sum(layers[0].output(segment) for segment in range(-1, 8))
        torch.testing.assert_close(outputs(model)[0], total, rtol=1e-4, atol=1e-6)


@CHOOSING
def test_a_forbidden_segment_is_never_chosen_and_the_others_share_its_mass(execution: str) -> None:
    model = tiny(execution=execution)
    model(some_ids())
    before = model.feedforwards()[0].last_alpha
    with intervene(model, [Intervention(0, 2, "forbid")]):
        model(some_ids())
        layer = model.feedforwards()[0]
        assert layer.last_alpha is not None and layer.last_weight is not None and before is not None
        assert layer.last_alpha[..., 2].max() == 0 and layer.last_weight[..., 2].max() == 0
        torch.testing.assert_close(layer.last_alpha.sum(dim=-1), torch.ones(2, 24))
        others = [s for s in range(8) if s != 2]
        torch.testing.assert_close(
            layer.last_alpha[..., others], before[..., others] / (1 - before[..., 2:3])
        )
        assert (layer.last_weight > 0).sum(dim=-1).unique().tolist() == [
            2 if execution == "topk" else 7
        ]


@CHOOSING
def test_keeping_fewer_than_top_k_computes_those_alone(execution: str) -> None:
    model = tiny(execution=execution)
    with intervene(
        model, [Intervention(layer, s, "forbid") for layer in range(2) for s in range(8) if s != 4]
    ):
        model(some_ids())
        for layer in model.feedforwards():
            assert layer.last_weight is not None
            torch.testing.assert_close(layer.last_weight, torch.eye(8)[4].expand(2, 24, 8) * 8)


@CHOOSING
def test_a_forced_segment_is_chosen_at_the_strongest_weight(execution: str) -> None:
    model = tiny(execution=execution)
    model(some_ids())
    before = model.feedforwards()[0].last_weight
    with intervene(model, [Intervention(0, 6, "force")]):
        model(some_ids())
    weight = model.feedforwards()[0].last_weight
    assert weight is not None and before is not None
    torch.testing.assert_close(weight[..., 6], before.amax(dim=-1))
    if execution == "soft":
        assert torch.equal(weight[..., :6], before[..., :6])
        return
    assert (weight > 0).sum(dim=-1).unique().tolist() == [2]
    stays = before == before.amax(dim=-1, keepdim=True)
    assert torch.equal(weight[stays], before[stays]), (
        "the strongest of the others stays; the weakest chosen one made room"
    )


def test_where_nothing_is_chosen_forbid_is_ablate_and_force_is_refused() -> None:
    model = tiny(execution="dense")
    with intervene(model, [Intervention(0, 3, "ablate")]):
        ablated = model(some_ids())
    with intervene(model, [Intervention(0, 3, "forbid")]):
        assert torch.equal(model(some_ids()), ablated)
    with (
        pytest.raises(ValueError, match="none can be forced"),
        intervene(model, [Intervention(0, 3, "force")]),
    ):
        pass


@EXECUTIONS
def test_ablating_all_neurons_of_a_segment_is_ablating_it(execution: str) -> None:
    model = tiny(execution=execution)
    layer = model.feedforwards()[1]
    neurons = tuple(layer.neuron_id[layer.segment_of_row() == 5].tolist())
    with intervene(model, [Intervention(1, 5, "ablate")]):
        wanted = model(some_ids())
    with intervene(model, [NeuronAblation(1, neurons)]):
        torch.testing.assert_close(model(some_ids()), wanted, rtol=1e-5, atol=1e-6)


@EXECUTIONS
def test_nothing_stays_behind_and_blocks_add_up(execution: str) -> None:
    model = tiny(execution=execution)
    plain = model(some_ids())
    with pytest.raises(KeyError), intervene(model, [Intervention(0, 1, "ablate")]):
        raise KeyError("stopped half-way")
    assert torch.equal(model(some_ids()), plain)
    with intervene(model, [Intervention(0, 1, "ablate"), Intervention(1, 2, "scale", 0.5)]):
        both = model(some_ids())
    with intervene(model, [Intervention(0, 1, "ablate")]):
        with intervene(model, [Intervention(1, 2, "scale", 0.5)]):
            assert torch.equal(model(some_ids()), both)
        assert not torch.equal(model(some_ids()), both)
    assert all(layer.intervention is None for layer in model.feedforwards())


@pytest.mark.parametrize(
    ("execution", "change"),
    [
        ("topk", Intervention(0, 1, "force")),
        ("topk", Intervention(1, 0, "forbid")),
        ("soft", Intervention(0, 2, "forbid")),
        ("dense", NeuronAblation(1, tuple(range(50)))),
    ],
)
def test_generation_with_a_cache_honours_it(
    execution: str, change: Intervention | NeuronAblation
) -> None:
    model = tiny(execution=execution, pooling="document")
    given = [1, 2, 3]
    with intervene(model, [change]):
        made = list(generate(model, given, max_tokens=10, temperature=0))
        whole = model(torch.tensor([given + made]))[0, len(given) - 1 : -1].argmax(dim=-1)
    assert made == whole.tolist()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ([Intervention(2, 0, "ablate")], "no layer 2; this model has layers 0 to 1"),
        ([Intervention(0, 8, "ablate")], "no segment 8"),
        ([Intervention(0, 0, "remove")], "allowed: ablate, force, forbid, scale"),
        ([Intervention(0, 0, "scale", float("nan"))], "finite number"),
        ([Intervention(0, -1, "forbid")], "ablate or scale it"),
        ([NeuronAblation(0, (72,))], "no neuron 72 in layer 0"),
        ([Intervention(0, s, "forbid") for s in range(8)], "Every segment of a layer is forbidden"),
        ([Intervention(0, s, "force") for s in range(3)], "only 2 are chosen"),
        ([Intervention(0, 1, "force"), Intervention(0, 1, "forbid")], "both forced and forbidden"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    changes: list[Intervention], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence), intervene(tiny(execution="topk"), changes):
        pass
