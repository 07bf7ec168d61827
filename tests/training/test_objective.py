"""Laws of the objective: the default is what a plain loop does, a part moves alone and as it should,
and a resumed run of a part is one that never stopped."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cpart_core.corpus.tensors import token_tensors
from cpart_core.model.decoder import Decoder
from cpart_core.settings.run import Settings
from cpart_core.training.loop import Trainer
from cpart_core.training.moving import Block, Nothing, Parameters, Segments
from cpart_core.training.objective import NextToken, Objective
from cpart_core.training.optimizer import learning_rate
from cpart_core.training.process_group import ProcessGroup
from tests.training.made import made_corpus, made_settings
from tests.training.objectives import OBJECTIVES, Nudged
from tests.training.test_loop import comparable

SETTINGS = made_settings(shared_neurons=8, steps=12, weight_decay=0.1, balance="batch")
EVERYTHING = Parameters(("",))

each = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)


@pytest.fixture(scope="module")
def base() -> dict[str, Tensor]:
    """Weights after partitions and the beginning of fusion."""
    trainer = Trainer(SETTINGS, made_corpus())
    for _ in trainer:
        pass
    return {name: tensor.clone() for name, tensor in trainer.weights().items()}


def begun(objective: Objective, base: dict[str, Tensor], settings: Settings = SETTINGS) -> Trainer:
    trainer = Trainer(settings, made_corpus(), objective=objective)
    trainer.begin_from(base, fused=True)
    return trainer


def test_the_default_objective_is_a_plain_loop_bit_for_bit() -> None:
    settings = made_settings(execution="dense", steps=9, signature_every=100, first_step=50)
    trainer = Trainer(settings, made_corpus())
    records = list(trainer)
    model = Decoder(settings.model, trainer.corpus.vocabulary_size, settings.training.seed)
    named = dict(model.named_parameters())
    plain = [
        name for name in named if named[name].dim() < 2 or name.endswith(("keys", "embedding"))
    ]
    groups = [
        {"params": [named[name] for name in named if name not in plain], "weight_decay": 0.1},
        {"params": [named[name] for name in plain], "weight_decay": 0.0},
    ]
    training = settings.training
    assert training.weight_decay == 0.1
    optimizer = torch.optim.AdamW(groups, betas=(training.beta1, training.beta2), fused=True)
    for step, record in enumerate(records):
        tokens = token_tensors(trainer.state.text.batches.batch(step))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, training)
        losses = model(tokens.inputs, tokens.start, target_BT=tokens.targets)
        optimizer.zero_grad()
        (losses.sum() / losses.numel()).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip)
        optimizer.step()
        assert (record.loss, record.gradient_norm) == (float(losses.detach().mean()), float(norm))
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(parameter, named[name]), name


def test_a_part_that_is_everything_moves_as_the_whole_does() -> None:
    """Bit for bit, as long as there is nothing that belongs to the rest: no partition yet."""
    settings = made_settings(steps=3, signature_every=100)
    whole, part = (
        Trainer(settings, made_corpus(), objective=NextToken(part)) for part in (None, EVERYTHING)
    )
    assert [comparable(r) for r in whole] == [comparable(r) for r in part]
    for name, tensor in whole.weights().items():
        assert torch.equal(tensor, part.weights()[name]), name


@each
def test_what_does_not_move_stays_bit_for_bit(
    objective: Objective, base: dict[str, Tensor]
) -> None:
    trainer = begun(objective, base)
    records = list(trainer)
    assert [r.step for r in records] == list(range(1, 13)) and not any(r.change for r in records)
    blocks = objective.part.blocks(trainer.model)  # type: ignore[union-attr]
    after, moved = trainer.weights(), {block.parameter for block in blocks}
    for name, tensor in after.items():
        if name not in moved:
            assert torch.equal(tensor, base[name]), name
    for name in moved:
        still = torch.ones_like(base[name], dtype=torch.bool)
        for block in (block for block in blocks if block.parameter == name):
            still_here = cut(still, block)
            assert (cut(after[name], block) != cut(base[name], block)).any(), block.name
            still_here.fill_(False)
        assert torch.equal(after[name][still], base[name][still]), name
    nudge = trainer.state.moving.extra.get("nudge")
    assert nudge is None or (nudge != 0).all()
    held = sum(tensor.numel() for tensor in trainer.state.moving.parameters)
    known = sum(len(group["params"]) for group in trainer.state.optimizer.param_groups)
    assert known == len(trainer.state.moving.named) and held < 0.3 * sum(
        tensor.numel() for tensor in trainer.model.parameters()
    )
    for name, parameter in trainer.model.named_parameters():
        assert parameter.grad is None or name in moved, f"{name} was given a gradient"


def cut(tensor: Tensor, block: Block) -> Tensor:
    if block.end is None:
        return tensor
    return tensor.narrow(block.axis, block.first, block.end - block.first)


def test_a_block_moves_by_its_own_gradient_norm_and_decay(base: dict[str, Tensor]) -> None:
    """One step by hand: gradients of the whole model, of which AdamW is given the block alone."""
    part = Segments((1,))
    # what balances the load would reach a segment through the next layer's fusion
    trainer = begun(NextToken(part), base, SETTINGS.with_values({"balance": "off"}))
    record = trainer.train_step()
    model = Decoder(SETTINGS.model, trainer.corpus.vocabulary_size)
    model.load_state_dict(base)
    model.set_fused(True)
    tokens = token_tensors(trainer.state.text.batches.batch(0))
    model(tokens.inputs, tokens.start, target_BT=tokens.targets).mean().backward()
    named, training = dict(model.named_parameters()), SETTINGS.training
    blocks = part.blocks(model)
    entries = {}
    for block in blocks:
        entries[block.name] = torch.nn.Parameter(
            cut(named[block.parameter].detach(), block).clone()
        )
        entries[block.name].grad = cut(named[block.parameter].grad, block).clone()  # type: ignore[arg-type]
    norm = math.sqrt(sum(float(entry.grad.square().sum()) for entry in entries.values()))  # type: ignore[union-attr]
    torch.nn.utils.clip_grad_norm_(entries.values(), training.gradient_clip)
    torch.optim.AdamW(
        entries.values(),
        learning_rate(0, training),
        (training.beta1, training.beta2),
        weight_decay=training.weight_decay,
    ).step()
    assert record.gradient_norm == pytest.approx(norm, rel=1e-4)
    for block in blocks:
        torch.testing.assert_close(
            cut(trainer.weights()[block.parameter], block),
            entries[block.name].detach(),
            rtol=1e-4,
            atol=1e-6,
        )


@each
@pytest.mark.parametrize("stop", [1, 5])
def test_resume_of_a_part_equals_never_having_stopped(
    objective: Objective, stop: int, base: dict[str, Tensor]
) -> None:
    whole, first = begun(objective, base), begun(objective, base)
    records = [comparable(r) for r in whole]
    for record in first:
        if record.step == stop:
            break
    second = Trainer(SETTINGS, made_corpus(), objective=objective)
    second.restore(
        {name: tensor.clone() for name, tensor in first.weights().items()},
        {name: tensor.clone() for name, tensor in first.state_tensors().items()},
        first.state_numbers(),
    )
    assert [comparable(r) for r in second] == records[stop:]
    for mine, wanted in (
        (second.weights(), whole.weights()),
        (second.state_tensors(), whole.state_tensors()),
    ):
        assert mine.keys() == wanted.keys()
        for name, tensor in wanted.items():
            assert torch.equal(tensor, mine[name]), name


def test_the_state_of_another_objective_is_refused(base: dict[str, Tensor]) -> None:
    default = Trainer(SETTINGS, made_corpus())
    default.train_step()
    state = default.weights(), default.state_tensors(), default.state_numbers()
    with pytest.raises(ValueError, match="another objective, which moved embedding"):
        Trainer(SETTINGS, made_corpus(), objective=NextToken(Segments((1,)))).restore(*state)
    with pytest.raises(ValueError, match="extra.nudge"):
        Trainer(SETTINGS, made_corpus(), objective=Nudged()).restore(*state)


def test_what_cannot_move_is_said() -> None:
    for part, said in (
        (Segments((4,)), "no segment 4; it has 0 to 3"),
        (Segments((-2,)), "no segment -2"),
        (Parameters(("nokeys",)), "ends in 'nokeys'"),
    ):
        with pytest.raises(ValueError, match=said):
            Trainer(SETTINGS, made_corpus(), objective=NextToken(part))
    settings = SETTINGS.with_values({"parallel": "fsdp"})
    with pytest.raises(ValueError, match="with which nudge can be trained alone"):
        Trainer(settings, made_corpus(), ProcessGroup(0, 2), Nudged())
    for part in (Nothing(), Parameters(("fusion.keys",))):  # no fusion yet, and no affinity
        with pytest.raises(ValueError, match="Nothing that this run moves .* step 1"):
            Trainer(SETTINGS, made_corpus(), objective=NextToken(part)).train_step()
