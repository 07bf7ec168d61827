"""Named numpy arrays out of an .npz file that somebody else may have made: no pickle, and sizes are
known before memory is taken."""

from __future__ import annotations

import io
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from cpart_core.files.plain import open_plain

ALLOWED_KINDS = "biuf"
"""Kinds of numpy types that may be stored: bool, int, unsigned, float."""
PAGE_BYTES = 32 << 20
"""What one file may take in the process of the pages; those of the largest model that was tried
take a tenth."""
MOST_ARRAYS = 64
LONGEST_DIRECTORY = 1 << 16
END = struct.Struct("<4s4H2LH")
"""The last 22 bytes of a zip: signature, disks, entries here, entries, bytes and place of the
directory, bytes of a comment."""
PIECE = 1 << 20
NO_TYPES: Mapping[str, type[np.generic]] = MappingProxyType({})
DAMAGE = (
    *(
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        NotImplementedError,
        RuntimeError,
        SyntaxError,
    ),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error, struct.error),
)
"""What reading damaged zip files and array headers raises."""


def load_arrays(
    path: Path,
    limit_bytes: int = PAGE_BYTES,
    only: str = "",
    types: Mapping[str, type[np.generic]] = NO_TYPES,
) -> dict[str, np.ndarray]:
    """Read the arrays of a file whose name begins with `only`. ValueError when it is not such a
    file, when they take more than `limit_bytes`, or one is not of its type in `types`."""
    try:
        with os.fdopen(open_plain(path.parent, path.name), "rb") as file:
            check_directory(file, limit_bytes)
            with zipfile.ZipFile(file) as archive:
                members = [
                    member for member in archive.infolist() if member.filename.startswith(only)
                ]
                if sum(member.file_size for member in members) > limit_bytes:
                    raise ValueError(f"it unpacks to more than {limit_bytes:,} bytes")
                return {
                    (name := member.filename.removesuffix(".npy")): read_member(
                        archive, member, types.get(name)
                    )
                    for member in members
                }
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing.") from None
    except DAMAGE as error:
        raise ValueError(f"{path.name} cannot be read as an array file: {error}.") from None


def check_directory(file: BinaryIO, limit_bytes: int) -> None:
    """ValueError unless the zip's list of members is short: zipfile would take it into memory
    whole, whatever its length."""
    size = os.fstat(file.fileno()).st_size
    if size > limit_bytes + LONGEST_DIRECTORY:
        raise ValueError(f"it is larger than {limit_bytes:,} bytes")
    file.seek(max(0, size - END.size - 20))
    tail = file.read()
    before, end = tail[: -END.size], tail[-END.size :]
    signature, _, _, _, entries, directory, _, comment = END.unpack(end)
    if (
        signature != b"PK\x05\x06"
        or comment
        or before.startswith(b"PK\x06\x07")
        or entries > MOST_ARRAYS
        or directory > LONGEST_DIRECTORY
    ):
        raise ValueError(f"it is no plain zip of at most {MOST_ARRAYS} arrays")
    file.seek(0)


def read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, wanted: type[np.generic] | None
) -> np.ndarray:
    """One array. Its header is read first: it must fit its type and the bytes that are really
    there, else a small file could ask for all memory."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} is packed in a way that this version does not read")
    with archive.open(member) as unpacked:
        data = bytearray(unpacked.read(PIECE))
        shape, column_major, dtype, begins = read_header(data)
        if dtype.kind not in ALLOWED_KINDS or (wanted is not None and dtype != wanted):
            asked = "numbers" if wanted is None else np.dtype(wanted).name
            raise ValueError(f"{member.filename} holds {dtype}, not {asked}")
        size = begins + math.prod(shape) * dtype.itemsize
        if any(length < 0 for length in shape) or size != member.file_size:
            raise ValueError(f"the size of {member.filename} does not fit its shape {shape}")
        while piece := unpacked.read(PIECE):
            data += piece
    if len(data) != size:
        raise ValueError(f"the size of {member.filename} does not fit its shape {shape}")
    flat = np.frombuffer(data, dtype=dtype, offset=begins)
    return flat.reshape(shape, order="F" if column_major else "C")


def read_header(data: bytearray) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """(shape, column-major?, type, where the numbers begin) of an array in numpy's format."""
    stream = io.BytesIO(bytes(data[:LONGEST_DIRECTORY]))
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, column_major, dtype = read(stream)
    return shape, column_major, dtype, stream.tell()
