"""A person's own text: what is taken, what is skipped, and what is said."""

from __future__ import annotations

import gzip
import json
import os
import sys
import types
from pathlib import Path

import pytest

from cpart_core.corpus import files
from cpart_core.corpus.build import build_corpus, gather, preview
from cpart_core.corpus.document import TRAIN, UNKNOWN, VALIDATION
from cpart_core.corpus.files import gather_file, gather_pasted, gather_uploads
from cpart_core.corpus.folders import gather_folder
from cpart_core.settings.corpus import CorpusSettings

SETTINGS = CorpusSettings(source="folder", vocabulary_size=300)
PROSE = "A line of quite ordinary text, number {}.\n"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def reasons(gathered) -> dict[str, str]:
    return {item.title: item.reason for item in gathered.skipped}


def test_each_subfolder_is_a_context_and_what_is_unusable_is_said(tmp_path):
    write(tmp_path / "corpus/en/a.txt", "one")
    write(tmp_path / "corpus/en/deep/b.md", "two\r\nlines")
    write(tmp_path / "corpus/fr/c.txt.gz", gzip.compress(b"un\n<|doc|>\ndeux\n"))
    write(tmp_path / "corpus/fr/.hidden.txt", "no")
    write(tmp_path / "corpus/fr/utf16.txt", "\ufeffÀ".encode("utf-16-le"))
    write(tmp_path / "corpus/fr/rows.csv", "context,text\nignored,trois\n")
    write(tmp_path / "corpus/loose.txt", "beside")
    for name, content in {
        "bad.txt": b"\xe9t\xe9",
        "binary.txt": b"a\0b",
        "cut.txt.gz": gzip.compress(b"x" * 999)[:-9],
        "empty.md": b" \n",
    }.items():
        write(tmp_path / "corpus/fr" / name, content)
    write(tmp_path / "corpus/fr/picture.png", b"\x89PNG")
    found = gather(CorpusSettings(source="folder", path=str(tmp_path / "corpus")))
    assert [(document.context, document.text) for document in found.documents] == [
        ("en", "one"),
        ("en", "two\nlines"),
        ("fr", "un\n"),
        ("fr", "deux\n"),
        ("fr", "trois"),
        ("fr", "À"),
    ]
    said = reasons(found)
    assert set(said) == {
        "loose.txt",
        "fr/bad.txt",
        "fr/binary.txt",
        "fr/cut.txt.gz",
        "fr/empty.md",
        "fr/picture.png",
    }
    for name, words in {
        "loose.txt": "put it into one",
        "fr/bad.txt": "save it as UTF-8",
        "fr/binary.txt": "binary",
        "fr/cut.txt.gz": "damaged",
        "fr/empty.md": "empty",
        "fr/picture.png": "kind",
    }.items():
        assert words in said[name]
    assert [(row.name, row.documents) for row in preview(found).contexts] == [("en", 2), ("fr", 4)]
    english = gather_folder(tmp_path / "corpus", CorpusSettings(contexts=("en",)))
    assert {document.context for document in english.documents} == {"en"} and not any(
        item.title.endswith("bad.txt") for item in english.skipped
    )
    with pytest.raises(ValueError, match="Unknown context de. The folder has: en, fr"):
        gather_folder(tmp_path / "corpus", CorpusSettings(contexts=("de",)))


def test_links_that_lead_out_of_the_folder_are_not_followed(tmp_path):
    secret = write(tmp_path / "secret/key.txt", "SECRET")
    write(tmp_path / "corpus/a/own.txt", "own")
    (tmp_path / "corpus/a/link.txt").symlink_to(secret)
    (tmp_path / "corpus/b").symlink_to(secret.parent)
    (tmp_path / "corpus/a/inside.txt").symlink_to(tmp_path / "corpus/a/own.txt")
    os.mkfifo(tmp_path / "corpus/a/pipe.txt")
    found = gather_folder(tmp_path / "corpus", SETTINGS)
    assert {document.text for document in found.documents} == {"own"}
    assert set(reasons(found)) == {"a/link.txt", "b", "a/pipe.txt"}


def test_files_named_train_valid_test_are_the_splits(tmp_path):
    for context in ("x", "y"):
        for name, count in (("train", 12), ("valid", 3), ("test", 3)):
            text = "<|doc|>\n".join(
                f"{context} {name} document {number}\n" * 9 for number in range(count)
            )
            write(tmp_path / context / f"{name}.txt.gz", gzip.compress(text.encode()))
    found = gather_folder(tmp_path, SETTINGS)
    assert {document.split for document in found.documents} == {TRAIN, VALIDATION}
    assert set(reasons(found)) == {"x/test.txt.gz", "y/test.txt.gz"}
    corpus = build_corpus(found, SETTINGS, seed=0)
    assert len(corpus.train.titles) == 24 and all("train" in title for title in corpus.train.titles)
    assert len(corpus.validation.titles) == 6 and all(
        "valid" in title for title in corpus.validation.titles
    )


