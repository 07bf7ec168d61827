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
from pathlib import Path
from typing import BinaryIO

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


def load_arrays(path: Path, limit_bytes: int = PAGE_BYTES, only: str = "") -> dict[str, np.ndarray]:
    """Read the arrays of a file whose name begins with `only`. ValueError when it is not such a
    file or they take more than `limit_bytes`."""
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
                    member.filename.removesuffix(".npy"): read_member(archive, member)
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


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array; its header must fit the bytes that are really there, else a small file could ask
    for all memory."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} is packed in a way that this version does not read")
    data = bytearray()
    with archive.open(member) as unpacked:
        while piece := unpacked.read(PIECE):
            data += piece
    stream = io.BytesIO(bytes(data[:LONGEST_DIRECTORY]))
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, column_major, dtype = read_header(stream)
    if dtype.kind not in ALLOWED_KINDS:
        raise ValueError(f"{member.filename} holds {dtype}, not numbers")
    if (
        any(size < 0 for size in shape)
        or math.prod(shape) * dtype.itemsize != len(data) - stream.tell()
    ):
        raise ValueError(f"the size of {member.filename} does not fit its shape {shape}")
    flat = np.frombuffer(data, dtype=dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if column_major else "C")
