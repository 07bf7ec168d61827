"""What a measurement ran on: enough to know which figures may be compared; no host name, no user,
no paths."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from cpart_core import __version__

PACKAGES = (
    "torch",
    "numpy",
    "streamlit",
    "plotly",
    "pandas",
    "scikit-learn",
    "umap-learn",
    "safetensors",
    "tokenizers",
)


def machine() -> dict[str, Any]:
    """System, processor, cores and the versions of what the numbers may depend on."""
    return {
        "system": platform.system(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "cpart": __version__,
    }


def processor() -> str:
    """The processor's name where the system says it, and the wide instructions that decide
    speed."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or platform.machine()
    lines = info.read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    wide = [flag for flag in ("avx2", "avx512f", "amx_bf16") if flag in flags]
    return (
        f"{names[0] if names else platform.machine()} ({', '.join(wide) or 'no wide instructions'})"
    )


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