def test_a_flat_folder_is_text_without_labels(tmp_path):
    write(tmp_path / "test.txt", "alone, so a text like any other\n")
    write(tmp_path / "b.txt", "two\n")
    assert [
        (document.context, document.title)
        for document in gather_folder(tmp_path, SETTINGS).documents
    ] == [
        (UNKNOWN, "b.txt"),
        (UNKNOWN, "test.txt"),
    ]


def test_tables_give_a_document_a_row(tmp_path):
    table = write(tmp_path / "t.csv", 'text;context\n"a; ""quoted""\nline";x\nb;y\n;y\nonly text\n')
    found = gather_file(table, SETTINGS)
    assert [(d.text, d.context) for d in found.documents] == [
        ('a; "quoted"\nline', "x"),
        ("b", "y"),
        ("", "y"),
        ("only text", UNKNOWN),
    ]
    rows = [{"body": "a", "kind": 3}, {"body": "\ud800"}, {"body": 7}, {"kind": 1}]
    lines = write(
        tmp_path / "t.jsonl",
        "\n".join(map(json.dumps, rows)) + "\n{broken\n[1]\n" + "[" * 100_000 + "\n",
    )
    found = gather_file(lines, CorpusSettings(text_column="body", context_column="kind"))
    assert [(document.text, document.context) for document in found.documents] == [
        ("a", "3"),
        ("\ud800", UNKNOWN),
    ]
    assert [item.reason for item in found.skipped] == [
        "1 row has a text that is no string but a number",
        "1 row has no text",
        "3 lines are no JSON object, the first is line 5",
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "body,context\nx,y\n", "no column 'text'; its columns are body, context"),
        ("a.jsonl", '{"body": "x"}\n', "no column 'text'; its columns are body"),
        ("a.jsonl", "{\n", "holds no text. 1 line is no JSON object"),
        ("a.txt", "", "holds no text. it is empty"),
        ("a.txt", "\n \n<|doc|>\n", "holds no text. it is empty"),
        ("a.txt", b"\x00\x01", "binary file"),
        ("a.txt", b"\xff\xfe\x00", "is not UTF-16 text|binary"),
        ("a.txt", b"ab\xff", r"not UTF-8 text \(byte 2\); save it as UTF-8"),
        ("a.pdf", b"%PDF", "this kind of file is not known. Known: .txt"),
        ("a.txt.gz", b"no gzip", "damaged .gz file"),
    ],
)
def test_a_file_that_cannot_be_used_gets_a_sentence(tmp_path, name, content, said):
    with pytest.raises(ValueError, match=said):
        gather_file(write(tmp_path / name, content), SETTINGS)
    with pytest.raises(
        ValueError,
        match=said.replace(
            "holds no text.", "None of the files holds text that can be used. a[.]\\w+:"
        ),
    ):
        gather_uploads(
            [(name, content.encode() if isinstance(content, str) else content)], SETTINGS
        )


def test_missing_and_empty_places_get_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="There is no file no.txt"):
        gather_file(tmp_path / "no.txt", SETTINGS)
    with pytest.raises(ValueError, match="is not a folder"):
        gather_folder(tmp_path / "no", SETTINGS)
    with pytest.raises(ValueError, match="holds no text that can be used"):
        gather_folder(tmp_path, SETTINGS)
    with pytest.raises(ValueError, match="pasted text is empty"):
        gather_pasted(" \n")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_FILE", 1_000_000)
    bomb = write(tmp_path / "bomb.txt.gz", gzip.compress(b"a" * 2_000_000))
    with pytest.raises(ValueError, match="larger than 1 MB"):
        gather_file(bomb, SETTINGS)


def test_uploads_keep_the_good_ones(tmp_path):
    found = gather_uploads(
        [("en.txt", b"yes"), ("bad.txt", b"\0"), ("fr.md", b"oui")], SETTINGS, context_each=True
    )
    assert [(document.context, document.text) for document in found.documents] == [
        ("en", "yes"),
        ("fr", "oui"),
    ]
    assert set(reasons(found)) == {"bad.txt"}


def test_thousands_of_unusable_files_are_summed_up(tmp_path):
    for number in range(40):
        write(tmp_path / f"a/{number}.png", b"")
    write(tmp_path / "a/b.txt", "text")
    said = reasons(gather_folder(tmp_path, SETTINGS))
    assert len(said) == 21 and "20 more files" in said


def test_datasets_need_their_extra_and_are_read_without_running_their_code(monkeypatch):
    settings = CorpusSettings(source="dataset", path="owner/name:english")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match="extra `hub`"):
        gather(settings)
    asked = []

    def load_dataset(name, configuration, streaming):
        asked.append((name, configuration, streaming))
        rows = [{"text": f"text {number}", "context": number % 2} for number in range(4)]
        return {"train": rows, "validation": rows[:1], "test": rows}

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    found = gather(settings)
    assert asked == [("owner/name", "english", True)]
    assert [(document.context, document.split) for document in found.documents] == [
        ("0", TRAIN),
        ("1", TRAIN),
    ] * 2 + [("0", VALIDATION)]
    assert reasons(found) == {"owner/name:english test": "the test split is left out"}
