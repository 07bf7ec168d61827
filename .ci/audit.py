"""What CI asks of everything that is installed: a licence that CPart may be used with, and no known
vulnerability.

python .ci/audit.py licences            fails for a licence that is not in ALLOWED, or for none
python .ci/audit.py vulnerabilities     fails for a known vulnerability; where no database can be
                                        asked it says so, and does not fail
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import Distribution, distributions

ALLOWED = {
    *(
        "MIT",
        "MIT-CMU",
        "MIT-0",
        "BSD",
        "BSD-2-CLAUSE",
        "BSD-3-CLAUSE",
        "0BSD",
        "ISC",
        "ZLIB",
        "UNLICENSE",
        "CC0-1.0",
        "BSL-1.0",
        "HPND",
    ),
    *("APACHE-2.0", "PSF-2.0", "PYTHON-2.0", "MPL-2.0"),
}
"""Permissive ones, and the MPL, which asks something only of who changes its files."""
NAMES = {
    "BSD LICENSE": "BSD",
    "3-CLAUSE BSD LICENSE": "BSD-3-CLAUSE",
    "MIT LICENSE": "MIT",
    "APACHE SOFTWARE LICENSE": "APACHE-2.0",
    "APACHE LICENSE 2.0": "APACHE-2.0",
    "MOZILLA PUBLIC LICENSE 2.0 (MPL 2.0)": "MPL-2.0",
    "PYTHON SOFTWARE FOUNDATION LICENSE": "PSF-2.0",
    "ISC LICENSE (ISCL)": "ISC",
    "THE UNLICENSE (UNLICENSE)": "UNLICENSE",
}
"""How packages without an SPDX expression say it."""
SAID_IN_THEIR_FILES = {"axe-playwright-python": "MIT"}
"""Packages whose description names no licence, read by a person in their LICENSE file."""
FROM_NVIDIA = re.compile(r"nvidia-|cuda-|nvshmem", re.IGNORECASE)
"""Libraries that the CUDA build of torch brings, under NVIDIA's own licence; the CPU build does
without."""


def licences_of(package: Distribution) -> list[str]:
    """The ways in which a package may be used: each a licence, or several that hold together, in
    capitals. Empty where it does not say."""
    about = package.metadata
    said = about.get("License-Expression") or SAID_IN_THEIR_FILES.get(package.name.lower()) or ""
    if not said:
        classified = [
            line.rpartition(" :: ")[2]
            for line in about.get_all("Classifier") or []
            if line.startswith("License :: OSI Approved :: ")
        ]
        said = " AND ".join(classified) or (about.get("License") or "").strip().split("\n")[0]
    return [way.strip().upper() for way in re.split(r"\bOR\b", said) if way.strip()]


def allowed(way: str) -> bool:
    """Are all licences that hold together allowed? An exception to one (`WITH`) only gives more."""
    parts = [part.partition(" WITH ")[0].strip() for part in re.split(r"\bAND\b", way)]
    return all(NAMES.get(part, part.strip("() ")) in ALLOWED for part in parts)


def check_licences() -> int:
    found = {
        package.name: licences_of(package)
        for package in distributions()
        if not FROM_NVIDIA.match(package.name)
    }
    wrong = {
        name: " or ".join(ways) or "none named"
        for name, ways in found.items()
        if not any(map(allowed, ways))
    }
    for name, said in sorted(wrong.items()):
        print(f"licence of {name}: {said[:100]}: not one that is allowed in .ci/audit.py")
    print(f"licences: {len(found)} packages, {len(wrong)} not allowed")
    return bool(wrong)


def check_vulnerabilities() -> int:
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--local",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        packages = json.loads(done.stdout)["dependencies"]
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
        print(f"VULNERABILITIES NOT CHECKED: no database could be asked ({type(error).__name__}).")
        return 0
    asked = [entry for entry in packages if "skip_reason" not in entry]
    if not asked:
        print(
            "VULNERABILITIES NOT CHECKED: the database that could be reached knows none of the"
            " packages."
        )
        return 0
    known = [
        (entry["name"], entry["version"], flaw["id"]) for entry in asked for flaw in entry["vulns"]
    ]
    for name, version, flaw in known:
        print(f"{name} {version}: {flaw}")
    print(
        f"vulnerabilities: {len(asked)} of {len(packages)} packages asked about, {len(known)} known"
    )
    return bool(known)


if __name__ == "__main__":
    sys.exit({"licences": check_licences, "vulnerabilities": check_vulnerabilities}[sys.argv[1]]())
