"""What has been read or computed for a person's pages: snapshots, records and analysis results, kept
for all sessions; and the analysis processes that are asked for what is not there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.engine.analysis_client import Worker
from app.engine.handle import Handle
from cpart_core.records.training import Snapshot
from cpart_core.runs import folder
from cpart_core.runs.folder import Run
from cpart_core.runs.result_files import result_file
from cpart_core.service.answering import stored
from cpart_core.service.registry import analysis_named


@dataclass(frozen=True)
class Answer:
    """What is known of an analysis result at this moment: the result, or how far the worker is, or
    why there will be none."""

    result: Any = None
    progress: float = 0.0
    say: str = ""
    error: str = ""
    partial: dict[str, Any] | None = None


@st.cache_resource(max_entries=200, show_spinner=False)
def read_snapshot(run_id: str, step: int, written: str) -> Snapshot:
    return folder.open_run(run_id).snapshot(step)


def snapshot(run: Run, step: int) -> Snapshot:
    """A snapshot, read once. Do not write into its arrays: all pages share them. ValueError when it
    is damaged or missing."""
    return read_snapshot(run.id, step, run.info.created)


@st.cache_resource(max_entries=20, show_spinner=False)
def read_records(run_id: str, written: str, newest: int, max_points: int) -> Any:
    return folder.open_run(run_id).records(max_points=max_points)


def records(run: Run, max_points: int = 2000) -> Any:
    """RecordTable of the run, read again when it has gone on."""
    return read_records(run.id, run.info.created, run.state().step, max_points)


@st.cache_resource(show_spinner=False)
def kept_results() -> dict[tuple[str, str, str], Any]:
    """Results read so far, newest last."""
    return {}


MOST_RESULTS, MOST_HANDLES = 60, 500


def stored_result(run: Run, name: str, request: dict[str, Any]) -> Any | None:
    """A result of the run folder, read once; None when nobody has asked for it yet."""
    key = (run.id + run.info.created, name, json.dumps(request, sort_keys=True))
    kept = kept_results()
    result = kept.get(key)
    if result is None and (result := stored(run, name, request)) is not None:
        kept[key] = result
        drop_oldest(kept, MOST_RESULTS)
    return result


def drop_oldest(kept: dict[Any, Any], most: int) -> None:
    """Leave the newest entries of what all sessions share; others may change it meanwhile."""
    for key in list(kept)[: max(0, len(kept) - most)]:
        kept.pop(key, None)


def drop_result(run: Run, name: str, request: dict[str, Any]) -> None:
    """Take a result that is out of date off the disk, so that it is made anew when it is asked
    for."""
    kept_results().pop((run.id + run.info.created, name, json.dumps(request, sort_keys=True)), None)
    # Of a sample this is the cache; what lies in its own folder stays.
    (run.result_folders()[-1] / result_file(name, request)).unlink(missing_ok=True)


@st.cache_resource(show_spinner=False)
def worker(kind: str = "quick") -> Worker:
    """An analysis process of this server; it ends when the server does. Two of them, so that a long
    layout ("slow") keeps nobody waiting."""
    return Worker()


def worker_for(name: str, request: dict[str, Any]) -> Worker:
    """What the registry calls slow has a process of its own."""
    return worker("slow" if analysis_named(name).is_slow(request) else "quick")


@st.cache_resource(show_spinner=False)
def handles() -> dict[tuple[str, str], Handle]:
    """Requests under way or failed, of all sessions: (name, request as JSON) -> handle."""
    return {}


def result_or_ask(run: Run, name: str, request: dict[str, Any]) -> Answer:
    """The result when it is there; otherwise the worker is asked (once), and the answer says how
    far it is. Returns at once."""
    result = stored_result(run, name, request)
    key = (name, json.dumps(request, sort_keys=True))
    if result is not None:
        handles().pop(key, None)
        return Answer(result=result, progress=1.0)
    handle = handles().get(key)
    if handle is None:
        handle = handles().setdefault(key, worker_for(name, request).submit(name, request))
        # of visitors who left before the end; who is here asks again
        drop_oldest(handles(), MOST_HANDLES)
    if not handle.done:
        return Answer(progress=handle.progress, say=handle.say, partial=handle.partial)
    if handle.error:
        return Answer(error=handle.error)
    result = stored_result(run, name, request)
    if result is None:
        return Answer(error="The analysis is done, but its result cannot be read. Ask again.")
    return Answer(result=result, progress=1.0)


def forget(name: str, request: dict[str, Any]) -> None:
    """Stop working on a request, or clear its error so that it can be asked again."""
    handle = handles().pop((name, json.dumps(request, sort_keys=True)), None)
    if handle is not None and not handle.done:
        worker_for(name, request).cancel(handle)
