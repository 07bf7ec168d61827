"""Tables as people have them: nothing is lost without a word, and every word is bounded."""

from __future__ import annotations

import csv
import io
import json
import threading
from random import Random

import pytest

from cpart_core.corpus.cells import Odd, read_rows
from cpart_core.corpus.document import UNKNOWN, Gathered
from cpart_core.corpus.files import gather_uploads
from cpart_core.corpus.folders import gather_folder
from cpart_core.corpus.split import choose
from cpart_core.settings.corpus import CorpusSettings

ROWS = [
    (f"word {number}, and more words here", ("sea", "kitchen")[number % 2]) for number in range(12)
]
USUAL = CorpusSettings()


def table(header: str, line, delimiter: str = ",") -> str:
    return "\n".join([header, *(line(text, label, delimiter) for text, label in ROWS)]) + "\n"


def quoted(text: str, label: str, delimiter: str) -> str:
    return f'"{text}"{delimiter}{label}'


def bare(text: str, label: str, delimiter: str) -> str:
    return f"{text}{delimiter}{label}"


def read(name: str, content: str | bytes, settings: CorpusSettings = USUAL) -> Gathered:
    return gather_uploads(
        [(name, content.encode() if isinstance(content, str) else content)], settings
    )


def objects(rows) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def array(rows, indent: int | None = None) -> str:
    return json.dumps(list(rows), indent=indent)


def as_objects(label=lambda label: label, column: str = "context"):
    return [{"text": text, column: label(name)} for text, name in ROWS]


WHOLE = {
    "quoted.csv": table("text,context", quoted),
    "blanks.csv": table("text , context", quoted).replace('",', '", '),
    "quoted-after-blank.csv": table("text, context", lambda text, label, _: f'"{text}", "{label}"'),
    "case.csv": table("text,Context", quoted),
    "shout.csv": table("TEXT,CONTEXT", quoted),
    "semicolons.csv": table("text;context", bare, ";"),
    "bars.csv": table("text|context", bare, "|"),
    "sep.csv": "sep=;\n" + table("text;context", bare, ";"),
    "sep-tab.csv": "sep=\t\n" + table("text\tcontext", bare, "\t"),
    "blank-lines.csv": "\n  \n,\n" + table("text,context", quoted),
    "title.csv": (
        "Export of 3 March, all\n\n"
        + table("text,context,note", lambda text, label, _: f'"{text}",{label},n')
    ),
    "excel-title.csv": (
        "Export of 3 March,,\n"
        + table("text,context,note", lambda text, label, _: f'"{text}",{label},n')
    ),
    "crlf.csv": table("text,context", quoted).replace("\n", "\r\n"),
    "mark.csv": "\ufeff" + table("text,context", quoted),
    "utf16.tsv": table("text\tcontext", bare, "\t").encode("utf-16"),
    "quote.tsv": table("text\tcontext", bare, "\t").replace("word 3", '"word 3').encode(),
    "empty-cells.csv": table("text,context,,", lambda text, label, _: f'"{text}",{label},,,,'),
    "array.json": array(as_objects()),
    "array.jsonl": array(as_objects(), 1),
    "lines.json": objects(as_objects()),
    "lines.ndjson": objects(as_objects()),
    "printed.jsonl": "\n".join(json.dumps(row, indent=2) for row in as_objects()),
    "lists.jsonl": objects(as_objects(lambda label: [label])),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_people_and_excel_write_is_read_whole(name):
    found = read(name, WHOLE[name])
    assert [
        (document.text.strip().strip('"'), document.context.strip()) for document in found.documents
    ] == ROWS
    assert not found.skipped


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("case.csv", "the column 'Context' was read as 'context'"),
        ("title.csv", "1 line above the header left out (line 1: 'Export of 3 March, all')"),
        ("quote.tsv", "a quote opens a cell in line 5 and is not closed there"),
        ("quote.tsv", "12 rows in 12 lines"),
        ("lists.jsonl", "12 rows have a list of one entry as their context"),
    ],
)
def test_what_was_read_otherwise_than_it_is_written_is_said(name, said):
    assert any(said in note for note in read(name, WHOLE[name]).notes)


@pytest.mark.parametrize(
    ("name", "content", "settings", "said"),
    [
        (
            "surplus.csv",
            table("text,context", bare),
            USUAL,
            r"12 of 12 rows have more cells than the header's 2 \(lines 2, 3, 4, \.\.\.\).*comma",
        ),
        (
            "open.csv",
            'text,context\n"one\n' + "two\nthree\n" * 40,
            USUAL,
            r"a quote opens in line 2 .*81 of 82 lines",
        ),
        (
            "inner.csv",
            'text,context\n"one\ntwo "three" four",x\n',
            USUAL,
            "a quote opens in line 2",
        ),
        (
            "double.csv",
            table("text,text,context", lambda text, label, _: f'"{text}",note,{label}'),
            USUAL,
            "2 columns named 'text'",
        ),
        (
            "case.csv",
            table("text,label", quoted),
            CorpusSettings(context_column="Label"),
            "no column 'Label'; its columns are text, label.*'label'",
        ),
        (
            "other.csv",
            table("sentence;context", bare, ";"),
            USUAL,
            "no column 'text'; its columns are sentence, context",
        ),
        ("slip.csv", table("txt,context", quoted), USUAL, "perhaps 'txt'"),
        (
            "comma.csv",
            table('"text, raw";context', bare, ";"),
            USUAL,
            "its columns are 'text, raw', context.*perhaps 'text, raw'",
        ),
        ("one.json", json.dumps({"text": "a"}), USUAL, "one JSON object, not an array"),
        (
            "inside.json",
            json.dumps({"data": as_objects()}, indent=1),
            USUAL,
            "holds a list under 'data'",
        ),
        ("numbers.json", "[1, 2]", USUAL, "2 of the 2 entries of its JSON array are no objects"),
        (
            "plain.txt",
            "text " * 200,
            CorpusSettings(text_column="body"),
            "text_column names a column, but no table",
        ),
    ],
)
def test_what_cannot_be_told_apart_is_refused_in_one_bounded_sentence(
    name, content, settings, said
):
    with pytest.raises(ValueError, match=said) as caught:
        read(name, content, settings)
    assert len(str(caught.value)) < 500


