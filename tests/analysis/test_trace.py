"""A trace says what the model does; a continuation's trace is that of its whole text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cpart_core.analysis.text.trace import Sampling, trace_continuation, trace_text
from tests.analysis.made import MODEL, made_corpus, made_source

SOFT = replace(MODEL, execution="soft")
DENSE = replace(MODEL, execution="dense")


@pytest.fixture(scope="module")
def corpus():
    return made_corpus()


@pytest.mark.parametrize("settings", [MODEL, SOFT, DENSE], ids=["topk", "soft", "dense"])
def test_trace_is_the_direct_forward(corpus, settings):
    source = made_source(corpus, settings)
    trace = trace_text(source, "abc bcd 12")
    ids = torch.tensor([source.tokenizer.encode("abc bcd 12")])
    with torch.no_grad():
        log_probability = source.model(ids)[0].log_softmax(dim=-1)
    assert np.isnan(trace.loss[0])
    expected = -log_probability[:-1].gather(1, ids[0, 1:, None]).squeeze(1)
    np.testing.assert_allclose(trace.loss[1:], expected, rtol=1e-5)
    assert "".join(trace.tokens) == "abc bcd 12" and trace.prompt_tokens == len(trace.tokens)
    np.testing.assert_allclose(trace.alpha.sum(axis=2), 1.0, rtol=1e-5)
    for layer, feedforward in enumerate(source.model.feedforwards()):
        np.testing.assert_allclose(
            trace.alpha[layer], feedforward.last_alpha[0].numpy(), rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            trace.weight[layer], feedforward.last_weight[0].numpy(), rtol=1e-4, atol=1e-6
        )
    computed = (trace.weight > 0).sum(axis=2)
    assert np.all(
        computed == (settings.top_k if settings.execution == "topk" else settings.num_segments)
    )
    assert np.all((trace.norm > 0) == (trace.weight > 0)) and np.all(trace.shared_norm > 0)
    np.testing.assert_allclose(
        trace.entropy, -(trace.alpha * np.log2(trace.alpha)).sum(axis=2), rtol=1e-4
    )


def test_too_long_a_text_is_cut_and_said(corpus):
    source = made_source(corpus)
    trace = trace_text(source, "abc " * 100)
    assert (
        len(trace.tokens) == MODEL.context_length
        and trace.text == "".join(trace.tokens) != "abc " * 100
    )
    with pytest.raises(ValueError, match="empty"):
        trace_text(source, "")


def test_continuation_is_traced_whole_and_told_as_it_grows(corpus, monkeypatch):
    monkeypatch.setattr("cpart_core.analysis.text.trace.SECONDS_BETWEEN_PARTIALS", 0.0)
    source, told = made_source(corpus), []
    sampling = Sampling(max_tokens=6, temperature=1.0, top_k=5, top_p=1.0, seed=3)
    trace = trace_continuation(
        source, "abc 12", sampling, lambda share, say, partial=None: told.append(partial)
    )
    partials = [partial for partial in told if partial]
    assert trace.prompt_tokens == len(source.tokenizer.encode("abc 12"))
    assert [len(partial["tokens"]) for partial in partials[:-1]] == list(
        range(trace.prompt_tokens, len(trace.tokens))
    )
    with torch.no_grad():
        source.model(torch.from_numpy(trace.token_ids)[None])
    np.testing.assert_allclose(
        trace.alpha[1], source.model.feedforwards()[1].last_alpha[0].numpy(), atol=1e-6
    )
    for partial in partials:
        count = len(partial["tokens"])
        assert partial["tokens"] == list(trace.tokens[:count])
        np.testing.assert_allclose(
            partial["strength"], trace.alpha.max(axis=2).T[:count], atol=1e-4
        )
        assert partial["strongest"] == trace.alpha.argmax(axis=2).T[:count].tolist()
    again = trace_continuation(source, "abc 12", sampling)
    np.testing.assert_array_equal(again.token_ids, trace.token_ids)
    long = trace_continuation(source, "abc " * 100, replace(sampling, max_tokens=1000))
    assert (
        long.prompt_tokens == MODEL.context_length // 2 and len(long.tokens) <= MODEL.context_length
    )
