"""The visible list of analyses that can be asked for by name, with the keys of each request. Loads
no torch until an answer needs it.

Adding one: its dataclass in results.py, one line in runs/result_files.py, one function and one line
here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cpart_core.analysis.progress import Progress, part_of, silent
from cpart_core.analysis.source import Sources
from cpart_core.records.coherence import CoherenceReport, SideBySide
from cpart_core.records.comparison import LossComparison, SegmentComparison, TextComparison
from cpart_core.records.effects import AblationMatrix, InterventionReport, RouterAudit
from cpart_core.records.keep import CarveReport, KeepCurve
from cpart_core.records.losses import LossReport
from cpart_core.records.maps import DocumentMap, NeuronMap
from cpart_core.records.profiles import SegmentProfiles
from cpart_core.records.specialization import Specialization, Stability
from cpart_core.records.trace import Trace
from cpart_core.runs.folder import Run, open_run, run_folders

Values = dict[str, Any]
"""A request after `check`: exactly the keys of its kind, of the right types."""
LONGEST_TEXT = 200_000
"""Characters. Much more than any model here reads."""


@dataclass(frozen=True)
class Request:
    """One kind of analysis."""

    name: str
    answer: Callable[[Run, Values, Sources, Progress], Any]
    result_type: type
    keys: dict[str, type]
    """Key -> type; `run` is a key of every request and is not repeated here."""
    needs_torch: bool = True


def answer_profiles(
    run: Run, values: Values, sources: Sources, progress: Progress
) -> SegmentProfiles:
    from cpart_core.analysis.segments.profiles import profile_segments

    progress(0.0, "Loading the model")
    return profile_segments(
        sources.source(run, values["step"]),
        sources.corpus(run),
        run.settings.training.seed,
        progress,
    )


def answer_losses(run: Run, values: Values, sources: Sources, progress: Progress) -> LossReport:
    from cpart_core.analysis.losses.evaluation import report_losses

    progress(0.0, "Loading the model")
    return report_losses(
        sources.source(run, values["step"]),
        sources.corpus(run),
        run.settings.training.seed,
        progress,
    )


def answer_trace(run: Run, values: Values, sources: Sources, progress: Progress) -> Trace:
    from cpart_core.analysis.text.trace import trace_text

    progress(0.0, "Loading the model")
    return trace_text(sources.source(run, values["step"]), values["text"], progress)


def answer_continuation(run: Run, values: Values, sources: Sources, progress: Progress) -> Trace:
    from cpart_core.analysis.text.trace import Sampling, trace_continuation

    progress(0.0, "Loading the model")
    sampling = Sampling(
        values["max_tokens"],
        values["temperature"],
        values["top_k"],
        values["top_p"],
        values["seed"],
    )
    return trace_continuation(
        sources.source(run, values["step"]), values["text"], sampling, progress
    )


def answer_neuron_map(run: Run, values: Values, sources: Sources, progress: Progress) -> NeuronMap:
    from cpart_core.analysis.maps.neuron_map import choose_steps, map_neurons

    progress(0.0, "Reading snapshots")
    steps = choose_steps(run.snapshot_steps(), lambda step: run.snapshot(step).partitioned)
    snapshots = [run.snapshot(step) for step in steps]
    return map_neurons(
        run.id,
        run.info.contexts,
        snapshots,
        values["method"],
        values["layer"],
        values["seed"],
        progress,
    )


def answer_document_map(
    run: Run, values: Values, sources: Sources, progress: Progress
) -> DocumentMap:
    from cpart_core.analysis.maps.document_map import map_documents

    progress(0.0, "Loading the model")
    return map_documents(
        sources.source(run, values["step"]),
        sources.corpus(run),
        values["method"],
        values["seed"],
        progress,
    )


def answer_specialization(
    run: Run, values: Values, sources: Sources, progress: Progress
) -> Specialization:
    from cpart_core.analysis.segments.specialization import measure_specialization

    progress(0.0, "Loading the model")
    return measure_specialization(
        sources.source(run, values["step"]), sources.corpus(run), values["seed"], progress
    )


def answer_stability(run: Run, values: Values, sources: Sources, progress: Progress) -> Stability:
    from cpart_core.analysis.segments.stability import measure_stability

    return measure_stability(
        [open_run(run_id) for run_id in values["runs"]], values["steps"], values["seed"], progress
    )


def answer_intervention(
    run: Run, values: Values, sources: Sources, progress: Progress
) -> InterventionReport:
    from cpart_core.analysis.effects.what_if import Question, changes_of, report_intervention

    progress(0.0, "Loading the model")
    changes = changes_of(values["interventions"], values["neurons"])
    question = Question(
        values["text"], changes, values["max_tokens"], values["temperature"], values["seed"]
    )
    return report_intervention(
        sources.source(run, values["step"]),
        sources.corpus(run),
        question,
        run.settings.training.seed,
        progress,
    )


def answer_ablation_matrix(
    run: Run, values: Values, sources: Sources, progress: Progress
) -> AblationMatrix:
    from cpart_core.analysis.effects.ablation import ablation_matrix

    progress(0.0, "Loading the model")
    return ablation_matrix(
        sources.source(run, values["step"]),
        sources.corpus(run),
        run.settings.training.seed,
        progress,
    )


def answer_router_audit(
    run: Run, values: Values, sources: Sources, progress: Progress
) -> RouterAudit:
    from cpart_core.analysis.effects.router_audit import router_audit

    progress(0.0, "Loading the model")
    return router_audit(
        sources.source(run, values["step"]),
        sources.corpus(run),
        run.settings.training.seed,
        progress,
    )


def answer_keep_k(run: Run, values: Values, sources: Sources, progress: Progress) -> KeepCurve:
    from cpart_core.analysis.keep.keep_k import Wish, keep_curve

    progress(0.0, "Loading the model")
    wish = Wish(**{name: values[name] for name in WISH})
    return keep_curve(sources.source(run, values["step"]), sources.corpus(run), wish, progress)


def answer_carve(run: Run, values: Values, sources: Sources, progress: Progress) -> CarveReport:
    """The only analysis that writes a run: the carved one."""
    from cpart_core.analysis.keep.carving import carve_for
    from cpart_core.analysis.keep.keep_k import Wish

    progress(0.0, "Loading the model")
    wish = Wish(**{name: values[name] for name in WISH})
    source, corpus = sources.source(run, values["step"]), sources.corpus(run)
    return carve_for(run, source, corpus, wish, values["keep"], values["name"], progress=progress)


def answer_compare_segments(
    run: Run, values: Values, sources: Sources, progress: Progress
) -> SegmentComparison:
    from cpart_core.analysis.compare.match import Side, compare_segments

    progress(0.0, "Reading snapshots")
    other = open_run(values["other"])
    sides = [
        Side(one, one.snapshot(step))
        for one, step in ((run, values["step"]), (other, values["other_step"]))
    ]
    return compare_segments(sides[0], sides[1], values["method"], values["seed"], progress)


def answer_compare_losses(
    run: Run, values: Values, sources: Sources, progress: Progress
) -> LossComparison:
    from cpart_core.analysis.compare.loss_pairs import compare_losses, compare_reports, same_rows
    from cpart_core.analysis.compare.match import same_contexts
    from cpart_core.analysis.losses.evaluation import validation_report

    progress(0.0, "Loading both models")
    other = open_run(values["other"])
    corpora = (sources.corpus(run), sources.corpus(other))
    comparable = same_contexts(run, other)
    first, second = sources.source(run, values["step"]), sources.source(other, values["other_step"])
    if not same_rows(run, other, corpora):
        return compare_losses(first, second, corpora, comparable, values["seed"], progress)
    reports = (
        validation_report(run, first, corpora[0], part_of(progress, 0.1, 0.5)),
        validation_report(other, second, corpora[1], part_of(progress, 0.5, 0.9)),
    )
    return compare_reports(reports[0], reports[1], corpora[0], comparable, values["seed"])


def answer_compare_text(
    run: Run, values: Values, sources: Sources, progress: Progress
) -> TextComparison:
    from cpart_core.analysis.compare.aligned_text import compare_text

    progress(0.0, "Loading both models")
    first, second = (
        sources.source(run, values["step"]),
        sources.source(open_run(values["other"]), values["other_step"]),
    )
    return compare_text(first, second, values["text"], progress)


BESIDE: dict[str, type] = {"step": int, "other": str, "other_step": int}
"""A's step (a snapshot's for segments, else a checkpoint's), then B and its step."""


