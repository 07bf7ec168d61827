"""Uploads: of every kind, too large, too many, declared and never sent, left behind."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import socket
import threading
import time

import pandas as pd

from cpart_core.bench.harness.app_server import AppServer
from cpart_core.corpus.files import gather_uploads
from cpart_core.runs.folder import open_run, rename_run
from cpart_core.settings.corpus import CorpusSettings
from tests.abuse.case import Look, case
from tests.abuse.place import Place
from tests.abuse.server import started
from tests.abuse.visitor import COOKIE, HEADER, Visitor, multipart, request

MEGABYTE = 1_000_000
SETTINGS = CorpusSettings()


@case(
    "30",
    "an upload of 500 MB, of a wrong type, binary, in odd encodings, empty, one line of 5 MB, a"
    " million lines, CRLF, NUL",
    "read as what it is, or refused in a sentence; in seconds",
    limit=300,
)
def uploads_of_every_kind(place: Place) -> str:
    look = Look()
    words = "The mill stands at the river. " * 40
    good = {
        "UTF-16 with a mark": codecs.BOM_UTF16_LE + words.encode("utf-16-le"),
        "UTF-8 with a mark": codecs.BOM_UTF8 + words.encode(),
        "CRLF": words.replace(". ", ".\r\n").encode(),
        "one line of 5 MB": b"word " * MEGABYTE,
        "5 MB without a blank": b"w" * (5 * MEGABYTE),
        "a million lines": b"a line\n" * MEGABYTE,
    }
    bad = {
        "binary": bytes(range(256)) * 100,
        "invalid UTF-8": words.encode() + b"\xff\xfe\xfa",
        "NUL": b"text\0text" * 50,
        "empty": b"",
        "only blanks": b" \n\t \r\n" * 1000,
        "a mark alone": codecs.BOM_UTF16_LE,
        "half of a .gz": gzip.compress(words.encode())[:-20],
    }
    for name, data in good.items():
        began = time.monotonic()
        found = gather_uploads([("text.txt", data)], SETTINGS).documents
        held = "\ufeff" not in found[0].text and "\r" not in found[0].text
        look(
            bool(found) and held and time.monotonic() - began < 10,
            f"{name}: {len(found)} documents in {time.monotonic() - began:.1f} s",
        )
    for name, data in bad.items():
        try:
            found = gather_uploads(
                [("text.txt.gz" if name.endswith(".gz") else "text.txt", data)], SETTINGS
            ).documents
            look(False, f"{name} was taken: {found[0].text[:20]!r}")
        except ValueError as error:
            look(len(str(error)) < 400, f"{name}: {str(error)[:90]}")
    for name in ("a.exe", "a.pdf", "a", ".txt", "a.txt.exe"):
        try:
            gather_uploads([(name, words.encode())], SETTINGS)
            look(name == ".txt", f"{name} was taken")
        except ValueError:
            continue
    server = started(place)
    with Visitor(server) as visitor:
        before = server.memory_bytes()
        status = declared(server, visitor, 500 * MEGABYTE)
        look(
            status == 413,
            f"500 MB: {status}, memory grew by {(server.memory_bytes() - before) / 1e6:.0f} MB",
        )
    return look.said()


@case("37", "a flood of uploads", "all together stay below one budget", limit=240)
def flood_of_uploads(place: Place) -> str:
    server = started(place)
    look = Look()
    with Visitor(server) as visitor:
        before = server.memory_bytes()
        statuses = [visitor.upload(f"file{number}", b"x" * (19 * MEGABYTE)) for number in range(16)]
        grown = (server.memory_bytes() - before) / 1e6
        look(
            413 in statuses and statuses[0] in (200, 204),
            f"16 of 19 MB: {statuses.count(204) + statuses.count(200)} taken, then {statuses[-1]}",
        )
        look(grown < 500, f"memory grew by {grown:.0f} MB")
        look(request(server, "GET", "/_stcore/health").status == 200, "the server answers")
    return look.said()


@case("C36.1", "a visitor who uploaded 190 MB leaves", "the bytes are freed at once", limit=120)
def left_behind(place: Place) -> str:
    server = started(place)
    with Visitor(server) as first:
        taken = [first.upload(f"file{number}", b"x" * (19 * MEGABYTE)) for number in range(10)]
    assert taken[-1] in (200, 204), f"statuses {taken}"
    with Visitor(server) as second:
        began = time.monotonic()
        statuses = []
        while len(statuses) < 10 and time.monotonic() - began < 10:
            status = second.upload(f"mine{len(statuses)}", b"x" * (19 * MEGABYTE))
            if status == 413:
                time.sleep(0.5)
            else:
                statuses.append(status)
        seconds = time.monotonic() - began
    assert len(statuses) == 10 and set(statuses) <= {
        200,
        204,
    }, f"{len(statuses)} of 10 uploads of 19 MB are taken from the next, {statuses}"
    return (
        f"190 MB of the next visitor, more than fits beside them, are taken within {seconds:.1f} s"
    )


@case(
    "C36.2",
    "ten uploads of 20 MB are declared and never sent",
    "others are not locked out for long",
    limit=240,
)
def declared_and_unsent(place: Place) -> str:
    server = started(place)
    with Visitor(server) as liar, Visitor(server) as other:
        wires = [declare(server, liar, 19 * MEGABYTE, f"never{number}") for number in range(10)]
        time.sleep(0.5)
        statuses = [other.upload("mine", b"x" * (15 * MEGABYTE))]
        began = time.monotonic()
        while statuses[-1] == 413 and time.monotonic() - began < 90:
            time.sleep(1)
            statuses.append(other.upload("mine", b"x" * (15 * MEGABYTE)))
        seconds = time.monotonic() - began
        for wire in wires:
            wire.close()
    assert statuses[-1] in (200, 204) and seconds < 60, (
        f"locked out for {seconds:.0f} s: {statuses[-1]}"
    )
    return (
        f"an upload of 15 MB beside them was taken after {seconds:.0f} s (first answer"
        f" {statuses[0]})"
    )


@case(
    "C36.3",
    "uploads of CSV read at the same time",
    "none fails; the csv module's limit of the process is left alone",
    quick=True,
)
def parallel_tables(place: Place) -> str:
    table = (
        "text,context\n" + "".join(f'"{"word " * 40_000}",a\n"short",b\n' for _ in range(3))
    ).encode()
    before = csv.field_size_limit()
    troubles: list[str] = []

    def read() -> None:
        for _ in range(12):
            try:
                gather_uploads([("table.csv", table)], SETTINGS)
            except Exception as error:  # noqa: BLE001  whatever fails is the finding
                troubles.append(str(error))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    changed = False
    while any(thread.is_alive() for thread in threads):
        changed = changed or csv.field_size_limit() != before
    look = Look()
    look(
        not troubles,
        f"{48 - len(troubles)} of 48 readings" + (f", {troubles[0]}" if troubles else ""),
    )
    look(
        not changed,
        "the process's limit was " + ("changed meanwhile" if changed else "never touched"),
    )
    return look.said()


@case(
    "40",
    "CSV injection: cells that a spreadsheet would run",
    "harmless in what is exported",
    quick=True,
)
def injected_cells(place: Place) -> str:
    return exported(
        place, ["=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "ok"], "context"
    )


@case(
    "C36.4",
    "CSV injection by headings; line breaks in cells",
    "headings are escaped as cells are; \\r is quoted",
    quick=True,
)
def injected_headings(place: Place) -> str:
    return "; ".join(
        exported(place, ["a\rb", "c\nd", "e\r\nf"], heading)
        for heading in ("=cmd|' /C calc'!A0 (nats)", "@SUM(A1)", "-x", "a\rb")
    )


def exported(place: Place, cells: list[str], heading: str) -> str:
    """Export them as a page does, and read the file as a spreadsheet does."""
    from app.shell.figure import csv_bytes
    from app.shell.provenance import source_of

    run = place.finished()
    rename_run(run.id, "=cmd|' /C calc'!A0")
    frame = pd.DataFrame({"n": range(len(cells)), heading: cells})
    text = csv_bytes(frame, source_of(open_run(run.id), 40)).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    look = Look()
    dangerous = [
        cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")
    ]
    look(not dangerous, f"cells that would run: {dangerous[:3] or 'none'}")
    look(
        len(rows) == len(cells) + 1 and len({len(row) for row in rows}) == 1,
        f"{len(rows)} rows of {len(cells) + 1}",
    )
    bare = [line for line in text.split("\n") if "\r" in line.rstrip("\r") and '"' not in line]
    look(not bare, "no line break stands unquoted")
    return look.said()


def declare(server: AppServer, visitor: Visitor, size: int, name: str) -> socket.socket:
    """Send the head of an upload, and a little of its body."""
    wire = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    body, kind = multipart(b"x")
    head = (
        f"PUT /_stcore/upload_file/{visitor.session}/{name} HTTP/1.1\r\nHost:"
        f" 127.0.0.1:{server.port}\r\nContent-Type: {kind}\r\nCookie:"
        f" {COOKIE}={visitor.token}\r\n{HEADER}: {visitor.token}\r\nContent-Length: {size}\r\n\r\n"
    )
    wire.sendall(head.encode() + body[:100])
    return wire


def declared(server: AppServer, visitor: Visitor, size: int) -> int:
    """The status that a declared size is answered with, before the body is sent."""
    with declare(server, visitor, size, "large") as wire:
        return int(wire.recv(100).split()[1])


CASES = (
    uploads_of_every_kind,
    flood_of_uploads,
    left_behind,
    declared_and_unsent,
    parallel_tables,
    injected_cells,
    injected_headings,
)
