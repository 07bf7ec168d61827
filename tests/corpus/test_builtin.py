"""The built-in corpus: enough contexts, the same each time, disjoint splits, and generated text
that is right."""

from __future__ import annotations

import ast
import csv
import datetime
import io
import json
import operator
import os
import re
import subprocess
import sys
from itertools import islice

import pytest

from cpart_core.corpus import generated, invented
from cpart_core.corpus.build import build_corpus, gather, report
from cpart_core.corpus.builtin import builtin_contexts, gather_builtin
from cpart_core.corpus.tokenizer import Tokenizer
from cpart_core.settings.corpus import CorpusSettings

SMALL = CorpusSettings(kilobytes_per_context=20)
FINGERPRINT = (
    "from cpart_core.settings.run import *; from cpart_core.corpus.build import *; s ="
    " CorpusSettings(kilobytes_per_context=20)\n"
)


def documents(name: str, count: int = 30) -> list[str]:
    context = next(context for context in builtin_contexts() if context.name == name)
    return [document.text for document in islice(context.documents(), count)]


@pytest.fixture(scope="module")
def corpus():
    return build_corpus(gather(SMALL), SMALL, seed=0)


def test_at_least_six_contexts_each_with_text_in_both_splits_and_of_about_equal_size(corpus):
    rows = report(corpus).contexts
    assert len(rows) >= 6 and not corpus.discovered
    assert all(row.train_documents >= 1 and row.validation_documents >= 1 for row in rows)
    for split in (corpus.train, corpus.validation):
        assert split.starts[-1] == len(split.ids) and len(split.titles) == len(split.context)
    sizes = {
        name: sum(len(d.text.encode()) for d in gather(SMALL).documents if d.context == name)
        for name in corpus.contexts
    }
    assert max(sizes.values()) <= 2 * min(sizes.values()) and min(sizes.values()) >= 15_000


def test_the_fingerprint_is_the_same_in_another_process_with_other_hashes_and_threads(corpus):
    code = FINGERPRINT + "print(build_corpus(gather(s), s, 0).fingerprint)"
    environment = os.environ | {"PYTHONHASHSEED": "7", "TOKENIZERS_PARALLELISM": "false"}
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert other.stdout.strip() == corpus.fingerprint
    assert build_corpus(gather(SMALL), SMALL, seed=1).fingerprint != corpus.fingerprint


def test_no_text_and_no_title_is_in_both_splits(corpus):
    tokenizer = Tokenizer.from_json(corpus.tokenizer_json)
    texts = []
    for split in (corpus.train, corpus.validation):
        pieces = [split.ids[a:b] for a, b in zip(split.starts[:-1], split.starts[1:], strict=True)]
        assert all(
            piece[-1] == tokenizer.end and tokenizer.end not in piece[:-1] for piece in pieces
        )
        texts.append({tokenizer.decode(piece).strip() for piece in pieces})
    assert not texts[0] & texts[1]
    assert not set(corpus.train.titles) & set(corpus.validation.titles)


def test_chosen_contexts_only_and_unknown_ones_are_refused():
    found = gather_builtin(
        CorpusSettings(kilobytes_per_context=5, contexts=("calendar", "library"))
    )
    assert {document.context for document in found.documents} == {"calendar", "library"}
    with pytest.raises(ValueError, match="Unknown context latin. Built in are: library"):
        gather_builtin(CorpusSettings(contexts=("latin",)))


def test_library_and_docstrings_share_no_line_of_prose():
    code, prose = "\n".join(documents("library")), "\n".join(documents("docstrings", 60))
    long = {line.strip() for line in prose.splitlines() if len(line.split()) > 8}
    assert long and not long & {line.strip() for line in code.splitlines()}


def value(node: ast.expr) -> int:
    """A sum, difference or product of whole numbers, worked out."""
    if isinstance(node, ast.Constant):
        return node.value
    assert isinstance(node, ast.BinOp)
    return {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}[type(node.op)](
        value(node.left), value(node.right)
    )


