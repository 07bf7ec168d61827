"""Laws of training: same seed, same records; resume equals never having stopped; repartitioning
disturbs nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from cpart_core.corpus.tensors import TokenTensors, token_tensors
from cpart_core.model.permute import apply_partition, partition_of
from cpart_core.partition.partition import Partition
from cpart_core.records.training import Record
from cpart_core.training.failure import NonFiniteLoss
from cpart_core.training.loop import Trainer
from cpart_core.training.losses import affinity_targets
from cpart_core.training.objective import Counted, NextToken, StepLoss
from cpart_core.training.schedule import is_frozen, partition_due
from tests.training.made import made_corpus, made_settings


def loss_of(trainer: Trainer, tokens: TokenTensors) -> StepLoss:
    """As a step computes it, of rows that are a whole batch."""
    known = int((tokens.context >= 0).sum())
    return NextToken().loss(trainer.state, tokens, Counted(tokens.context.numel(), known))


def comparable(record: Record) -> list[object]:
    """A record as nested lists of exact values, without what depends on the clock or the
    process."""

    def plain(value: object) -> object:
        if dataclasses.is_dataclass(value):
            return [
                plain(getattr(value, f.name))
                for f in dataclasses.fields(value)
                if f.name not in ("seconds", "memory_bytes")
            ]
        return value.tobytes() if isinstance(value, np.ndarray) else value

    return plain(record)  # type: ignore[return-value]


def test_same_seed_same_records_and_another_seed_others() -> None:
    corpus = made_corpus()
    runs = [
        [comparable(r) for r in Trainer(made_settings(seed=seed, steps=6), corpus)]
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("stop", [3, 5, 9])
@pytest.mark.parametrize(
    "changes",
    [{}, {"method": "cocluster", "balance": "global", "execution": "soft"}, {"shared_neurons": 8}],
)
def test_resume_equals_never_having_stopped(stop: int, changes: dict[str, object]) -> None:
    labelled = "method" not in changes
    corpus, settings = made_corpus(labelled), made_settings(steps=12, **changes)
    whole = Trainer(settings, corpus)
    records = [comparable(r) for r in whole]
    first = Trainer(settings, corpus)
    for record in first:
        if record.step == stop:
            break
    second = Trainer(settings, corpus)
    second.restore(
        {k: v.clone() for k, v in first.model.state_dict().items()},
        {k: v.clone() for k, v in first.state_tensors().items()},
        first.state_numbers(),
    )
    assert [comparable(r) for r in second] == records[stop:]
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name


def test_repartitioning_before_fusion_changes_neither_the_function_nor_the_next_steps() -> None:
    corpus, settings = (
        made_corpus(),
        made_settings(method="contiguous", fusion="uniform", execution="soft", steps=12),
    )
    plain, moved = Trainer(settings, corpus), Trainer(settings, corpus)
    for trainer in (plain, moved):
        for _ in range(6):
            trainer.train_step()
    old = partition_of(moved.model)
    rng = np.random.default_rng(0)
    apply_partition(
        moved.model,
        Partition(np.stack([rng.permutation(row) for row in old.segment_of]), 4),
        moved.state.optimizer,
    )
    assert not torch.equal(
        moved.model.layers[0].feedforward.neuron_id, plain.model.layers[0].feedforward.neuron_id
    )
    for _ in range(6):
        assert plain.train_step().loss == pytest.approx(moved.train_step().loss, rel=1e-5)
    back = [layer.neuron_id.argsort() for layer in moved.model.feedforwards()]
    for number, layer in enumerate(plain.model.feedforwards()):
        own = layer.neuron_id.argsort()
        torch.testing.assert_close(
            moved.model.feedforwards()[number].w_up[back[number]],
            layer.w_up[own],
            rtol=1e-4,
            atol=1e-6,
        )


def test_signatures_equal_a_removal_to_first_order() -> None:
    trainer = Trainer(made_settings(execution="soft", steps=4, signature_decay=0.0), made_corpus())
    for _ in trainer:
        pass
    tokens = token_tensors(trainer.state.text.batches.batch(99))
    small, layer = 1e-3, trainer.model.feedforwards()[1]

    def summed_loss() -> float:
        with torch.no_grad():
            return float(loss_of(trainer, tokens).losses_BT.double().sum())

    sums = trainer.state.signatures
    sums.total.zero_(), sums.count.zero_()
    with sums.measure(trainer.model, tokens.context):
        loss_of(trainer, tokens).total.backward()
    mean, count = sums.mean()[1], sums.count.cpu().numpy()
    assert count.sum() == tokens.context.numel()
    bound = (mean * count).sum(axis=1)
    before = summed_loss()
    for row in (0, 7, 31):
        with torch.no_grad():
            layer.w_down[:, row] *= 1 - small
        removed = summed_loss() - before
        with torch.no_grad():
            layer.w_down[:, row] /= 1 - small
        # |sum over tokens of a dL/da| <= sum over tokens of |a dL/da|, and it is what a removal
        # changes.
        assert abs(removed) / small <= bound[layer.neuron_id[row]] * 1.02 + 1e-3


def test_a_single_tokens_signature_is_its_removal() -> None:
    """With one token in the loss and in the sum the bound above is an equality."""
    trainer = Trainer(made_settings(execution="soft", steps=3, affinity_weight=0.0), made_corpus())
    for _ in trainer:
        pass
    ids = token_tensors(trainer.state.text.batches.batch(50)).ids[:1, :2]
    zero = torch.zeros(1, 1, dtype=torch.long)
    tokens = TokenTensors(ids, start=zero, context=zero)
    sums = trainer.state.signatures
    sums.total.zero_(), sums.count.zero_()
    with sums.measure(trainer.model, tokens.context):
        loss_of(trainer, tokens).total.backward()
    layer, small = trainer.model.feedforwards()[0], 0.1
    for row in (3, 20, 40):
        losses = []
        for scale in (1 - small, 1 + small):
            with torch.no_grad():
                layer.w_down[:, row] *= scale
                losses.append(float(loss_of(trainer, tokens).losses_BT.double().sum()))
                layer.w_down[:, row] /= scale
        slope = abs(losses[1] - losses[0]) / (2 * small)
        assert sums.mean()[0, layer.neuron_id[row], 0] == pytest.approx(slope, rel=0.02, abs=2e-5)


def test_learning_happens_and_segments_follow_planted_contexts() -> None:
    trainer = Trainer(
        made_settings(
            steps=60,
            learning_rate=0.01,
            first_step=20,
            every=10,
            freeze_step=40,
            fusion_step=40,
            evaluate_every=60,
        ),
        made_corpus(),
    )
    records = list(trainer)
    assert records[-1].evaluation.loss < 0.6 * records[0].evaluation.loss  # type: ignore[union-attr]
    changes = [r.change for r in records if r.change]
    assert [c.frozen for c in changes] == [False, False, True]
    shot = records[-1].snapshot
    assert shot is not None and shot.partitioned and shot.frozen
    np.testing.assert_allclose(shot.fusion_mass.sum(axis=2), 1.0, rtol=1e-4)
    np.testing.assert_allclose(shot.chosen_share.sum(axis=2), 2.0, rtol=1e-4)


def test_an_oracle_sends_each_context_to_the_segments_of_its_neurons() -> None:
    trainer = Trainer(made_settings(fusion="oracle", steps=12, affinity_weight=0.0), made_corpus())
    records = list(trainer)
    assert records[-1].affinity_loss == 0.0
    shot = records[-1].snapshot
    assert shot is not None and trainer.state.targets is not None
    np.testing.assert_allclose(shot.fusion_mass, trainer.state.targets.numpy(), rtol=1e-4)
    np.testing.assert_allclose(np.sort(shot.chosen_share, axis=2)[:, :, -2:], 1.0)


def test_contexts_without_labels_are_discovered() -> None:
    corpus = made_corpus(labelled=False)
    trainer = Trainer(
        made_settings(steps=30, first_step=24, every=0, freeze_step=24, fusion_step=26), corpus
    )
    found = [r.discovery for r in trainer if r.discovery]
    assert len(found) == 1
    truth = [title.split()[0] for title in corpus.train.titles]
    for context in range(3):
        names = [
            name
            for name, label in zip(truth, found[0].train_context, strict=True)
            if label == context
        ]
        assert max(names.count(name) for name in set(names)) >= 0.9 * len(names), (
            "made contexts share no word; they must be told apart"
        )


def test_a_loss_that_is_no_number_is_said_and_leaves_the_last_weights() -> None:
    trainer = Trainer(made_settings(), made_corpus())
    trainer.train_step()
    good = trainer.model.embedding.detach().clone()
    trainer.model.layers[0].attention.w_out.data[0, 0] = float("nan")
    with pytest.raises(NonFiniteLoss, match="step 2"):
        trainer.train_step()
    assert torch.equal(trainer.model.embedding, good)


def test_schedule_and_freeze_agree() -> None:
    for changes in (
        {},
        {"every": 3, "freeze_step": 11},
        {"every": 0},
        {"method": "random"},
        {"freeze_step": 0},
    ):
        settings = made_settings(**changes).partition
        due = [step for step in range(100) if partition_due(step, settings)]
        assert due[0] == 4
        assert [step for step in range(100) if is_frozen(step, settings)] == list(
            range(due[-1], 100)
        ), changes


def test_affinity_targets_point_to_the_segment_of_the_contexts_neurons() -> None:
    signature = torch.tensor([[[9.0, 1.0], [8.0, 1.0], [1.0, 7.0], [1.0, 9.0], [50.0, 50.0]]])
    target = affinity_targets(signature, torch.tensor([[0, 0, 1, 1, -1]]), 2, sharpness=4.0)
    assert target.shape == (1, 2, 2)
    torch.testing.assert_close(target.sum(dim=-1), torch.ones(1, 2))
    assert target[0, 0, 0] > 0.95 and target[0, 1, 1] > 0.95
