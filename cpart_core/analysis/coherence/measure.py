"""Coherence of what models write, against human and random text: repetition, likelihood, topic
drift and the two scores of papers.md 1.4.

embedding (c1): cosine of prompt and continuation. order (c2): how often the judge finds the true
next sentence likelier than one that the same writer wrote elsewhere. Both on the scale from random
(0) to human text (1), on documents that neither a writer nor the judge was trained on. A text is
only compared with texts of the same length, and sentences only with sentences of the same writer,
so that neither length nor style counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cpart_core.analysis.asked import Asked
from cpart_core.analysis.coherence.embedder import Embedder, embedder_for
from cpart_core.analysis.coherence.judging import nats_of
from cpart_core.analysis.coherence.prompts import (
    WINDOWS,
    Prompt,
    choose_prompts,
    distinct,
    other_of_each,
    repetition,
    sentences,
    windows,
)
from cpart_core.analysis.coherence.writers import (
    Candidate,
    candidates_of,
    judge_of,
    load_candidates,
)
from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.analysis.source import Source, Sources, mean_over
from cpart_core.analysis.statistics.anchored import anchored
from cpart_core.model.generate import generate_rows
from cpart_core.model.intervention import intervene
from cpart_core.records.coherence import Anchored, CoherenceReport, Judge
from cpart_core.runs.folder import Run, open_run

FEWEST_PROMPTS, MOST_PROMPTS = 4, 64
ALONE = "\n"
"""What stands before a sentence that is read by itself: a model predicts no first token."""
LONGEST_HEAD, LONGEST_REST = 128, 192
"""Tokens."""


class TooFewDocuments(ValueError):
    """Too little text was held out from everybody. A sentence, as of every ValueError here."""


class Question(NamedTuple):
    """What is asked of the writers."""

    prompts: int
    seed: int
    temperature: float


class Coherence(NamedTuple):
    """The two anchored scores of one checkpoint: what a study measures."""

    run: str
    step: int
    embedding: Anchored
    order: Anchored
    judge: Judge
    prompts: int


def coherence_of(
    run: str, step: int, judge_run: str, judge_step: int, seed: int, prompts: int = 24
) -> Coherence:
    """The two scores of a checkpoint, judged by a checkpoint of another run; sampled at temperature
    0.8 on held-out documents of its corpus.

    The judge's relation to the run is in `judge.independent` and `judge.relation`: say it beside
    the numbers. ValueError for unknown runs or steps, damaged checkpoints, and too few held-out
    documents.
    """
    writer, judge, found = open_run(run), open_run(judge_run), Sources()
    report = measure_coherence(
        load_candidates([[writer.id, step, []]], found),
        judge,
        found.source(judge, judge_step),
        Question(prompts, seed, 0.8),
        found,
    )
    return Coherence(
        writer.id,
        step,
        report.embedding_score[0],
        report.order_score[0],
        report.judge,
        len(report.prompts),
    )


def measure_coherence(
    candidates: Sequence[Candidate],
    judge: Run,
    judge_source: Source,
    question: Question,
    sources: Sources,
    progress: Progress = silent,
) -> CoherenceReport:
    """All measures on held-out documents of the first writer's corpus. ValueError where there are
    fewer than 4 of them."""
    if not FEWEST_PROMPTS <= question.prompts <= MOST_PROMPTS:
        raise ValueError(
            f"{question.prompts} prompts are asked for; allowed are {FEWEST_PROMPTS} to"
            f" {MOST_PROMPTS}."
        )
    if not 0.0 <= question.temperature <= 2.0:
        raise ValueError(
            f"temperature is {question.temperature}; allowed: 0 (most probable token) to 2."
        )
    progress(0.0, "Choosing documents that nobody was trained on")
    room = min(candidate.source.model.settings.context_length for candidate in candidates)
    head, rest = min(room // 3, LONGEST_HEAD), min(2 * room, LONGEST_REST)
    prompts, left_out = held_out_prompts(candidates, judge, head, rest, question, sources)
    texts = write_all(candidates, prompts, rest, question, part_of(progress, 0.05, 0.45))
    embedder = embedder_for(judge_source)
    likely = [
        nats_of(
            judge_source, [(prompt.text, text) for prompt, text in zip(prompts, row, strict=True)]
        )
        for row in texts
    ]
    progress(0.5, "Comparing topics")
    vectors = embedder.embed([prompt.text for prompt in prompts])
    drift = np.stack([drift_of(embedder, vectors, row) for row in texts])
    similarity = np.stack([(vectors * embedder.embed(row)).sum(axis=1) for row in texts])
    order, pairs = order_all(
        judge_source, prompts, texts, question.seed, part_of(progress, 0.6, 1.0)
    )
    tokens = [[judge_source.tokenizer.encode(text) for text in row] for row in texts]
    first = candidates[0].writer
    return CoherenceReport(
        run=first.run,
        step=first.step,
        seed=question.seed,
        temperature=question.temperature,
        writers=tuple(candidate.writer for candidate in candidates),
        judge=judge_of(judge, judge_source, candidates, embedder),
        prompts=tuple(prompt.text for prompt in prompts),
        titles=tuple(prompt.title for prompt in prompts),
        contexts=tuple(prompt.context for prompt in prompts),
        left_out=left_out,
        texts=tuple(tuple(row) for row in texts),
        repetition=np.array([[repetition(ids) for ids in row] for row in tokens]),
        distinct=np.array([[distinct(ids) for ids in row] for row in tokens]),
        nats=np.stack([nats for nats, _ in likely]),
        tokens=np.stack([count for _, count in likely]),
        similarity=similarity,
        drift=drift,
        order=order,
        pairs=pairs,
        embedding_score=tuple(
            anchored(row, similarity[-2], similarity[-1], question.seed) for row in similarity[:-2]
        ),
        order_score=tuple(anchored(row, order[-2], order[-1], question.seed) for row in order[:-2]),
    )


def held_out_prompts(
    candidates: Sequence[Candidate],
    judge: Run,
    head: int,
    rest: int,
    question: Question,
    sources: Sources,
) -> tuple[list[Prompt], int]:
    """Heads of validation documents of the first writer's corpus that occur in nobody's training
    text, and how many were passed over."""
    runs = {
        run.info.fingerprint or run.id: run
        for run in (judge, *(candidate.run for candidate in reversed(candidates)))
    }
    seen = [training_text(run, sources) for run in runs.values()]
    corpus = sources.corpus(candidates[0].run)
    prompts, left_out = choose_prompts(
        corpus, candidates[0].source.tokenizer, head, rest, question.prompts, question.seed, seen
    )
    if len(prompts) < FEWEST_PROMPTS:
        raise TooFewDocuments(
            f"Only {len(prompts)} held-out documents are long enough ({head + rest} tokens) and"
            f" were in nobody's training text ({left_out} were); at least {FEWEST_PROMPTS} are"
            " needed. Choose a judge with the same text held out, or a run with more text."
        )
    return prompts, left_out


def training_text(run: Run, sources: Sources) -> str:
    """All that a run was trained on, as one text."""
    from cpart_core.corpus.tokenizer import Tokenizer

    corpus = sources.corpus(run)
    return Tokenizer.from_json(corpus.tokenizer_json).decode(corpus.train.ids.tolist())


def write_all(
    candidates: Sequence[Candidate],
    prompts: Sequence[Prompt],
    rest: int,
    question: Question,
    progress: Progress,
) -> list[list[str]]:
    """[K + 2][P] continuations: the writers', the human's, another document's; those of one prompt
    cut to the same number of characters."""
    rows = []
    for number, candidate in enumerate(candidates):
        progress(
            number / len(candidates),
            f"Writer {number + 1} of {len(candidates)}: {len(prompts)} continuations of {rest}"
            " tokens",
        )
        rows.append(write(candidate, prompts, rest, question))
    human = [prompt.rest for prompt in prompts]
    random = [human[other] for other in other_of_each(len(prompts), question.seed)]
    rows += [human, random]
    lengths = [min(len(row[place]) for row in rows) for place in range(len(prompts))]
    return [[text[:length] for text, length in zip(row, lengths, strict=True)] for row in rows]


def write(
    candidate: Candidate, prompts: Sequence[Prompt], rest: int, question: Question
) -> list[str]:
    """How a writer goes on with each prompt; it may not end the document, as the human did not."""
    model, tokenizer = candidate.source.model, candidate.source.tokenizer
    ids = [tokenizer.encode(prompt.text) for prompt in prompts]
    seeds = [question.seed + place for place in range(len(prompts))]
    with intervene(model, candidate.changes):
        made = generate_rows(
            model,
            ids,
            max_tokens=rest,
            temperature=question.temperature,
            seeds=seeds,
            never=tokenizer.end,
        )
    return [tokenizer.decode(row) for row in made]


def drift_of(embedder: Embedder, prompt_PD: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """[P, W] cosine of each prompt and the windows of its continuation."""
    found = np.full((len(texts), WINDOWS), np.nan)
    cut = [windows(text) for text in texts]
    flat = [piece for pieces in cut for piece in pieces]
    if flat:
        whole = [place for place, pieces in enumerate(cut) if pieces]
        vectors = embedder.embed(flat).reshape(len(whole), WINDOWS, -1)
        found[whole] = np.einsum("pd,pwd->pw", prompt_PD[whole], vectors)
    return found


def order_all(
    judge: Source,
    prompts: Sequence[Prompt],
    texts: Sequence[Sequence[str]],
    seed: int,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """(share of pairs in the true order, pairs), both [K + 2, P]. The last row is human text with
    its sentences dealt out anew: exactly 1/2 in the mean over all deals, whatever the judge says,
    so it is not drawn by chance."""
    share, count = [], []
    rows = texts[:-1]
    for number, row in enumerate(rows):
        part = part_of(progress, number / len(rows), (number + 1) / len(rows))
        found = order_of(
            judge,
            [prompt.text for prompt in prompts],
            [sentences(text) for text in row],
            seed,
            part,
        )
        share.append(found[0])
        count.append(found[1])
    return np.stack([*share, np.where(np.isnan(share[-1]), np.nan, 0.5)]), np.stack(
        [*count, count[-1]]
    )


def order_of(
    judge: Source,
    before: Sequence[str],
    texts: Sequence[Sequence[str]],
    seed: int,
    progress: Progress = silent,
) -> tuple[np.ndarray, np.ndarray]:
    """(share [P], pairs [P]) of one writer: does what stands before lower the nll of the true next
    sentence more, in nats per token, than that of one which the same writer wrote for another
    prompt? A tie counts half.

    The nll that a sentence has by itself is taken off, since some kinds of text are likelier than
    others wherever they stand. The first sentence is not asked for: it often finishes one that the
    prompt began.
    """
    random = np.random.default_rng([seed, 36])
    asked, of = [], []
    for number, pieces in enumerate(texts):
        others = [piece for other, row in enumerate(texts) if other != number for piece in row[1:]]
        for place in range(1, len(pieces)) if others else ():
            start = before[number] + "".join(pieces[:place])
            asked += [(start, pieces[place]), (start, others[int(random.integers(len(others)))])]
            of.append(number)
    nats, _ = nats_of(
        judge,
        asked,
        lambda share, say, partial=None: progress(
            0.8 * share, "Is the true next sentence the likelier one?"
        ),
    )
    nats = nats - nats_of(judge, [(ALONE, text) for _, text in asked])[0]
    difference = nats[1::2] - nats[::2]
    won = np.where(np.abs(difference) < 1e-6, 0.5, (difference > 0).astype(float))
    count = np.bincount(np.array(of, dtype=np.int64), minlength=len(texts))
    wins = np.bincount(np.array(of, dtype=np.int64), weights=won, minlength=len(texts))
    return mean_over(wins, count), count


def answer(asked: Asked) -> CoherenceReport:
    """The request `coherence`."""
    values, sources = asked.values, asked.sources
    candidates = candidates_of(asked)
    judge = open_run(values["judge"])
    question = Question(values["prompts"], values["seed"], values["temperature"])
    judged_by = sources.source(judge, values["judge_step"])
    return measure_coherence(candidates, judge, judged_by, question, sources, asked.progress)
