"""Files and folders that hold no text are called what they are, by what is in them."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import pytest

from cpart_core.corpus.encoding import read_text_file
from cpart_core.corpus.files import gather_file, gather_uploads
from cpart_core.corpus.folders import gather_folder
from cpart_core.corpus.hub import gather_dataset
from cpart_core.settings.corpus import CorpusSettings

USUAL = CorpusSettings()


def safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0\0\0\0"


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, b"content")
    return buffer.getvalue()


FOREIGN = {
    "a GGUF model": b"GGUF\3\0\0\0" + b"\0" * 16,
    "a model's weights (safetensors)": safetensors(),
    "a PyTorch checkpoint": archive("archive/data.pkl", "archive/data/0"),
    "an Excel workbook": archive("[Content_Types].xml", "xl/workbook.xml"),
    "a Word document": archive("[Content_Types].xml", "word/document.xml"),
    "a zip archive": archive("notes.txt"),
    "an old PyTorch checkpoint": b"\x80\x02ctorch\n",
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3",
    "a PNG picture": b"\x89PNG\r\n\x1a\n",
    "a JPEG picture": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "a Parquet table": b"PAR1\x15\x04\x15",
    "an SQLite database": b"SQLite format 3\0",
    "a NumPy array": b"\x93NUMPY\1\0",
    "packed with zstd": b"\x28\xb5\x2f\xfd\0",
    "packed with gzip": b"\x1f\x8b\x08\0",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("ending", ["txt", "csv", "jsonl", "bin"])
def test_a_file_is_called_what_it_is_whatever_its_name(tmp_path, kind, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(FOREIGN[kind])
    for reading in (
        lambda: gather_file(path, USUAL),
        lambda: gather_uploads([(path.name, FOREIGN[kind])], USUAL),
    ):
        with pytest.raises(ValueError) as caught:
            reading()
        assert (
            kind in str(caught.value)
            and "not text" in str(caught.value)
            and len(str(caught.value)) < 300
        )


def test_text_about_such_files_is_text():
    for text in (
        "GGUF is a format of files.",
        "PAR1 and ID3 are magic words.",
        "BZh, OggS, GIF8: first bytes.",
    ):
        assert gather_uploads([("a.txt", text.encode())], USUAL).documents[0].text == text


def test_a_folder_that_is_a_model_is_said_and_is_not_trained_on(tmp_path):
    model = tmp_path / "corpus" / "llama"
    model.mkdir(parents=True)
    (model / "config.json").write_text(
        json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]})
    )
    (model / "model.safetensors").write_bytes(safetensors())
    (model / "README.md").write_text("about the model " * 50)
    with pytest.raises(
        ValueError, match=r"is a model \(llama, 1 file of weights\), not a folder of texts"
    ):
        gather_folder(model, USUAL)
    with pytest.raises(ValueError, match="is a model .*, not a file of text"):
        gather_file(model, USUAL)
    with pytest.raises(ValueError, match="is a model .*, not a dataset"):
        gather_dataset(CorpusSettings(source="dataset", path=str(model)))
    (tmp_path / "corpus" / "sea").mkdir()
    (tmp_path / "corpus" / "sea" / "a.txt").write_text("the sea " * 50)
    (tmp_path / "corpus" / "sea" / "config.json").write_text(
        '{"model_type": "told of in the text"}'
    )
    found = gather_folder(tmp_path / "corpus", USUAL)
    assert {document.context for document in found.documents} == {"sea"}
    assert ("llama", "it is a model (llama, 1 file of weights)") in {
        (item.title, item.reason) for item in found.skipped
    }


def test_a_file_for_a_folder_and_a_folder_for_a_file_are_said(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(ValueError, match="choose the source file"):
        gather_folder(tmp_path / "a.txt", USUAL)
    with pytest.raises(ValueError, match="choose the source folder"):
        gather_file(tmp_path, USUAL)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_small_files_are_decoded_as_corpora_are(tmp_path, encoding):
    path = tmp_path / "settings.json"
    path.write_bytes("{}\r\n".encode(encoding))
    assert read_text_file(path, 100, "settings file") == "{}\n"
    with pytest.raises(ValueError, match=r"settings\.json is longer than 2 bytes"):
        read_text_file(path, 2, "settings file")
    path.write_bytes(b"\xe9")
    with pytest.raises(ValueError, match=r"settings\.json is not UTF-8"):
        read_text_file(path, 100, "settings file")
