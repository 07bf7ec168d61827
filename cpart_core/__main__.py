"""`python -m cpart_core COMMAND ...`: the engine without pages. Torch is imported only by the
commands that need it."""

from __future__ import annotations

import io
import os
import sys

here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if __name__ == "__main__" and not sys.flags.safe_path and sys.path[0] != here:
    # `python -m` puts the working directory before everything else. It is not the project, so it
    # may be somebody's run folder, and what lies there is not to be imported, here or by the
    # processes that libraries start.
    del sys.path[0]
    os.environ["PYTHONSAFEPATH"] = "1"

from collections.abc import Sequence  # noqa: E402

from cpart_core.cli.command_list import build_parser  # noqa: E402
from cpart_core.cli.huge_pages import reexec  # noqa: E402
from cpart_core.runs.private import only_for_me  # noqa: E402
from cpart_core.training.process_group import leave  # noqa: E402

USER_ERROR = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 a mistake of the person's (one sentence
    on stderr), 3 training failed."""
    print_what_can_be_printed()
    arguments = build_parser(list(sys.argv[1:] if argv is None else argv)).parse_args(argv)
    try:
        return int(arguments.execute(arguments))
    except ValueError as error:
        return say_error(str(error))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "cpart_core":
            raise
        return say_error(f"This command needs the package {error.name!r}, which is not installed.")
    except BrokenPipeError:
        # The reader of our output went away (`... | head`): no more to say, and the interpreter
        # must not try to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return say_error(
            f"{error.strerror or error}: {error.filename}"
            if error.filename
            else str(error.strerror or error)
        )
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def print_what_can_be_printed() -> None:
    """A terminal that knows fewer characters than a text has (LANG=C, Latin-1, a Windows code page)
    shows '?' for the others.

    Else the first of them would end the command half way through its output.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say_error(sentence: str) -> int:
    """One line on stderr, whatever line breaks a name or text may carry."""
    print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
    return USER_ERROR


if __name__ == "__main__":
    reexec()
    only_for_me()
    leave(main())