def test_a_header_of_one_column_takes_lines_whole_and_says_that_they_have_more_cells():
    found = read("one.csv", "text\n" + "\n".join(text for text, _ in ROWS))
    assert [document.text for document in found.documents] == [text for text, _ in ROWS]
    assert any(
        "12 of 12 rows have more cells than the header" in note and "(lines 2, 3, 4, ...)" in note
        for note in found.notes
    )


def test_some_rows_that_do_not_fit_are_counted_and_the_others_kept():
    lines = table("text,context", quoted).split("\n")
    lines[3], lines[6] = "a, b, c", '"alone"'
    found = read("some.csv", "\n".join(lines))
    assert len(found.documents) == 11
    assert [item.reason.split(":")[0] for item in found.skipped] == [
        "1 of 12 rows has more cells than the header's 2 (line 4)"
    ]
    assert any(
        "1 of 12 rows has fewer cells than the header's 2 (line 7)" in note for note in found.notes
    )
    speech = read("speech.csv", 'text,context\n"so" he said,sea\n')
    assert (
        speech.documents[0].text == '"so" he said'
        and "behind its closing quote in line 2" in speech.notes[0]
    )


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (1.0, "1"),
        (2.5, "2.5"),
        (3, "3"),
        (True, "True"),
        (["sea"], "sea"),
        (["a", "b"], ""),
        ({"a": 1}, ""),
        (None, ""),
    ],
)
def test_a_number_is_a_label_and_what_is_none_is_said(value, label):
    found = read("a.jsonl", objects([{"text": "t", "context": value}]))
    assert found.documents[0].context == label
    assert bool(found.notes) == (isinstance(value, (list, dict)))


def test_names_that_cleaning_or_shortening_makes_alike_stay_two_contexts(tmp_path):
    long = "n" * 85
    for name in (long + "a", long + "b", "odd\x01name", "odd name"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.txt").write_text(f"text of {name} " * 40)
    found = gather_folder(tmp_path, USUAL)
    names = {document.context for document in found.documents}
    assert (
        len(names) == 4
        and all(len(name) <= 80 for name in names)
        and any("told apart by a number" in note for note in found.notes)
    )
    files = [
        ("notes.txt", b"one " * 300),
        ("notes.md", b"two " * 300),
        ("notes.md", b"three " * 300),
    ]
    assert (
        len(
            {
                document.context
                for document in gather_uploads(files, USUAL, context_each=True).documents
            }
        )
        == 3
    )
    rows = "".join(
        f"\n{label} text {'word ' * 30}{number},{label}"
        for number in range(9)
        for label in ("kitchen", " kitchen ", long + "x", long + "y")
    )
    # blanks around a label do not make another one
    assert len(choose(read("t.csv", "text,context" + rows), USUAL, 0).contexts) == 3


def test_rows_are_those_of_the_csv_module_wherever_quoting_is_sound():
    random = Random(0)
    for _ in range(2000):
        delimiter = random.choice(",;\t")
        rows = [
            ["".join(random.choices(' ab"\n,;\té', k=random.randrange(7))) for _ in range(3)]
            for _ in range(5)
        ]
        buffer = io.StringIO()
        quoting = random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        csv.writer(buffer, delimiter=delimiter, lineterminator="\n", quoting=quoting).writerows(
            rows
        )
        assert [
            row.cells
            for row in read_rows(buffer.getvalue().split("\n"), 0, delimiter, False, 1, Odd())
        ] == rows


def test_files_read_at_once_do_not_disturb_each_other_nor_the_csv_module():
    before, found = csv.field_size_limit(), []
    long = "text,context\n" + "x" * 300_000 + ",sea\n"
    threads = [
        threading.Thread(target=lambda: found.append(len(read("t.csv", long).documents[0].text)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [300_000] * 8 and csv.field_size_limit() == before


def test_no_input_makes_a_sentence_long():
    wide = ",".join(f"column{number}" * 20 for number in range(500))
    for name, content in {
        "wide.csv": wide + "\n1,2\n",
        "wide.jsonl": json.dumps({f"c{n}" * 50: n for n in range(400)}),
    }.items():
        with pytest.raises(ValueError) as caught:
            read(name, content)
        assert len(str(caught.value)) < 1500
    many = Gathered(
        tuple(
            read(
                "t.csv",
                "text,context\n" + "\n".join(f"text {n},{'l' * 5000}{n}" for n in range(300)),
            ).documents
        ),
        (),
    )
    with pytest.raises(ValueError) as caught:
        choose(many, USUAL, 0)
    assert len(str(caught.value)) < 500 and UNKNOWN == ""
