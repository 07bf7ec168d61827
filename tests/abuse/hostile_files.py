"""Files in a run folder, and files given as text, that were made to harm."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

from cpart_core.corpus.files import gather_file
from cpart_core.corpus.folders import gather_folder
from cpart_core.corpus.tokenizer import Tokenizer
from cpart_core.runs.checkpoint import load_model
from cpart_core.runs.folder import Run, open_run
from cpart_core.runs.info import read_info
from cpart_core.runs.manifest import MANIFEST, write_manifest
from cpart_core.settings.corpus import CorpusSettings
from cpart_core.settings.run import settings_from_dict
from tests.abuse.case import Look, case
from tests.abuse.place import HALF, Place
from tests.abuse.probe import bearable

GIB = 1 << 30
NESTED = "[" * 200_000


@case(
    "31",
    "zip bombs: a .gz text, a snapshot, an analysis, a corpus; zips and links given as text",
    "refused in a sentence, with bounded memory",
)
def bombs(place: Place) -> str:
    look = Look()
    text = place.root / "text"
    text.mkdir()
    bomb = text / "bomb.txt.gz"
    with open(bomb, "wb") as file:
        subprocess.run([sys.executable, "-c", ZEROS, "1200"], stdout=file, check=True)
    began = time.monotonic()
    look(*refused("a .gz of 1.2 GB", lambda: gather_file(bomb, CorpusSettings())))
    look(time.monotonic() - began < 10, f"that took {time.monotonic() - began:.1f} s")
    with zipfile.ZipFile(text / "slip.zip", "w") as archive:
        archive.writestr("../../slipped.txt", "out")
    look(*refused("a .zip", lambda: gather_file(text / "slip.zip", CorpusSettings())))
    (text / "in.txt").write_text("inside " * 50)
    (text / "out.txt").symlink_to("/etc/passwd")
    found = gather_folder(text, CorpusSettings())
    look(
        [document.title for document in found.documents] == ["in.txt"],
        f"of the folder is read {[document.title for document in found.documents]}",
    )
    look(not (place.root / "slipped.txt").exists(), "nothing slipped out")
    made = {}
    for name in ("snapshots/step-00000020.npz", "corpus/corpus.npz", "analysis"):
        run = place.stopped()
        path = (
            next(iter(sorted((run.folder / "analysis").glob("losses-*.npz"))), None)
            if name == "analysis"
            else run.folder / name
        )
        if path is not None:
            write_bomb(path)
            made[f"{name} of 1 GiB"] = run.folder
    bearable(look, made, place.finished().id)
    return look.said()


@case(
    "32",
    "hostile config.json, safetensors, run.json",
    "refused in a sentence before anything is allocated",
)
def hostile_checkpoint(place: Place) -> str:
    look = Look()
    config = {
        "num_layers": 10**9,
        "width": -32,
        "num_neurons": 1.5,
        "top_k": float("nan"),
        "step": -1,
        "vocabulary_size": 10**12,
        "__class__": "x",
    }
    for key, value in config.items():
        run = place.stopped()
        change_config(run, key, value)
        look(*refused(f"config.json {key}={value}", lambda run=run: load_model(run, HALF)))
    for name, header in headers().items():
        run = place.stopped()
        (run.checkpoint_folder(HALF) / "model.safetensors").write_bytes(header)
        sign(run)
        look(*refused(f"safetensors {name}", lambda run=run: load_model(run, HALF)))
    for name, text in (
        ("10 MB", json.dumps("x" * 10_000_000)),
        ("nested", NESTED),
        ("learning_rate NaN", "nan"),
    ):
        run = place.stopped()
        path = run.folder / "run.json"
        path.write_text(
            path.read_text().replace('"learning_rate": 0.002', '"learning_rate": NaN')
            if text == "nan"
            else text
        )
        look(*refused(f"run.json {name}", lambda run=run: read_info(run.folder)))
    look(
        *refused(
            "settings with an unknown key", lambda: settings_from_dict({"model": {"depth": 3}})
        )
    )
    return look.said()


@case(
    "33",
    "tokenizer.json with a pattern that never ends, and other foreign ones",
    "refused at once, not run",
    quick=True,
)
def hostile_tokenizer(place: Place) -> str:
    run = place.stopped()
    path = run.checkpoint_folder(HALF) / "tokenizer.json"
    sound = path.read_text("utf-8")
    look = Look()
    split = {
        "type": "Split",
        "pattern": {"Regex": "(a+)+$"},
        "behavior": "Isolated",
        "invert": False,
    }
    for name, change in {
        "a pattern": {"pre_tokenizer": split},
        "a pattern among ours": {
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [split, *json.loads(sound)["pre_tokenizer"]["pretokenizers"]],
            }
        },
        "a normalizer": {
            "normalizer": {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}
        },
        "another model": {"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}},
    }.items():
        text = json.dumps({**json.loads(sound), **change})
        look(*refused(name, lambda text=text: Tokenizer.from_json(text)))
    look(*refused("deep nesting", lambda: Tokenizer.from_json(NESTED)))
    path.write_text("{}")
    sign(run)
    look(*refused("a checkpoint with {}", lambda: load_model(run, HALF)))
    return look.said()


@case(
    "34",
    "pickles: .bin, .pt, .pkl, .npy of objects, a checkpoint's .metadata",
    "refused; nothing is unpickled",
    quick=True,
)
def pickles(place: Place) -> str:
    look = Look()
    mark = place.root / "unpickled"
    payload = f"cos\nsystem\n(S'touch {mark}'\ntR.".encode()
    for name in ("model.bin", "model.pt", "data.pkl", "data.npy", "text.txt"):
        path = place.root / name
        path.write_bytes(payload + b"\0\x80" if name == "text.txt" else payload)
        look(*refused(f"{name} as text", lambda path=path: gather_file(path, CorpusSettings())))
    run = place.stopped()
    with zipfile.ZipFile(run.folder / "snapshots" / "step-00000020.npz", "w") as archive:
        header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
        archive.writestr(
            "segment_of.npy",
            b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + payload,
        )
    look(*refused("objects in a snapshot", lambda: open_run(run.id).snapshot(20)))
    folder = run.checkpoint_folder(HALF)
    (folder / ".metadata").write_bytes(payload)
    (folder / "model.safetensors").write_bytes(payload)
    sign(run)
    look(*refused("a pickle called model.safetensors", lambda: load_model(run, HALF)))
    look(not mark.exists(), "nothing was run")
    return look.said()


@case("35", "auto_map: remote code in config.json", "refused; nothing is imported", quick=True)
def remote_code(place: Place) -> str:
    look = Look()
    mark = place.root / "imported"
    run = place.stopped()
    (run.checkpoint_folder(HALF) / "modeling_evil.py").write_text(f"open({str(mark)!r}, 'w')")
    change_config(run, "auto_map", {"AutoModelForCausalLM": "modeling_evil.Evil"})
    look(*refused("a checkpoint with auto_map", lambda: load_model(run, HALF)))
    model = place.root / "model"
    model.mkdir()
    (model / "config.json").write_text(
        json.dumps(
            {
                "architectures": ["Evil"],
                "auto_map": {"AutoModel": "modeling_evil.Evil"},
                "trust_remote_code": True,
            }
        )
    )
    (model / "modeling_evil.py").write_text(f"open({str(mark)!r}, 'w')")
    look(*refused("a model's folder as text", lambda: gather_folder(model, CorpusSettings())))
    look(not mark.exists(), "nothing was imported")
    return look.said()


ZEROS = """
import gzip, sys
out = gzip.GzipFile(fileobj=sys.stdout.buffer, mode="wb", compresslevel=1)
for _ in range(int(sys.argv[1])):
    out.write(bytes(1 << 20))
