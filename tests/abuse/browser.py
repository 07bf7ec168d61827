"""What needs a browser: a server that is killed, two tabs, twenty tabs, a page that stays open, and
the longest journey with its requests."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from playwright.sync_api import Browser, expect

from cpart_core.bench.harness.app_server import AppServer, processes_of
from cpart_core.bench.harness.chromium import chromium, why_no_browser
from tests.abuse.case import Look, case
from tests.abuse.journey import log, travel
from tests.abuse.not_possible import NotPossible
from tests.abuse.place import Place, until
from tests.abuse.reliability_ends import LONG
from tests.abuse.server import started
from tests.browser.pages import NAMES, address, wait_until_drawn
from tests.browser.test_hostile_names_and_texts import HOSTILE
from tests.browser.trained import train
from tests.browser.visit import PATIENCE, Visit

HOURS = 8.0


def opened(place: Place) -> tuple[AppServer, Browser]:
    """A server and a browser of this case."""
    if why := why_no_browser():
        raise NotPossible(why)
    expect.set_options(timeout=PATIENCE)
    return started(place), place.stack.enter_context(chromium())


def visit(place: Place, server: AppServer, browser: Browser, **options: object) -> Visit:
    return Visit(
        browser.new_context(viewport={"width": 1366, "height": 768}, **options),
        server.address,
        place.root,
    )


def trainers(place: Place, run_id: str) -> list[int]:
    """Processes that train this run."""
    found = []
    for pid in processes_of(place.runs):
        words = (
            Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            if Path(f"/proc/{pid}").exists()
            else []
        )
        if "resume" in words and run_id in words:
            found.append(pid)
    return found


@case(
    "6",
    "kill -9 of the server while a run trains, then a new server",
    "the run is taken over: one trainer, the page shows it",
    limit=240,
)
def server_killed(place: Place) -> str:
    server, browser = opened(place)
    run = place.new_run(**LONG)
    seen = visit(place, server, browser).open(f"/train?run={run.id}")
    seen.click(seen.button("start now"))
    until(lambda: run.state().step > 10, "training should begin", 60)
    before = trainers(place, run.id)
    server.kill()
    server.start()
    look = Look()
    step = run.state().step
    seen = visit(place, server, browser).open(f"/train?run={run.id}")
    seen.shows("running")
    look(True, "the new server's page says running")
    look(
        seen.page.get_by_role("button", name="Start now").count() == 0, "no second start is offered"
    )
    until(lambda: run.state().step > step, "it should go on", 30)
    look(
        trainers(place, run.id) == before and len(before) == 1,
        f"trainers before and after: {before}, {trainers(place, run.id)}",
    )
    seen.click(seen.button(r"^\W*stop"))
    until(lambda: run.state().state == "stopped", "it should stop", 30)
    look(True, "and obeys Stop")
    return look.said()


@case("7", "two tabs press Start at once", "one trainer for one run; the other is told", limit=240)
def two_tabs(place: Place) -> str:
    server, browser = opened(place)
    run = place.new_run(**LONG)
    tabs = [visit(place, server, browser).open(f"/train?run={run.id}") for _ in range(2)]
    for tab in tabs:
        tab.button("start now").wait_for()
    for tab in tabs:
        tab.button("start now").dispatch_event("click")
    until(lambda: run.state().step > 5, "training should begin", 60)
    time.sleep(3)
    look = Look()
    found = trainers(place, run.id)
    look(len(found) == 1, f"{len(found)} trainer of the run")
    for tab in tabs:
        tab.shows("running")
        tab.no_harm()
    look(True, "both tabs say running")
    launches = [event.kind for event in run.events() if event.kind in ("launch", "start")]
    look(launches.count("start") == 1, f"events: {launches}")
    return look.said()


@case(
    "8",
    "twenty tabs watch one run",
    "training goes on, every tab shows it, the server answers",
    limit=900,
)
def twenty_tabs(place: Place) -> str:
    server, browser = opened(place)
    run = place.new_run(**LONG, threads=1)
    place.start("resume", run.id)
    until(lambda: run.state().step > 5, "training should begin", 60)
    tabs = [visit(place, server, browser) for _ in range(20)]
    for tab in tabs:
        tab.page.goto(f"{tab.address}/train?run={run.id}", wait_until="commit")
    look = Look()
    for tab in tabs:
        tab.shows("running", 300)
    look(True, "all twenty say running")
    step = run.state().step
    until(lambda: run.state().step > step, "training should go on", 60)
    look(run.state().responding, "the trainer responds")
    troubles = [error for tab in tabs for error in tab.errors]
    look(not troubles, f"errors in the browser: {troubles[:2]}")
    return look.said()


@case("26", "a live page for eight hours", "memory of server and browser flat", limit=9 * 3600)
def soak(place: Place) -> str:
    server, browser = opened(place)
    run = place.new_run(**{**LONG, "steps": 10_000_000}, threads=1)
    place.start("resume", run.id)
    until(lambda: len(run.snapshot_steps()) > 1, "training should begin", 90)
    seen = visit(place, server, browser).open(f"/train?run={run.id}")
    devtools = seen.context.new_cdp_session(seen.page)
    minutes = place.options.soak_minutes
    points = []
    for number in range(7):
        if number:
            seen.page.wait_for_timeout(minutes * 60_000 / 6)
        devtools.send("HeapProfiler.collectGarbage")
        heap = devtools.send("Runtime.getHeapUsage")["usedSize"]
        points.append((server.memory_bytes() / 1e6, heap / 1e6))
    said = (
        f"{minutes:g} minutes: server {points[1][0]:.0f} to {points[-1][0]:.0f} MB, page"
        f" {points[1][1]:.0f} to {points[-1][1]:.0f} MB"
    )
    flat = points[-1][0] < 1.1 * points[1][0] + 20 and points[-1][1] < 1.3 * points[1][1] + 10
    assert flat and not seen.errors, f"{said}; {seen.errors[:2]}"
    if minutes < 60 * HOURS:
        raise NotPossible(
            f"{HOURS:g} hours were not given (--soak-minutes {60 * HOURS:g}); in {said}, flat"
        )
    return said


@case(
    "29",
    "HTML, markdown, LaTeX, directives in names, labels, texts, tokens",
    "shown as text on every page; nothing runs, nothing is fetched",
    limit=600,
)
def hostile_names_in_the_browser(place: Place) -> str:
    server, browser = opened(place)
    corpus = place.root / "text"
    for context in ("plain", "<b onmouseover=harmed=4>&", "![](x) :red[x]"):
        (corpus / context).mkdir(parents=True)
        for number in range(12):
            words = " ".join(f"word{number * 7 % 5} {HOSTILE} {number + k}" for k in range(20))
            (corpus / context / f"{number} <i>'`![](y)`.txt").write_text(
                f"{words}\n\x1b[31m\u202e\u200b{context}\n", "utf-8"
            )
    train(place.runs, "hostile", HOSTILE, {"--source": "folder", "--path": str(corpus)})
    look = Look()
    for name in NAMES:
        seen = visit(place, server, browser).open(f"{address(name)}?run=hostile")
        wait_until_drawn(seen, name)
        harmed = seen.page.evaluate("window.harmed")
        alive = seen.page.locator(
            '[data-testid="stMain"] a[href^="javascript"], [data-testid="stMain"]'
            ' img[src*="beacon"]'
        ).count()
        trouble = seen.strangers or seen.errors
        look(harmed is None and not alive and not trouble, f"{name}: {trouble or 'shown as text'}")
        seen.context.close()
    return look.said()


@case(
    "41",
    "what is exported of a run with hostile names, opened offline",
    "runs nothing, asks nobody",
    limit=300,
)
def exports_offline(place: Place) -> str:
    server, browser = opened(place)
    train(place.runs, "hostile", HOSTILE)
    seen = visit(place, server, browser, accept_downloads=True).open("/segments?run=hostile")
    plot = seen.figures().first
    plot.wait_for()
    plot.hover()
    with seen.page.expect_download() as saved:
        plot.locator('.modebar-btn[data-title="Save as SVG"]').click(force=True)
    file = place.root / "figure.svg"
    saved.value.save_as(file)
    reader = browser.new_context(offline=True).new_page()
    asked: list[str] = []
    reader.on("request", lambda request: asked.append(request.url))
    reader.goto(file.as_uri())
    text = file.read_text("utf-8", "replace")
    look = Look()
    runs = what_runs(text)
    look(not runs, f"an SVG of {len(text):,} characters, with {runs or 'nothing that runs'}")
    look(
        [url for url in asked if not url.startswith("file:")] == [],
        f"opened offline it asks {len(asked) - 1} others",
    )
    look(True, "no HTML report is made")
    return look.said()


def what_runs(svg: str) -> list[str]:
    """Elements and attributes that could run something or fetch it from elsewhere."""
    found = []
    for element in ElementTree.fromstring(svg).iter():
        name = element.tag.rpartition("}")[2].lower()
        found += [name] if name in ("script", "foreignobject", "iframe") else []
        for attribute, value in element.attrib.items():
            attribute = attribute.rpartition("}")[2].lower()
            away = attribute in ("href", "src") and not value.startswith(("#", "data:image/"))
            found += [f"{attribute}={value[:40]}"] if attribute.startswith("on") or away else []
    return found


@case(
    "C35.4",
    "a visitor from far through a proxy (X-Forwarded-For, Forwarded)",
    "is not taken for a local one: no Folder source",
    limit=120,
)
def far_visitor(place: Place) -> str:
    server, browser = opened(place)
    look = Look()
    near = visit(place, server, browser).open("/train")
    near.page.get_by_text("Paste", exact=True).first.wait_for()  # the row of sources is there
    look(near.page.get_by_text("Folder").count() > 0, "at the machine itself, Folder is offered")
    for name, value in (
        ("X-Forwarded-For", "203.0.113.5"),
        ("Forwarded", "for=203.0.113.5"),
        ("X-Real-IP", "203.0.113.5"),
    ):
        far = visit(place, server, browser, extra_http_headers={name: value}).open("/train")
        far.page.get_by_text("Paste", exact=True).first.wait_for()
        look(
            far.page.get_by_text("Folder").count() == 0,
            f"with {name}, Folder is"
            f" {'not ' if far.page.get_by_text('Folder').count() == 0 else ''}offered",
        )
        far.context.close()
    return look.said()


@case(
    "A1",
    "the longest journey: all pages, an upload, a training, a carving, a comparison, exports",
    "every request stays on the own origin",
    limit=900,
)
def journey(place: Place) -> str:
    server, browser = opened(place)
    train(place.runs, "one", "One")
    train(place.runs, "two", "Two", {"--seed": 1, "--vocabulary-size": 400})
    seen = visit(place, server, browser, accept_downloads=True)
    folder = place.root / "saved"
    folder.mkdir()
    try:
        done = travel(seen, folder, "one", "two")
    finally:
        if place.options.requests is not None:
            place.options.requests.write_text(log(seen), "utf-8")
    seen.no_harm()
    return f"{', '.join(done)}; {len(seen.requests)} requests, all to {server.address}"


CASES = (
    server_killed,
    two_tabs,
    twenty_tabs,
    soak,
    hostile_names_in_the_browser,
    exports_offline,
    far_visitor,
    journey,
)
