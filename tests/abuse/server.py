"""Strangers at the server: forged origins and hosts, floods of websockets, neighbours on the
machine, addresses with anything in them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

from app import serving as serving
from cpart_core.bench.harness.app_server import AppServer, free_port
from tests.abuse.case import Look, case
from tests.abuse.place import Place, until
from tests.abuse.visitor import Visitor, open_socket, request, socket_status
from tests.source_files import ROOT

EVIL = "http://evil.example"
VALUES = (
    "<script>x</script>",
    "-1",
    "999999999999",
    "0x10",
    "1e9",
    "nan",
    "../../etc/passwd",
    "\u202e\u0000\ud7ff",
    "%00",
    "",
    "a" * 5000,
)


def started(place: Place) -> AppServer:
    """The app, with the runs of this place; ended with the case."""
    return place.stack.enter_context(AppServer(place.runs, place.root / "server.log"))


@case("36", "forged Origin or Host; no XSRF token", "refused")
def forged(place: Place) -> str:
    server = started(place)
    own = f"127.0.0.1:{server.port}"
    look = Look()
    look(socket_status(server) == 101, "the own origin is let in")
    for name, origin, host in (
        ("Origin", EVIL, ""),
        ("Origin and Host", EVIL, "evil.example"),
        ("Host", f"http://{own}", "evil.example"),
        ("Origin null", "null", ""),
    ):
        status = socket_status(server, origin, host)
        look(status != 101, f"websocket with a forged {name}: {status}")
    for path in ("/", "/_stcore/health", "/_stcore/host-config", "/api/healthz"):
        status = request(server, "GET", path, {"Host": "evil.example"}).status
        look(status == 400, f"GET {path} with a forged Host: {status}")
    with Visitor(server) as visitor:
        look(visitor.upload("a", b"text") in (200, 204), "an upload with its token is taken")
        for name, token in (("no", ""), ("a forged", "2|00000000|00|1")):
            status = visitor.upload("b", b"text", token)
            look(status == 403, f"an upload with {name} token: {status}")
    return look.said()


@case(
    "38",
    "200 websockets at once",
    "the server answers, a new visitor is served, memory is bounded and comes back",
    limit=300,
)
def flood_of_sockets(place: Place) -> str:
    server = started(place)
    with Visitor(server):
        pass
    look = Look()
    before = server.memory_bytes()
    floods = []
    for _ in range(2):
        sockets = []
        for _ in range(place.options.sockets):
            try:
                sockets.append(open_socket(server))
            except Exception as error:  # noqa: BLE001  refusing is an answer, too
                look(True, f"refused: {type(error).__name__}") if not floods else None
                break
        began = time.monotonic()
        answered = request(server, "GET", "/_stcore/health").status
        seconds = time.monotonic() - began
        look(
            answered == 200 and seconds < 2,
            f"with {len(sockets)} open, health is {answered} after {seconds:.2f} s",
        )
        with Visitor(server) as visitor:
            look(bool(visitor.session), "a new visitor is served")
        for socket in sockets:
            socket.close()
        time.sleep(1)
        floods.append(server.memory_bytes())
    look(
        floods[-1] - before < 600e6,
        f"memory {before / 1e6:.0f} MB before, {floods[0] / 1e6:.0f} after the first flood,"
        f" {floods[1] / 1e6:.0f} after the second",
    )
    look(floods[1] - floods[0] < 100e6, "the second costs nothing more")
    return look.said()


@case(
    "39",
    "an address with values out of range, repeated, scripts",
    "each page is drawn, without an exception",
    limit=900,
)
def hostile_addresses(place: Place) -> str:
    from app.ui import PAGES
    from tests.app.made import fine, page

    run = place.finished()
    look = Look()
    for name, _, _ in PAGES:
        odd = []
        for value in VALUES[:: 1 if name == "segments" else 5]:
            try:
                fine(
                    page(
                        name,
                        run=run.id,
                        step=value,
                        layer=value,
                        segment=value,
                        text=value,
                        other=value,
                        unknown=value,
                    )
                )
                fine(page(name, run=value))
            except BaseException as error:  # noqa: BLE001  what a page throws is the finding
                odd.append(f"{value[:20]!r}: {str(error)[:120]}")
        look(not odd, f"{name}: " + ("; ".join(odd)[:300] or "drawn"))
    return look.said()


@case(
    "C35.1",
    "a page of another port or name of this machine opens the websocket; /_stcore/metrics; options"
    " that open the app",
    "refused",
)
def neighbours(place: Place) -> str:
    server = started(place)
    look = Look()
    other = free_port()
    for origin in (
        f"http://localhost:{other}",
        f"http://127.0.0.1:{other}",
        "http://localhost",
        f"https://127.0.0.1:{server.port}",
        "file://",
        "null",
    ):
        status = socket_status(server, origin)
        look(status != 101, f"websocket from {origin}: {status}")
    for host in ("127.0.0.1", "localhost"):
        status = socket_status(server, f"http://{host}:{server.port}", f"{host}:{server.port}")
        look(status == 101, f"websocket from {host} itself: {status}")
    status = request(server, "GET", "/_stcore/metrics").status
    look(status in (401, 403, 404), f"/_stcore/metrics: {status}")
    for name in ("server.corsAllowedOrigins", "server.enableAgentApi"):
        look(
            any(name.rpartition(".")[2] == entry.rpartition(".")[2] for entry in serving.CLOSED),
            f"{name} is among what must be closed",
        )
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app/main.py",
        "--server.headless",
        "true",
        "--server.port",
        str(free_port()),
    ]
    opened = subprocess.Popen(
        [*command, "--server.corsAllowedOrigins", EVIL],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    place.stack.callback(opened.kill)
    try:
        said, _ = opened.communicate(timeout=30)
        look(
            opened.returncode != 0 and "corsAllowedOrigins" in said,
            f"started with corsAllowedOrigins it says {said.strip().splitlines()[:1]}",
        )
    except subprocess.TimeoutExpired:
        look(False, "started with corsAllowedOrigins, it runs")
    return look.said()


@case("C35.2", "what other users of this machine may read", "folders 700, files 600", quick=True)
def other_users(place: Place) -> str:
    os.umask(0o022)
    run = place.new_run()
    place.fork_trainer(run).wait()
    open_to_others = [
        path
        for path in (run.folder, *run.folder.rglob("*"))
        if stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]
    top = Path(run.folder)
    if not stat.S_IMODE(top.stat().st_mode) & 0o077:
        return (
            f"the folder of the run is {stat.S_IMODE(top.stat().st_mode):o}; {len(open_to_others)}"
            " entries below it would be open, were it not closed"
        )
    names = ", ".join(
        f"{path.relative_to(place.runs)} {stat.S_IMODE(path.lstat().st_mode):o}"
        for path in open_to_others[:4]
    )
    raise AssertionError(f"{len(open_to_others)} entries are open to others: {names}")


@case(
    "C35.3",
    "the log of a crashed run holds paths, secrets and 100,000 lines",
    "bounded, paths shortened",
    quick=True,
)
def log_on_the_page(place: Place) -> str:
    from tests.app.made import page, words_of

    run = place.stopped()
    secret = f"/srv/people/anna/{'deep/' * 10}project/secret.py"
    lines = [f'  File "{secret}", line {number}, in train' for number in range(100_000)]
    (run.folder / "log.txt").write_text(
        "\n".join(
            [
                *lines,
                f"OSError: cannot read {secret}",
                f"{ROOT}/cpart_core/x.py went wrong",
                "x" * 50_000,
            ]
        )
    )
    (run.folder / "lock").unlink(missing_ok=True)
    trainer = place.fork_trainer(run, on_record=lambda record: os.kill(os.getpid(), 9))
    trainer.wait()
    until(lambda: run.state().state == "crashed", "it should be said to have crashed", 5)
    app = page("train", run=run.id)
    said = words_of(app)
    look = Look()
    look(
        "anna" not in said and str(ROOT) not in said,
        "no path of the machine is shown" if "anna" not in said else "the path is shown",
    )
    look(len(said) < 20_000, f"{len(said):,} characters on the page")
    return look.said()


CASES = (forged, flood_of_sockets, hostile_addresses, neighbours, other_users, log_on_the_page)
