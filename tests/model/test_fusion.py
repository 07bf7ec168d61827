"""Laws of the fusion contract, for every fusion in the list: what one says of itself is so."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from cpart_core.model.decoder import Decoder
from cpart_core.model.fusion.base import Size
from cpart_core.model.fusion.layer import FusionLayer
from cpart_core.model.fusion.methods import FUSIONS
from cpart_core.settings.model import ModelSettings
from cpart_core.settings.run import Settings
from cpart_core.training.estimate import count_parameters

S, D, B, T = 5, 12, 2, 7
each = pytest.mark.parametrize("name", FUSIONS)


def made(name: str) -> FusionLayer:
    """With weights drawn, and the table of one that takes affinities filled."""
    layer = FusionLayer(FUSIONS[name](), S, D)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(generator=generator)
    if layer.method.takes_affinities:
        layer.take_affinity(torch.rand(3, S, generator=generator).softmax(dim=-1))
    if layer.method.needs_context:
        layer.set_context(torch.randint(0, 3, (B, T), generator=generator))
    return layer


def tokens() -> tuple[torch.Tensor, torch.Tensor]:
    """(x [B, T, D], where each token's document begins [B, T])."""
    start = torch.tensor([[0, 0, 0, 3, 3, 3, 3], [0] * T])
    return torch.randn(B, T, D, generator=torch.Generator().manual_seed(1)), start


@each
def test_what_it_counts_is_what_its_module_holds(name):
    layer = made(name)
    assert layer.method.num_parameters(Size(S, D)) == sum(p.numel() for p in layer.parameters())
    settings = Settings().with_values({"fusion": name, "execution": "soft"})
    model = Decoder(settings.model, settings.corpus.vocabulary_size)
    assert count_parameters(settings) == sum(p.numel() for p in model.parameters())


@each
def test_alpha_is_a_distribution_that_follows_from_weights_as_it_says(name):
    layer, (x, start) = made(name), tokens()
    alpha = layer(x, start)
    assert alpha.shape == (B, T, S) and alpha.dtype == torch.float32
    assert torch.allclose(alpha.sum(dim=-1), torch.ones(B, T), atol=1e-6) and (alpha >= 0).all()
    assert alpha.requires_grad == layer.method.learns
    assert (alpha - alpha[:1, :1]).abs().max().gt(1e-3) == layer.method.differs_by_token
    if layer.method.learns:
        alpha[..., 0].sum().backward()
        assert all(parameter.grad.abs().max() > 0 for parameter in layer.parameters())


@each
def test_it_never_looks_ahead(name):
    layer, (x, start) = made(name), tokens()
    x.requires_grad_(True)
    alpha = layer(x, start)[0, 4]
    if alpha.requires_grad:
        (gradient,) = torch.autograd.grad((alpha * torch.arange(S)).sum(), x)
        assert gradient[0, 5:].abs().max() == 0 and gradient[0, :3].abs().max() == 0
        assert gradient[1].abs().max() == 0 and gradient[0, 4].abs().max() > 0


@each
def test_cut_away_it_weighs_what_is_left_as_if_the_rest_were_forbidden(name):
    layer, (x, start), kept = made(name), tokens(), [1, 2, 4]
    smaller = FusionLayer(layer.method, len(kept), D)
    smaller.load_state_dict(layer.carved(kept))
    smaller.context_BT = layer.context_BT
    left = layer(x, start)[..., kept]
    assert torch.allclose(smaller(x, start), left / left.sum(dim=-1, keepdim=True), atol=1e-6)


@each
def test_one_token_changed_is_one_token_changed(name):
    layer, (x, start) = made(name), tokens()
    other = x + 1.0
    with torch.no_grad():
        found = layer.one_changed(other, x, start)
        for t in range(T):
            changed = x.clone()
            changed[:, t] = other[:, t]
            assert torch.allclose(layer(changed, start)[:, t], found[:, t], atol=1e-6)


@each
def test_without_its_context_it_refuses_or_needs_none(name):
    model = Decoder(
        replace(ModelSettings(), fusion=FUSIONS[name](), execution="soft", num_layers=1), 300
    )
    ids = torch.zeros(1, 4, dtype=torch.int64)
    if FUSIONS[name].needs_context:
        with pytest.raises(ValueError, match=f"fusion is the {name}: it is told the true context"):
            model(ids)
        assert model(ids, context_BT=ids).isfinite().all()
    else:
        assert model(ids).isfinite().all()


def test_names_in_checkpoints_and_the_order_of_chance_stay():
    """Weights are drawn in this order from one generator, and lie in files under these names."""
    names = {name: list(FusionLayer(FUSIONS[name](), S, D).state_dict()) for name in FUSIONS}
    assert names == {
        "uniform": [],
        "attention": ["w_query", "keys"],
        "random": ["w_query", "keys"],
        "oracle": ["table"],
    }


def test_asking_a_fusion_loads_no_torch():
    said = "import sys, cpart_core.model.fusion.methods; print({'torch', 'numpy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
