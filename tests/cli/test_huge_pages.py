"""Huge pages are asked for once, by the commands that train, and only where the kernel gives them
on request."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cpart_core.cli.huge_pages import ENABLED, ON_REQUEST, tunables_for


@pytest.fixture
def asked(tmp_path):
    def file(text):
        (tmp_path / "enabled").write_text(text)
        return tmp_path / "enabled"

    return file


def test_only_where_it_changes_something(asked, tmp_path):
    madvise = asked("always [madvise] never\n")
    assert tunables_for(["train", "--steps", "3"], "", madvise) == "glibc.malloc.hugetlb=1"
    assert (
        tunables_for(["train"], "glibc.malloc.check=1", madvise)
        == "glibc.malloc.check=1:glibc.malloc.hugetlb=1"
    ), "a person's own stay"
    assert tunables_for(["train"], "glibc.malloc.hugetlb=0", madvise) is None, (
        "a person has decided"
    )
    assert tunables_for(["runs"], "", madvise) is None and tunables_for([], "", madvise) is None
    assert tunables_for(["train"], "", tmp_path / "missing") is None
    assert tunables_for(["train"], "", asked("[always] madvise never\n")) is None


@pytest.mark.skipif(
    not ENABLED.exists() or ON_REQUEST not in ENABLED.read_text(),
    reason="this kernel gives huge pages always or never",
)
def test_the_process_stays_itself():
    code = (
        "import os, sys; print(os.getpid(), os.environ.get('GLIBC_TUNABLES', ''), sys.argv[1:],"
        " flush=True)\n"
    )
    code += "sys.argv[0] = 'cpart'; from cpart_core.cli.huge_pages import reexec; reexec()"
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    command = [sys.executable, "-c", code, "train", "--width", "64"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    before, after = done.stdout.splitlines()
    assert before.split()[0] == after.split()[0], "the same process to those who wait for it"
    assert after.split(maxsplit=1)[1] == "glibc.malloc.hugetlb=1 ['train', '--width', '64']"
