"""Fixtures of the browser tests: Chromium (its absence is a failure, not a skip), a server with its
own runs folder, and visits to it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from cpart_core.bench.harness.app_server import AppServer
from cpart_core.bench.harness.chromium import chromium, chromium_path
from tests.browser.visit import PATIENCE, Visit


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    try:
        chromium_path()
    except FileNotFoundError as missing:
        pytest.fail(f"The browser tests are part of the tests. {missing}", pytrace=False)
    # its own 5 s are not enough where other work keeps the cores
    expect.set_options(timeout=PATIENCE)
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots go: $CPART_PICTURES, or a folder in the system's temporary one."""
    folder = Path(os.environ.get("CPART_PICTURES") or tempfile.mkdtemp(prefix="cpart-pictures-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"screenshots: {folder}")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    folder = tmp_path_factory.mktemp("server")
    with AppServer(runs_root=folder / "runs", log=folder / "server.log") as running:
        yield running


@pytest.fixture
def visit(
    browser: Browser, server: AppServer, pictures: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Visit]]:
    """Call it for a new visitor, with options of the browser context such as `color_scheme`. A
    failing test leaves a picture of its end."""
    visits: list[Visit] = []

    def new(width: int = 1280, height: int = 900, **options: object) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        visits.append(Visit(context, server.address, pictures))
        return visits[-1]

    failed_before = request.session.testsfailed
    yield new
    for number, seen in enumerate(visits):
        if request.session.testsfailed > failed_before and not seen.page.is_closed():
            name = re.sub(r"[^\w-]+", "-", request.node.name)
            print("screenshot:", seen.picture(f"failed-{name}-{number}"))
            print("errors in the browser:", *seen.errors, sep="\n")
        seen.context.close()
