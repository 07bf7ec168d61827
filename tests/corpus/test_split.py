"""What is held out, whatever the text: disjoint, by document, and said."""

from __future__ import annotations

from random import Random

import pytest

from cpart_core.corpus.build import build_corpus
from cpart_core.corpus.document import TRAIN, VALIDATION, Document, Gathered
from cpart_core.corpus.split import choose
from cpart_core.settings.corpus import CorpusSettings

SETTINGS = CorpusSettings(vocabulary_size=300)


def texts(documents) -> set[str]:
    return {document.text.strip() for document in documents}


def prose(seed: int, characters: int) -> str:
    random = Random(seed)
    return "".join(random.choice("abcdefgh     \n") for _ in range(characters))


def test_splits_are_disjoint_for_any_mixture():
    for seed in range(12):
        random = Random(seed)
        documents = tuple(
            Document(
                prose(random.randrange(25), random.choice((3, 50, 900, 9000))),
                random.choice("ab"),
                f"d{n}",
                random.choice(("", "", VALIDATION, TRAIN)),
            )
            for n in range(40)
        )
        chosen = choose(Gathered(documents, ()), SETTINGS, seed)
        assert chosen.train and chosen.validation
        assert not texts(chosen.train) & texts(chosen.validation)
        assert not {d.title for d in chosen.train} & {d.title for d in chosen.validation}
        assert len(texts(chosen.train)) == len(chosen.train)
        assert choose(Gathered(documents, ()), SETTINGS, seed) == chosen


def test_duplicates_are_counted_and_what_is_named_for_validation_stays_there():
    documents = [Document(prose(n, 300), "ab"[n % 2], f"d{n}", TRAIN) for n in range(30)]
    documents += [
        Document(" " + documents[n].text, "ab"[n % 2], f"v{n}", VALIDATION) for n in range(4)
    ]
    chosen = choose(Gathered(tuple(documents), ()), SETTINGS, 0)
    assert {document.title for document in chosen.validation} == {"v0", "v1", "v2", "v3"} and len(
        chosen.train
    ) == 26
    assert any("4 documents with the very text of another" in note for note in chosen.notes)


def test_the_tokenizer_never_sees_held_out_text():
    train = [Document(prose(n, 300), "ab"[n % 2], f"d{n}", TRAIN) for n in range(30)]
    corpora = [
        build_corpus(
            Gathered((*train, *(Document(word * 90, name, "v", VALIDATION) for name in "ab")), ()),
            SETTINGS,
            0,
        )
        for word in ("the ", "qua qua ")
    ]
    assert corpora[0].tokenizer_json == corpora[1].tokenizer_json
    assert corpora[0].fingerprint != corpora[1].fingerprint


def test_one_long_document_is_cut_into_passages_and_that_is_said():
    text = prose(0, 50_000)
    corpus = build_corpus(Gathered((Document(text, "", "book"),), ()), SETTINGS, seed=0)
    assert (
        corpus.discovered and len(corpus.validation.titles) >= 1 and len(corpus.train.titles) >= 9
    )
    assert any("only 1 document: cut into" in note for note in corpus.notes)


@pytest.mark.parametrize("letters", ["abcdefgh", "a b c d ", "漢字仮名", "\t\n  a"])
def test_one_huge_line_becomes_a_corpus(letters):
    text = "".join(Random(0).choices(letters, k=300_000)) + "end"
    corpus = build_corpus(Gathered((Document(text, "", "line"),), ()), CorpusSettings(), seed=0)
    assert len(corpus.train.ids) and len(corpus.validation.ids)


def test_no_context_is_larger_than_its_limit_and_none_outweighs_its_neighbours():
    settings = CorpusSettings(kilobytes_per_context=50)
    documents = tuple(
        Document(prose(n, 9_000 if n % 2 else 500), "ab"[n % 2], f"d{n}") for n in range(100)
    )
    chosen = choose(Gathered(documents, ()), settings, 0)
    for name in "ab":
        size = sum(
            len(d.text.encode()) for d in chosen.train + chosen.validation if d.context == name
        )
        assert size <= 50_000
    assert any("Context b: " in note and "kB used" in note for note in chosen.notes)


def test_a_context_without_validation_text_is_said_and_keeps_its_training_text():
    documents = (
        *(Document(prose(n, 300), "big", f"d{n}") for n in range(20)),
        Document("short", "tiny", "t"),
    )
    chosen = choose(Gathered(documents, ()), SETTINGS, 0)
    assert chosen.contexts == ("big", "tiny") and "short" in texts(chosen.train)
    assert any(note.startswith("Context tiny has no validation text") for note in chosen.notes)


def test_labels_are_all_or_nothing():
    labelled = tuple(Document(prose(n, 300), "ab"[n % 2], f"d{n}") for n in range(20))
    chosen = choose(
        Gathered(
            (*labelled, Document(prose(99, 300), "", "bare"), Document("  ", "a", "blank")), ()
        ),
        SETTINGS,
        0,
    )
    assert chosen.contexts == ("a", "b")
    assert [item.reason for item in chosen.skipped] == [
        "they are empty",
        "they have no context label, and others have one",
    ]
    single = tuple(Document(prose(n, 300), "same", f"d{n}") for n in range(20))
    assert choose(Gathered(single, ()), SETTINGS, 0).contexts == ("",)
    one_of_two = choose(Gathered(labelled, ()), CorpusSettings(contexts=("b",)), 0)
    assert one_of_two.contexts == ("",) and all(int(d.title[1:]) % 2 for d in one_of_two.train)


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ((), "only 0 characters"),
        ((Document("tiny", "", "t"),), "only 4 characters of text; at least 400 are needed"),
        (
            tuple(Document(prose(n, 20), f"id {n}", f"d{n}") for n in range(300)),
            "300 different contexts .* at most 256 .* 'context' the column",
        ),
        (
            (Document("same " * 3000, "a", "t"), Document("same " * 3000, "b", "u")),
            "too little text to hold .* very text of another",
        ),
    ],
)
def test_too_little_text_gets_a_sentence(documents, said):
    with pytest.raises(ValueError, match=said):
        choose(Gathered(documents, ()), SETTINGS, 0)


def test_two_short_texts_are_enough():
    corpus = build_corpus(
        Gathered((Document(prose(0, 900), "a", "t"), Document(prose(1, 900), "b", "u")), ()),
        SETTINGS,
        0,
    )
    assert corpus.contexts == ("a", "b") and set(corpus.validation.context) == {0, 1}


def test_an_unknown_context_is_refused_by_name():
    documents = tuple(Document(prose(n, 300), "ab"[n % 2], f"d{n}") for n in range(20))
    with pytest.raises(ValueError, match="Unknown context c. The text has: a, b"):
        choose(Gathered(documents, ()), CorpusSettings(contexts=("a", "c")), 0)
