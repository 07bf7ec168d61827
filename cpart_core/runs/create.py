"""New runs: the folder, its run.json, and the documents that came with it. No torch: pages create
runs too."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from cpart_core import __version__
from cpart_core.corpus.document import Document, Gathered, Skipped
from cpart_core.files.paths import with_home
from cpart_core.files.plain import check_tree, open_plain, plain_folder
from cpart_core.files.typed_json import Reader
from cpart_core.runs.atomic import write_file, writing_folder
from cpart_core.runs.folder import Run, new_run_id, open_run, runs_root
from cpart_core.runs.info import RunInfo, clean_name, write_info
from cpart_core.runs.mirror import check_mirror
from cpart_core.runs.naming import NAME_PATTERN
from cpart_core.runs.origin import Origin, Trained
from cpart_core.runs.prepare import tidy_root
from cpart_core.runs.private import make_private
from cpart_core.runs.twins import twin_settings
from cpart_core.settings.effect import effective
from cpart_core.settings.run import Settings

OWN = Trained()
GATHERED = "gathered.jsonl"
"""Documents that a person pasted or uploaded, until the trainer has made the corpus of them."""


def create_run(
    settings: Settings,
    gathered: Gathered | None,
    name: str = "",
    *,
    run_id: str = "",
    origin: Origin = OWN,
    command: str | None = None,
) -> Run:
    """A new run folder below the root, ready to be trained. ValueError for bad settings or an id
    that is taken or not allowed.

    gathered: documents that came from a person; None = the trainer gathers what `settings.corpus`
    names. command: what trains the same again, "" where nothing does; None = as the settings say.
    """
    settings = with_whole_path(settings).check()
    check_mirror(settings.training.mirror)
    run_id = run_id or new_run_id()
    if not NAME_PATTERN.fullmatch(run_id):
        raise ValueError(
            f"The id {run_id!r} is not allowed: a-z, 0-9 and -, at most 64 characters, the first no"
            " dash."
        )
    folder = runs_root() / run_id
    if folder.exists():
        raise ValueError(f"There is a run {run_id} already; give another id, or delete it first.")
    info = RunInfo(
        id=run_id,
        name=clean_name(name) or run_id,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        settings=settings,
        versions=versions(),
        machine=machine(),
        origin=origin,
        command=(
            command if command is not None else command_of(settings) if gathered is None else ""
        ),
    )
    tidy_root()
    with writing_folder(folder) as draft:
        write_info(draft, info)
        if gathered is not None:
            write_file(draft / GATHERED, "".join(gathered_lines(gathered)).encode("ascii"))
    make_private(folder)
    return open_run(run_id)


def create_twin(run: Run, kind: str) -> Run:
    """A control run on the very same batches as `run`, to be trained after it. ValueError for an
    unknown kind."""
    settings = twin_settings(run.settings, kind)
    return create_run(
        settings,
        None,
        f"{run.info.name} ({kind} twin)",
        run_id=f"{run.id[:50]}-{kind}",
        origin=Trained(run.id, kind),
    )


def read_gathered(folder: Path) -> Gathered | None:
    """What came with the run; None when the trainer is to gather by itself. ValueError for a
    damaged file."""
    try:
        handle = open_plain(folder, GATHERED)
    except FileNotFoundError:
        return None
    documents, skipped, notes = [], [], []
    skipped_of = Reader().decoder(Skipped, "what was left out")
    document_of = Reader().decoder(Document, "a document")
    with os.fdopen(handle, encoding="ascii") as lines:
        for number, line in enumerate(lines, 1):
            try:
                data = json.loads(line)
                if "note" in data:
                    notes.append(str(data["note"]))
                elif "reason" in data:
                    skipped.append(skipped_of(data))
                else:
                    documents.append(document_of(data))
            except (ValueError, TypeError):
                raise ValueError(
                    f"Line {number} of {GATHERED} is damaged; start the run again with your text."
                ) from None
    return Gathered(tuple(documents), tuple(skipped), tuple(notes))


def gathered_lines(gathered: Gathered) -> Iterator[str]:
    """One JSON object a line; all ASCII, so that no byte of a document can break the file."""
    for document in gathered.documents:
        yield json.dumps(asdict(document)) + "\n"
    for entry in gathered.skipped:
        yield json.dumps(asdict(entry)) + "\n"
    for note in gathered.notes:
        yield json.dumps({"note": note}) + "\n"


def command_of(settings: Settings) -> str:
    """The command line that trains the same run again: the settings that are not the defaults and
    take effect, as flags."""
    words = ["python", "-m", "cpart_core", "train"]
    for (_, item, value), (_, _, default) in zip(
        effective(settings).items(), Settings().items(), strict=True
    ):
        if value != default:
            words.append(
                f"--{item.name.replace('_', '-')}={','.join(value) if isinstance(value, tuple) else value}"
            )
    return shlex.join(words)


def versions() -> dict[str, str]:
    """What the numbers of a run may depend on, found without importing it."""
    found = {"cpart": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "tokenizers", "scikit-learn"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def machine() -> dict[str, str]:
    """The machine in words; no host name, no user."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cpus": str(os.cpu_count() or 1),
    }


def copy_corpus(source: Path, target: Path) -> None:
    """The corpus folder of another run, whole or not at all. NotPlain where it holds anything but
    plain files."""
    plain_folder(source.parent, source.name)
    check_tree(source)
    with writing_folder(target) as draft:
        shutil.copytree(source, draft, dirs_exist_ok=True)


def with_whole_path(settings: Settings) -> Settings:
    """A path on this disk in full: the trainer may work in another folder than the one who named
    it. Names of datasets stay as they are."""
    given = settings.corpus.path
    path = Path(with_home(given, "path") if given.startswith("~") else given)
    if settings.corpus.source == "builtin" or not given or not path.exists():
        return settings
    return settings.with_values({"path": str(path.resolve())})
