"""A corpus comes back as it was saved, and damage is noticed."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from cpart_core.corpus.build import build_corpus, report, with_labels
from cpart_core.corpus.document import Document, Gathered
from cpart_core.corpus.store import load_corpus, save_corpus
from cpart_core.settings.corpus import CorpusSettings


def gathered(labels: bool) -> Gathered:
    return Gathered(
        tuple(
            Document(f"text {n} " * 30, f"c{n % 2}" if labels else "", f"d{n} <b>")
            for n in range(30)
        ),
        (),
    )


def equal(a, b) -> bool:
    return all(
        (
            np.array_equal(x, y) and x.dtype == y.dtype
            if isinstance(x, np.ndarray)
            else equal(x, y)
            if dataclasses.is_dataclass(x)
            else x == y
        )
        for x, y in ((getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    )


@pytest.mark.parametrize("labels", [True, False])
def test_what_is_saved_comes_back(tmp_path, labels):
    corpus = build_corpus(gathered(labels), CorpusSettings(vocabulary_size=300), seed=0)
    save_corpus(corpus, tmp_path / "corpus")
    assert equal(load_corpus(tmp_path / "corpus"), corpus)
    assert corpus.discovered is not labels and len(corpus.contexts) == (
        2 if labels else CorpusSettings().discovered_contexts
    )
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == [
        "corpus.json",
        "corpus.npz",
        "tokenizer.json",
    ]


def test_found_labels_keep_the_fingerprint_and_are_stored(tmp_path):
    corpus = build_corpus(gathered(labels=False), CorpusSettings(vocabulary_size=300), seed=0)
    assert [row.name for row in report(corpus).contexts] == ["not yet known"]
    found = with_labels(
        corpus,
        np.arange(len(corpus.train.context)) % 3,
        np.zeros(len(corpus.validation.context), int),
    )
    save_corpus(corpus, tmp_path)
    save_corpus(found, tmp_path)
    loaded = load_corpus(tmp_path)
    assert equal(loaded, found) and loaded.fingerprint == corpus.fingerprint
    assert report(loaded).contexts[0].train_documents == 9
    here = (np.zeros(len(corpus.train.context)), np.zeros(len(corpus.validation.context)))
    with pytest.raises(ValueError, match="are of 1 documents; the corpus has"):
        with_labels(corpus, here[0], np.zeros(1))
    with pytest.raises(ValueError, match="numbered 0.0 to 99.0"):
        with_labels(corpus, here[0], here[1] + np.eye(1, len(here[1]))[0] * 99)
    with pytest.raises(ValueError, match="came with labels"):
        with_labels(
            build_corpus(gathered(labels=True), CorpusSettings(vocabulary_size=300), 0),
            np.zeros(1),
            np.zeros(1),
        )


def test_every_damage_tried_is_noticed(tmp_path):
    save_corpus(
        build_corpus(gathered(labels=True), CorpusSettings(vocabulary_size=300), seed=0), tmp_path
    )
    facts = json.loads((tmp_path / "corpus.json").read_text())
    del facts["sha256"]  # as earlier releases wrote it: what each value may be is checked beside it
    tokenizer = (tmp_path / "tokenizer.json").read_bytes()
    damaged = {
        "corpus.json": [
            b"",
            b"{",
            b"[]",
            *(json.dumps(facts | change).encode() for change in CHANGES),
        ],
        "tokenizer.json": [
            b"{}",
            json.dumps(json.loads(tokenizer) | {"version": "2"}).encode(),
            tokenizer.replace(b'"Digits"', b'"Metaspace"'),
            b"\xff",
        ],
        "corpus.npz": [b"", b"PK", (tmp_path / "corpus.npz").read_bytes()[:-50], b"\x80\x04N."],
    }
    for name, versions in damaged.items():
        whole = (tmp_path / name).read_bytes()
        for version in versions:
            (tmp_path / name).write_bytes(version)
            with pytest.raises(ValueError, match="damaged"):
                load_corpus(tmp_path)
        (tmp_path / name).write_bytes(whole)
    load_corpus(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="tokenizer.json is missing"):
        load_corpus(tmp_path)


CHANGES = (
    {"format": 9},
    {"contexts": ["a"]},
    {"contexts": ["c1", "c0"]},
    {"titles": {"train": [], "validation": []}},
    {"fingerprint": "0"},
)


def test_every_flipped_byte_of_the_arrays_is_noticed_or_harmless(tmp_path):
    corpus = build_corpus(gathered(labels=True), CorpusSettings(vocabulary_size=300), seed=0)
    save_corpus(corpus, tmp_path)
    whole = (tmp_path / "corpus.npz").read_bytes()
    for position in np.random.default_rng(0).integers(0, len(whole), 60):
        flipped = bytearray(whole)
        flipped[position] ^= 0x40
        (tmp_path / "corpus.npz").write_bytes(flipped)
        try:
            assert equal(load_corpus(tmp_path), corpus)  # a flipped time stamp in the zip
        except ValueError as error:
            assert "damaged" in str(error)
