"""Names and prompts of every kind, and what a page says when something breaks."""

from __future__ import annotations

import os
import unicodedata

from cpart_core.runs.control import RunLock
from cpart_core.runs.create import create_run
from cpart_core.runs.folder import list_runs, open_run, rename_run
from cpart_core.service.answering import answer
from tests.abuse.case import Look, case
from tests.abuse.place import Place
from tests.runs.tiny import TINY

NAMES = (
    *(
        "../../etc/passwd",
        "/etc/passwd",
        "a\0b",
        "\u202eevil",
        "zero\u200bwidth",
        "CON",
        "x" * 65,
        "x" * 5000,
        "\ud800",
        "\x1b[31mred",
    ),
    *(
        "<img src=x onerror=alert(1)>",
        "=cmd|' /C calc'!A0",
        "line\nbreak",
        "  ",
        "",
        ".",
        "-rf",
        "a" + "\u0301" * 200,
        "می\u200cخواهم",
    ),
)
IDS = ("../x", "/x", "a\0b", "A", "a" * 65, "con/..", ".tmp-x", "", "-a", "a.b", "a b")
SECRET = "/srv/people/anna/secret.txt"


@case(
    "27",
    "run names and ids: ../, absolute, NUL, RTL, zero-width, CON, 65 characters, HTML, =cmd, a lone"
    " surrogate",
    "a name is a label and never a path; an id that is no id is refused",
    quick=True,
)
def hostile_names(place: Place) -> str:
    look = Look()
    odd = []
    for name in NAMES:
        run = create_run(TINY.check(), None, name)
        label = open_run(run.id).info.name
        if (
            run.folder.parent != place.runs
            or not label
            or len(label) > 200
            or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in label)
        ):
            odd.append(f"{name[:20]!r} became {label[:40]!r}")
        try:
            rename_run(run.id, name)
        except ValueError:
            continue
    look(not odd, f"{len(NAMES)} names" + (f": {odd}" if odd else " are labels below one root"))
    taken = []
    for run_id in IDS:
        try:
            if run_id:
                create_run(TINY.check(), None, "x", run_id=run_id)
                taken.append(run_id)
        except ValueError:
            continue
    look(not taken, f"ids taken: {taken or 'none'}")
    look(
        len(list_runs()) == len(NAMES) and all(entry.state.state == "new" for entry in list_runs()),
        f"{len(list_runs())} runs are listed",
    )
    look(
        sorted(entry.name for entry in place.root.iterdir()) == ["runs", "said.txt", "samples"],
        "nothing was made elsewhere",
    )
    code, said = place.cli(
        "train", "--id", "named", "--name", os.fsdecode(b"caf\xe9 \xff"), "--steps", "0"
    )
    look(
        "Traceback" not in said,
        f"on the command line a name that is no UTF-8 gives exit code {code}",
    )
    return look.said()


@case("42", "a page breaks", "neither paths nor secrets are shown", quick=True)
def broken_page(place: Place) -> str:
    from streamlit.testing.v1 import AppTest

    from tests.app.made import words_of

    os.environ["ABUSE_SECRET"] = SECRET

    def script() -> None:
        import os

        from app.serving import show_error

        for kind in (RuntimeError, OSError, KeyError, AssertionError):
            show_error(kind(f"cannot open {os.environ['ABUSE_SECRET']}"))

    app = AppTest.from_function(script, default_timeout=20).run()
    said = words_of(app)
    look = Look()
    look(
        SECRET not in said and "Traceback" not in said and not app.exception,
        f"shown: {said[:120]!r}",
    )
    run = place.finished()
    with RunLock(run.folder):
        code, said = place.cli("resume", run.id)
    look(
        code == 2 and "Traceback" not in said,
        f"on the command line: {said.strip().splitlines()[-1:]}",
    )
    return look.said()


@case(
    "43",
    "prompts: empty, a million characters, unknown ones, nothing but <|end|>",
    "answered or refused in a sentence, alike on page and command line",
    limit=240,
)
def hostile_prompts(place: Place) -> str:
    run = place.finished()
    look = Look()
    prompts = {
        "empty": "",
        "a blank": " ",
        "a million characters": "word " * 200_000,
        "150,000 characters": "word " * 30_000,
        "emoji and Persian": "👩\u200d💻 می\u200cخواهم",
        "a lone surrogate": "a\ud800b",
        "only <|end|>": "<|end|>" * 50,
        "zero bytes": "\0\0\0",
        "one unbroken word": "w" * 100_000,
    }
    for name, text in prompts.items():
        for kind, more in (
            ("trace", {}),
            (
                "continuation",
                {"max_tokens": 5, "temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0},
            ),
        ):
            try:
                found = answer(kind, {"run": run.id, "step": 40, "text": text, **more})
                look(len(found.tokens) > 0, f"{kind} of {name}: {len(found.tokens)} tokens")
            except ValueError as error:
                look(len(str(error)) < 400, f"{kind} of {name}: {str(error)[:80]}")
            except BaseException as error:  # noqa: BLE001  another exception is the finding
                look(False, f"{kind} of {name}: {type(error).__name__}: {str(error)[:80]}")
    for name in ("empty", "emoji and Persian", "a lone surrogate", "only <|end|>"):
        text = prompts[name].encode("utf-8", "surrogatepass")
        code, said = place.cli(
            "generate",
            run.id,
            "--text",
            os.fsdecode(text),
            "--max-tokens",
            "5",
            encoding="utf-8",
            errors="replace",
        )
        look(
            code in (0, 2) and "Traceback" not in said,
            f"generate with {name}: exit code {code}" + (f", {said.strip()[-80:]}" if code else ""),
        )
    code, said = place.cli("generate", run.id, "--text", "word " * 2000, "--max-tokens", "5")
    look(
        code == 0,
        f"generate with 10,000 characters, which the page crops: exit code {code}"
        + (f", {said.strip()[-100:]}" if code else ""),
    )
    return look.said()


CASES = (hostile_names, broken_page, hostile_prompts)