def test_every_answer_of_arithmetic_is_right():
    for line in "".join(documents("arithmetic", 100)).splitlines():
        if match := re.fullmatch(r"(.+) ([-+*]) (.+) = (-?\d+)", line):
            assert value(ast.parse(line[: match.start(4) - 3], mode="eval").body) == int(
                match[4]
            ), line
        elif match := re.fullmatch(r"(\d+) / (\d+) = (\d+) rest (\d+)", line):
            assert divmod(int(match[1]), int(match[2])) == (int(match[3]), int(match[4])), line
        else:
            left, sign, right = line.split()
            assert sign == (
                "<" if int(left) < int(right) else ">" if int(left) > int(right) else "="
            ), line


def test_every_total_of_records_is_right_and_ids_rise_by_one():
    kinds = set()
    for text in documents("records", 60):
        kinds.add(text[0])
        rows = (
            [json.loads(line) for line in text.splitlines()]
            if text[0] == "{"
            else list(csv.DictReader(io.StringIO(text)))
        )
        for row in rows:
            assert round(float(row["price"]) * 100) * int(row["quantity"]) == round(
                float(row["total"]) * 100
            )
        numbers = [int(row["id"]) for row in rows]
        assert numbers == list(range(numbers[0], numbers[0] + len(rows)))
    assert kinds == {"{", "i"}


def spoken_day(text: str) -> datetime.date:
    day, month, year = text.split()
    return datetime.date(int(year), generated.MONTHS.index(month) + 1, int(day))


def test_every_sentence_of_the_calendar_is_true():
    for line in "".join(documents("calendar", 60)).splitlines():
        if match := re.fullmatch(r"(\S+) is (.+), a (\w+)\.", line):
            assert datetime.date.fromisoformat(match[1]) == spoken_day(match[2])
            assert generated.WEEKDAYS[spoken_day(match[2]).weekday()] == match[3]
        elif match := re.fullmatch(r"(\d+) days after (.+) comes (\w+), (.+)\.", line):
            later = spoken_day(match[4])
            assert (later - spoken_day(match[2])).days == int(match[1]) and generated.WEEKDAYS[
                later.weekday()
            ] == match[3]
        elif match := re.fullmatch(r"From (.+) to (.+) it is (\d+) days\.", line):
            assert (spoken_day(match[2]) - spoken_day(match[1])).days == int(match[3])
        else:
            match = re.fullmatch(r"(\w+) (\d+) has (\d+) days; \2 is (a|no) leap year\.", line)
            assert match, line
            year, month = int(match[2]), generated.MONTHS.index(match[1]) + 1
            last = datetime.date(year + month // 12, month % 12 + 1, 1) - datetime.timedelta(1)
            leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
            assert last.day == int(match[3]) and leap == (match[4] == "a")


def endings(word: str, roots: tuple[str, ...]) -> set[tuple[str, str]]:
    """Ways to read a word as root + ending."""
    return {(word[:cut], word[cut:]) for cut in range(1, len(word)) if word[:cut] in roots}


def clause_is_right(words: list[str]) -> bool:
    """Subject [adjective] [object [adjective]] verb, with agreement."""

    def after_noun(rest: list[str], marker: str) -> list[tuple[str, list[str]]]:
        found = []
        for root, ending in endings(rest[0], invented.NOUNS) if rest else ():
            if ending in (invented.class_of(root) + marker, invented.class_of(root) + "n" + marker):
                found.append((ending, rest[1:]))
                if len(rest) > 1 and any(
                    end == ending for _, end in endings(rest[1], invented.ADJECTIVES)
                ):
                    found.append((ending, rest[2:]))
        return found

    def ends_with_verb(rest: list[str], subject: str) -> bool:
        return len(rest) == 1 and any(
            end in {subject + tense for tense in invented.TENSES}
            for _, end in endings(rest[0], invented.VERBS)
        )

    return any(
        ends_with_verb(rest, subject)
        or any(ends_with_verb(after, subject) for _, after in after_noun(rest, "k"))
        for subject, rest in after_noun(words, "")
    )


def test_every_sentence_of_the_invented_language_is_grammatical():
    sentences = [
        sentence
        for text in documents("invented", 20)
        for sentence in text.replace("\n", " ").split(".")
        if sentence.strip()
    ]
    assert len(sentences) > 200
    for sentence in sentences:
        for clause in sentence.strip().lower().split(", "):
            words = clause.split()
            assert clause_is_right(words[1:] if words[0] in invented.CONNECTIVES else words), clause
    assert not clause_is_right([invented.NOUNS[0] + "o", invented.VERBS[0] + "o"]), (
        "the check sees a wrong class"
    )
