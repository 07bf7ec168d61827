"""What a file or folder is that holds no text: told by its first bytes and by what a model's
config.json says, not by its name alone."""

from __future__ import annotations

import json
from pathlib import Path

HEAD = 4096
"""Bytes of a file that are looked at."""
LARGEST_CONFIG = 1_000_000
LARGEST_LISTING = 2000
"""Entries of a folder that are looked at for weights."""
SAFETENSORS_HEADER = 100_000_000
"""Bytes; the format allows no longer one."""

ALONE: tuple[tuple[bytes, str], ...] = (
    (b"GGUF", "a GGUF model"),
    *((magic, "a model in an old GGML format") for magic in (b"lmgg", b"tjgg", b"fmgg", b"algg")),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as the weights of a Keras model"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
    (b"Obj\x01", "an Avro file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"ID3", "an MP3 recording"),
    (b"OggS", "an Ogg recording"),
    (b"fLaC", "a FLAC recording"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office document"),
    (b"{\\rtf", "an RTF document"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd"),
    (b"\xfd7zXZ\0", "packed with xz"),
    (b"BZh", "packed with bzip2"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x1f\x8b", "packed with gzip"),
    (b"\x7fELF", "a program"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer"),
)
"""First bytes -> what they begin."""
NO_TEXT = set(range(9)) | set(range(14, 27))
"""Bytes that no text holds."""
IN_ZIP: tuple[tuple[bytes, str], ...] = (
    (b"data.pkl", "a PyTorch checkpoint"),
    (b"word/", "a Word document"),
    (b"xl/", "an Excel workbook"),
    (b"ppt/", "a PowerPoint presentation"),
    (b"opendocument.text", "an OpenDocument text"),
    (b"opendocument.spreadsheet", "an OpenDocument table"),
    (b"epub+zip", "an EPUB book"),
    (b".npy", "an archive of NumPy arrays"),
)
"""What stands near the beginning of a zip archive -> what the archive is."""
WHAT_TO_DO = {
    "an Excel workbook": "save the sheet as CSV (UTF-8)",
    "an OpenDocument table": "save the sheet as CSV",
    "a Parquet table": "save it as JSON lines or CSV, or give its folder as a dataset",
    "an Arrow table": "give its folder as a dataset",
    "a zip archive": "unpack it and give the folder",
    "a Git LFS pointer": "fetch it with git lfs pull",
    "packed with gzip": "end its name in .gz, such as .txt.gz",
}
MODELS = ("model", "PyTorch checkpoint")
TOKENIZERS = {"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json"}
WEIGHTS = (
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".gguf",
    ".h5",
    ".msgpack",
    ".onnx",
    ".ckpt",
    ".safetensors.index.json",
    ".bin.index.json",
)


def what_it_is(head: bytes) -> str | None:
    """What a file is by its first bytes, 'a PDF document'; None for what may be text. HEAD bytes
    are enough."""
    for magic, name in ALONE:
        # a text may begin with the word GGUF
        if head.startswith(magic) and (not magic.isalnum() or set(head) & NO_TEXT):
            return name
    if head.startswith(b"PK\x03\x04"):
        return next((name for inside, name in IN_ZIP if inside in head), "a zip archive")
    if head[:4] == b"RIFF" and head[8:12] in (b"WEBP", b"WAVE", b"AVI "):
        return {b"WEBP": "a WebP picture", b"WAVE": "a WAV recording", b"AVI ": "a film"}[
            head[8:12]
        ]
    if head[4:8] == b"ftyp":
        return "a film or a picture (MP4)"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if (
        len(head) > 8
        and head[8:9] == b"{"
        and 2 <= int.from_bytes(head[:8], "little") <= SAFETENSORS_HEADER
    ):
        return "a model's weights (safetensors)"
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return "a pickle, such as an old PyTorch checkpoint, which is never opened"
    return None


def refused(head: bytes) -> str | None:
    """As `what_it_is`, with what to do about it: 'a zip archive, not text; unpack it and give the
    folder'."""
    name = what_it_is(head)
    if name is None:
        return None
    if any(word in name for word in MODELS):
        return f"{name}, not text: CPart trains on text, not on models"
    return f"{name}, not text" + (f"; {WHAT_TO_DO[name]}" if name in WHAT_TO_DO else "")


def model_in(folder: Path) -> str | None:
    """'a model (llama, 2 files of weights)' where a folder holds two of: a model's config.json,
    weights, a tokenizer; else None."""
    config = small_json(folder / "config.json")
    weights = [name for name in names_in(folder) if name.endswith(WEIGHTS)]
    architectures = config.get("architectures")
    said = config.get("model_type") or (
        architectures[0] if isinstance(architectures, list) and architectures else None
    )
    beside = TOKENIZERS & set(names_in(folder))
    if not (weights or beside) or not (isinstance(said, str) or (weights and beside)):
        return None
    kind = [said[:40]] if isinstance(said, str) else []
    count = [f"{len(weights)} file{'s' * (len(weights) > 1)} of weights"] if weights else []
    return f"a model ({', '.join(kind + count)})"


def other_in(folder: Path) -> str | None:
    """What else a folder is that is no folder of texts: a run of CPart, or a dataset that was saved
    to disk, with what to do about it."""
    run = small_json(folder / "run.json")
    if run and "settings" in run and (folder / "corpus").is_dir():
        return "a run of CPart; train on the text that it was trained on"
    if any(
        (folder / name).is_file() for name in ("dataset_dict.json", "dataset_info.json")
    ) and any(
        name.endswith(".arrow") or name in ("dataset_dict.json", "state.json")
        for name in names_in(folder)
    ):
        return "a dataset saved to disk; choose the source dataset for it"
    return None


def names_in(folder: Path) -> list[str]:
    try:
        return [
            entry.name for entry, _ in zip(folder.iterdir(), range(LARGEST_LISTING), strict=False)
        ]
    except OSError:
        return []


def small_json(path: Path) -> dict[str, object]:
    """The object in a small JSON file; nothing where there is none."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_CONFIG:
            return {}
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