def answer_side_by_side(
    run: Run, values: Values, sources: Sources, progress: Progress
) -> SideBySide:
    from cpart_core.analysis.coherence.prompts import Prompt
    from cpart_core.analysis.coherence.side_by_side import Start, side_by_side
    from cpart_core.analysis.coherence.writers import load_candidates
    from cpart_core.analysis.text.trace import Sampling

    progress(0.0, "Loading the models")
    candidates = load_candidates(
        [[run.id, values["step"], values["interventions"]], *values["others"]], sources
    )
    judge = open_run(values["judge"])
    start = Start(Prompt(values["title"], "", values["text"], values["rest"]), values["random"])
    sampling = Sampling(values["max_tokens"], values["temperature"], 0, 1.0, values["seed"])
    return side_by_side(
        candidates, judge, sources.source(judge, values["judge_step"]), start, sampling, progress
    )


def answer_coherence(
    run: Run, values: Values, sources: Sources, progress: Progress
) -> CoherenceReport:
    from cpart_core.analysis.coherence.measure import Question, measure_coherence
    from cpart_core.analysis.coherence.writers import load_candidates

    progress(0.0, "Loading the models")
    candidates = load_candidates(
        [[run.id, values["step"], values["interventions"]], *values["others"]], sources
    )
    judge = open_run(values["judge"])
    question = Question(values["prompts"], values["seed"], values["temperature"])
    return measure_coherence(
        candidates, judge, sources.source(judge, values["judge_step"]), question, sources, progress
    )