out.close()
"""


def refused(name: str, call: object) -> tuple[bool, str]:
    """(is it refused with a ValueError of one bounded sentence, what was seen)."""
    try:
        call()
    except ValueError as error:
        said = str(error)
        return len(said) < 1000 and "\n" not in said.strip(), f"{name}: {said[:110]}"
    except BaseException as error:  # noqa: BLE001  another exception is a finding
        return False, f"{name}: {type(error).__name__}: {str(error)[:110]}"
    return False, f"{name} was accepted"


def change_config(run: Run, key: str, value: object) -> None:
    """Change config.json of the newest checkpoint, as somebody would who also signs it."""
    path = run.checkpoint_folder(HALF) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    sign(run)


def sign(run: Run) -> None:
    """Write the manifest of the newest checkpoint anew: whoever forges a checkpoint forges that
    too."""
    folder = run.checkpoint_folder(HALF)
    (folder / MANIFEST).unlink(missing_ok=True)
    write_manifest(folder)


def headers() -> dict[str, bytes]:
    """Bytes that are nearly a safetensors file."""

    def with_header(header: bytes, length: int | None = None) -> bytes:
        return struct.pack("<Q", len(header) if length is None else length) + header

    tensor = {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}
    return {
        "with a header of 2**60 bytes": with_header(b"{}", 2**60),
        "with a number for a header": with_header(b"7"),
        "with a number for a tensor": with_header(b'{"embedding.weight": 7}'),
        "of a petabyte": with_header(json.dumps({"embedding": tensor}).encode()),
        "with a negative shape": with_header(
            json.dumps({"embedding": {**tensor, "shape": [-1, 4]}}).encode()
        ),
        "nested deeply": with_header(NESTED.encode()),
        "empty": b"",
    }


def write_bomb(path: Path) -> None:
    """An array file of little more than 1 MB that unpacks to nearly 1 GiB, named as the arrays that
    are really wanted there."""
    with np.load(path, allow_pickle=False) as arrays:
        names = list(arrays.files)
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d,), }" % (GIB - (1 << 21))
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(f"{names[0]}.npy", "w", force_zip64=True) as member,
    ):
        member.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n")
        for _ in range(GIB // (1 << 20) - 2):
            member.write(bytes(1 << 20))


CASES = (bombs, hostile_checkpoint, hostile_tokenizer, pickles, remote_code)
