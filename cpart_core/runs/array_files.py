"""Named numpy arrays into one .npz file, whole or not at all; `files.arrays` reads them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from cpart_core.files.arrays import ALLOWED_KINDS
from cpart_core.runs.atomic import write_file


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays atomically, compressed; types, shapes and bits come back as they were."""
    for name, array in arrays.items():
        assert array.dtype.kind in ALLOWED_KINDS, f"{name} has type {array.dtype}"
    memory = io.BytesIO()
    np.savez_compressed(memory, allow_pickle=False, **arrays)
    write_file(path, memory.getvalue())