WRITERS: dict[str, type] = {
    "step": int,
    "interventions": list,
    "others": list,
    "judge": str,
    "judge_step": int,
}
"""interventions: of the first writer, [layer, segment, kind, factor] each. others: [run, step,
interventions] of each further writer."""

WISH: dict[str, type] = {"context": str, "text": str, "ranking": str, "documents": int, "seed": int}
"""What segments are chosen for: a context or a text, the other empty; see keep_k.Wish."""

REQUESTS: tuple[Request, ...] = (
    Request("profiles", answer_profiles, SegmentProfiles, {"step": int}),
    Request("losses", answer_losses, LossReport, {"step": int}),
    Request("trace", answer_trace, Trace, {"step": int, "text": str}),
    Request(
        "continuation",
        answer_continuation,
        Trace,
        {
            "step": int,
            "text": str,
            "max_tokens": int,
            "temperature": float,
            "top_k": int,
            "top_p": float,
            "seed": int,
        },
    ),
    Request(
        "neuron_map",
        answer_neuron_map,
        NeuronMap,
        {"method": str, "layer": int, "seed": int},
        needs_torch=False,
    ),
    Request(
        "document_map", answer_document_map, DocumentMap, {"step": int, "method": str, "seed": int}
    ),
    Request("specialization", answer_specialization, Specialization, {"step": int, "seed": int}),
    Request(
        "intervention",
        answer_intervention,
        InterventionReport,
        {
            "step": int,
            "text": str,
            "interventions": list,
            "neurons": list,
            "max_tokens": int,
            "temperature": float,
            "seed": int,
        },
    ),
    Request("ablation_matrix", answer_ablation_matrix, AblationMatrix, {"step": int}),
    Request("router_audit", answer_router_audit, RouterAudit, {"step": int}),
    Request(
        "stability",
        answer_stability,
        Stability,
        {"runs": list, "steps": list, "seed": int},
        needs_torch=False,
    ),
    Request(
        "side_by_side",
        answer_side_by_side,
        SideBySide,
        {
            **WRITERS,
            "text": str,
            "title": str,
            "rest": str,
            "random": str,
            "max_tokens": int,
            "temperature": float,
            "seed": int,
        },
    ),
    Request(
        "coherence",
        answer_coherence,
        CoherenceReport,
        {**WRITERS, "prompts": int, "temperature": float, "seed": int},
    ),
    Request("keep_k", answer_keep_k, KeepCurve, {"step": int, **WISH}),
    Request(
        "compare_segments",
        answer_compare_segments,
        SegmentComparison,
        {**BESIDE, "method": str, "seed": int},
    ),
    Request("compare_losses", answer_compare_losses, LossComparison, {**BESIDE, "seed": int}),
    Request("compare_text", answer_compare_text, TextComparison, {**BESIDE, "text": str}),
    Request("carve", answer_carve, CarveReport, {"step": int, **WISH, "keep": int, "name": str}),
)


