"""Checkpoints: exact round trip, every damage noticed, hostile headers refused before they cost
memory, the newest kept."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import pytest
import torch

from cpart_core.corpus.tokenizer import Tokenizer
from cpart_core.model.decoder import Decoder
from cpart_core.runs.atomic import writing_folder
from cpart_core.runs.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_latest,
    load_model,
    save_checkpoint,
    steps_in,
)
from cpart_core.runs.checkpoint_files import (
    LARGEST_HEADER,
    CheckpointConfig,
    header_shapes,
    read_config,
)
from cpart_core.runs.folder import Run
from cpart_core.runs.manifest import write_manifest
from tests.runs.tiny import TINY, tiny_run


@pytest.fixture(scope="module")
def tokenizer_json() -> str:
    return Tokenizer.train(["one two three, one two three"], 270).to_json()


def checkpoint(step: int, tokenizer_json: str) -> Checkpoint:
    size = Tokenizer.from_json(tokenizer_json).vocabulary_size
    model = Decoder(TINY.model, size, seed=step)
    tensors = {"moment": torch.full((3,), float(step)), "count": torch.tensor(step)}
    return Checkpoint(
        CheckpointConfig(TINY.model, size, step, True),
        dict(model.state_dict()),
        tensors,
        {"step": step},
        tokenizer_json,
    )


@pytest.fixture
def run(tokenizer_json) -> Run:
    run = tiny_run()
    save_checkpoint(run.folder / "checkpoints", checkpoint(10, tokenizer_json), keep=3)
    return run


def test_round_trip_is_exact(run, tokenizer_json):
    wanted, found = checkpoint(10, tokenizer_json), load_checkpoint(run.checkpoint_folder(10))
    assert (
        found.config == wanted.config
        and found.numbers == wanted.numbers
        and found.tokenizer_json == wanted.tokenizer_json
    )
    for ours, theirs in ((wanted.weights, found.weights), (wanted.tensors, found.tensors)):
        assert ours.keys() == theirs.keys() and all(
            torch.equal(ours[name], theirs[name]) for name in ours
        )


def test_the_model_of_a_checkpoint_computes_the_same(run, tokenizer_json):
    model, tokenizer, config = load_model(run, 10)
    same = Decoder(TINY.model, tokenizer.vocabulary_size, seed=10)
    ids = torch.tensor([tokenizer.encode("one two")])
    assert torch.equal(model(ids), same(ids)) and not model.training and config.step == 10
    with pytest.raises(ValueError, match="no checkpoint at step 11; it has: 10"):
        load_model(run, 11)


def test_every_flipped_byte_tried_is_noticed(run):
    folder = run.checkpoint_folder(10)
    chance = random.Random(0)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for position in {0, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(6))}:
            flipped = bytearray(whole)
            flipped[position] ^= 1 << chance.randrange(8)
            path.write_bytes(flipped)
            with pytest.raises(ValueError):
                load_checkpoint(folder)
        path.write_bytes(whole[:-1])
        with pytest.raises(ValueError):
            load_model(run, 10)
        path.write_bytes(whole)
    load_checkpoint(folder)


def test_the_newest_sound_one_is_found_and_the_newest_are_kept(tmp_path, tokenizer_json):
    for step in (10, 20, 30, 40):
        save_checkpoint(tmp_path, checkpoint(step, tokenizer_json), keep=3)
    assert steps_in(tmp_path) == [20, 30, 40]
    (tmp_path / "step-00000040" / "config.json").unlink()
    latest = load_latest(tmp_path)
    assert latest.checkpoint.config.step == 30 and [entry.step for entry in latest.damaged] == [40]
    # the damaged one does not count as kept
    save_checkpoint(tmp_path, checkpoint(35, tokenizer_json), keep=2)
    assert steps_in(tmp_path) == [30, 35, 40]
    assert load_latest(tmp_path, last_step=34).checkpoint.config.step == 30
    # and is replaced when training comes by
    save_checkpoint(tmp_path, checkpoint(40, tokenizer_json), keep=2)
    assert load_latest(tmp_path).checkpoint.config.step == 40 and not load_latest(tmp_path).damaged
    assert load_latest(tmp_path / "nowhere").checkpoint is None


def test_an_interrupted_write_leaves_nothing_to_be_read(tmp_path, tokenizer_json):
    save_checkpoint(tmp_path, checkpoint(10, tokenizer_json), keep=3)
    (tmp_path / ".tmp-abc-step-00000020").mkdir()
    assert steps_in(tmp_path) == [10]
    save_checkpoint(tmp_path, checkpoint(20, tokenizer_json), keep=3)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["step-00000010", "step-00000020"]


def rewritten(run: Run, name: str, data: bytes) -> Path:
    """The checkpoint with one file replaced by somebody who can also write manifests."""
    folder = run.checkpoint_folder(10)
    with writing_folder(folder) as draft:
        for path in folder.iterdir():
            (draft / path.name).write_bytes(data if path.name == name else path.read_bytes())
        write_manifest(draft)
    return folder


@pytest.mark.parametrize(
    "change",
    [
        {"num_layers": 10**9},
        {"width": -32},
        {"width": 64},
        {"num_neurons": 64},
        {"vocabulary_size": 10**9},
        {"fused": 1},
        {"format": 2},
        {"fusion_temperature": float("nan")},
        {"unknown": 1},
        {"step": "10"},
    ],
    ids=str,
)
def test_hostile_config_is_a_sentence(run, change):
    config = json.loads((run.checkpoint_folder(10) / "config.json").read_text())
    rewritten(run, "config.json", json.dumps(config | change).encode())
    with pytest.raises(ValueError):
        load_model(run, 10)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[]", "{}", "nonsense", '{"a": ' + "1" * 200_000 + "}"],
    ids=["deep", "list", "empty", "text", "long"],
)
def test_config_that_is_no_config(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError):
        read_config(tmp_path / "config.json")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 8,
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", LARGEST_HEADER + 1) + b" " * (LARGEST_HEADER + 10),
        struct.pack("<Q", 9) + b'{"a": []}',
        struct.pack("<Q", 20) + b'{"a": {"shape": [x]}',
    ],
    ids=["empty", "zeros", "huge", "over the cap", "no shape", "no json"],
)
def test_hostile_headers_are_refused_by_their_size_and_form(tmp_path, data):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError):
        header_shapes(path)


def test_too_many_tensors_are_refused_unread(tmp_path):
    header = json.dumps(
        {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(30_000)}
    ).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ValueError, match="tensors"):
        header_shapes(path)
