"""One prompt, continued by several writers with the same seed: the trace of each, and what its text
is like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.coherence.embedder import Embedder, embedder_for
from cpart_core.analysis.coherence.judging import nats_of
from cpart_core.analysis.coherence.measure import drift_of
from cpart_core.analysis.coherence.prompts import Prompt, distinct, repetition
from cpart_core.analysis.coherence.writers import Candidate, candidates_of, judge_of
from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.analysis.source import Source
from cpart_core.analysis.text.trace import Sampling, trace_continuation
from cpart_core.model.intervention import intervene
from cpart_core.records.coherence import SideBySide, TextMeasures
from cpart_core.runs.folder import Run, open_run


class Start(NamedTuple):
    """What is continued. rest and random: the true continuation and another document's, empty for a
    person's own text."""

    prompt: Prompt
    random: str


def side_by_side(
    candidates: Sequence[Candidate],
    judge: Run,
    judge_source: Source,
    start: Start,
    sampling: Sampling,
    progress: Progress = silent,
) -> SideBySide:
    """Continuations of one prompt. Each ends where its writer ends it, so lengths may differ.
    ValueError for an empty prompt."""
    if not start.prompt.text.strip():
        raise ValueError("The prompt is empty. Type some text, or take a held-out document.")
    traces, texts = [], []
    for number, candidate in enumerate(candidates):
        part = part_of(
            progress, 0.9 * number / len(candidates), 0.9 * (number + 1) / len(candidates)
        )
        with intervene(candidate.source.model, candidate.changes):
            trace = trace_continuation(candidate.source, start.prompt.text, sampling, part)
        traces.append(trace)
        texts.append(
            candidate.source.tokenizer.decode(trace.token_ids[trace.prompt_tokens :].tolist())
        )
    progress(0.9, "Measuring the texts")
    if start.prompt.rest:
        length = max(map(len, texts), default=0)
        texts += [start.prompt.rest[:length], start.random[:length]]
    embedder = embedder_for(judge_source)
    first = candidates[0].writer
    return SideBySide(
        run=first.run,
        step=first.step,
        prompt=start.prompt.text,
        title=start.prompt.title,
        seed=sampling.seed,
        temperature=sampling.temperature,
        judge=judge_of(judge, judge_source, candidates, embedder),
        writers=tuple(candidate.writer for candidate in candidates),
        traces=tuple(traces),
        measures=measure_texts(judge_source, embedder, start.prompt.text, texts),
    )


def measure_texts(
    judge: Source, embedder: Embedder, prompt: str, texts: Sequence[str]
) -> tuple[TextMeasures, ...]:
    """What each continuation of the prompt is like; an empty one has no measures."""
    nats, tokens = nats_of(judge, [(prompt, text) for text in texts])
    vectors = embedder.embed([prompt, *texts])
    drift = drift_of(embedder, np.repeat(vectors[:1], len(texts), axis=0), texts)
    found = []
    for number, text in enumerate(texts):
        ids = judge.tokenizer.encode(text)
        near = float(vectors[0] @ vectors[number + 1]) if text else float("nan")
        found.append(
            TextMeasures(
                text,
                repetition(ids),
                distinct(ids),
                float(nats[number]),
                int(tokens[number]),
                near,
                drift[number],
            )
        )
    return tuple(found)


def answer(asked: Asked) -> SideBySide:
    """The request `side_by_side`."""
    values, sources = asked.values, asked.sources
    candidates = candidates_of(asked)
    judge = open_run(values["judge"])
    start = Start(Prompt(values["title"], "", values["text"], values["rest"]), values["random"])
    sampling = Sampling(values["max_tokens"], values["temperature"], 0, 1.0, values["seed"])
    judged_by = sources.source(judge, values["judge_step"])
    return side_by_side(candidates, judge, judged_by, start, sampling, asked.progress)