def answer(
    name: str, request: dict[str, Any], progress: Progress = silent, sources: Sources | None = None
) -> Any:
    """Compute one result; nothing is stored. `sources` keeps loaded models from one answer to the
    next.

    Raises ValueError with a sentence for an unknown name, a request that does not fit, an unknown
    run, a damaged or missing checkpoint.
    """
    kind = kind_of(name)
    values = check(kind, request)
    result = kind.answer(
        open_run(request["run"]), values, Sources() if sources is None else sources, progress
    )
    assert type(result) is kind.result_type
    return result


def kind_of(name: str) -> Request:
    """The Request of that name, or ValueError with those there are."""
    for kind in REQUESTS:
        if kind.name == name:
            return kind
    raise ValueError(
        f"There is no analysis {name!r}; there are: {', '.join(kind.name for kind in REQUESTS)}."
    )


def check(kind: Request, request: Any) -> Values:
    """The request's values, or ValueError that says what does not fit. A whole number passes for a
    float, nothing else is bent."""
    keys = {"run": str, **kind.keys}
    if not isinstance(request, dict) or set(request) != set(keys):
        given = (
            ", ".join(map(str, request)) if isinstance(request, dict) else type(request).__name__
        )
        raise ValueError(
            f"The request {kind.name} has the keys {', '.join(keys)}; given: {given or 'none'}."
        )
    values: Values = {}
    for key, wanted in keys.items():
        value = request[key]
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise ValueError(
                f"{key} of the request {kind.name} must be {wanted.__name__}; given:"
                f" {str(value)[:80]!r}."
            )
        values[key] = value
    if len(values.get("text", "")) > LONGEST_TEXT:
        raise ValueError(
            f"The text has {len(values['text']):,} characters; at most {LONGEST_TEXT:,} are read."
            " Shorten it."
        )
    if not 0 <= values.get("seed", 0) < 2**31:
        raise ValueError(f"The seed is {values['seed']}; allowed: 0 to {2**31 - 1}.")
    return values


def is_current(run: Run, name: str, result: Any) -> bool:
    """False for a stored neuron map of a run that has newer snapshots by now, and for the report of
    a carved run that was deleted.

    Every other result is of one checkpoint and stays true.
    """
    if name == "carve":
        return any(folder.name == result.carved for folder, _ in run_folders())
    if name != "neuron_map":
        return True
    steps = run.snapshot_steps()
    return not steps or result.steps[-1] == steps[-1]
