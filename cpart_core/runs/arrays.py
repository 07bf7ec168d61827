"""Named numpy arrays <-> one .npz file, for files that somebody else may have made: no pickle, sizes checked before memory is taken."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from cpart_core.runs.atomic import write_file

ALLOWED_KINDS = "biuf"
"""Kinds of numpy types that may be stored: bool, int, unsigned, float."""


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays atomically, compressed; types, shapes and bits come back as they were."""
    for name, array in arrays.items():
        assert array.dtype.kind in ALLOWED_KINDS, f"{name} has type {array.dtype}"
    memory = io.BytesIO()
    np.savez_compressed(memory, allow_pickle=False, **arrays)
    write_file(path, memory.getvalue())


def load_arrays(path: Path, limit_bytes: int = 1 << 30) -> dict[str, np.ndarray]:
    """Read all arrays of a file. ValueError when it is not such a file or would unpack to more than `limit_bytes`."""
    try:
        if path.is_symlink():
            raise ValueError("it is a link")
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > limit_bytes:
                raise ValueError(f"it unpacks to more than {limit_bytes} bytes")
            return {member.filename.removesuffix(".npy"): read_member(archive, member) for member in members}
    except (OSError, EOFError, ValueError, KeyError, TypeError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path.name} cannot be read as an array file: {error}.") from None


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array; its header must fit the bytes that are really there, else a small file could ask for all memory."""
    data = archive.read(member)
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, column_major, dtype = read_header(stream)
    if dtype.kind not in ALLOWED_KINDS:
        raise ValueError(f"{member.filename} holds {dtype}, not numbers")
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise ValueError(f"the size of {member.filename} does not fit its shape {shape}")
    flat = np.frombuffer(data, dtype=dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if column_major else "C").copy()
