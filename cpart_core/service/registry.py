"""The visible list of analyses that can be asked for by name: by pages, by the command line, by
the worker's protocol. Loads no torch: an analysis's own file is imported when it is asked for.

Adding one: its result in records/, a file in analysis/ whose `answer` gives it, one entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from cpart_core.analysis.asked import Asked
from cpart_core.records.coherence import CoherenceReport, SideBySide
from cpart_core.records.comparison import LossComparison, SegmentComparison, TextComparison
from cpart_core.records.effects import AblationMatrix, InterventionReport, RouterAudit
from cpart_core.records.keep import CarveReport, KeepCurve
from cpart_core.records.losses import LossReport
from cpart_core.records.maps import DocumentMap, NeuronMap
from cpart_core.records.profiles import SegmentProfiles
from cpart_core.records.specialization import Specialization, Stability
from cpart_core.records.trace import Trace
from cpart_core.runs.folder import Run
from cpart_core.service.staleness import always_current, carved_run_exists, no_newer_snapshot

Keys = dict[str, type]
"""Key of a request -> type of its value; `run` is a key of every request and is not repeated."""


def never_slow(request: dict[str, Any]) -> bool:
    """Done within seconds."""
    return False


def always_slow(request: dict[str, Any]) -> bool:
    """Many passes over the validation text."""
    return True


def slow_with_umap(request: dict[str, Any]) -> bool:
    """UMAP compiles and lays out for seconds; PCA does not."""
    return bool(request.get("method") == "umap")


@dataclass(frozen=True)
class Analysis:
    """One kind of analysis, and all that is known of it outside its own file."""

    name: str
    """In requests and in the names of stored results."""
    place: str
    """module:function that takes an Asked and returns the result. A name, so that no page loads
    torch with it."""
    result_type: type
    keys: Keys
    is_slow: Callable[[dict[str, Any]], bool] = never_slow
    """Whether a request goes to the app's slow worker, so that it keeps nobody else waiting."""
    is_current: Callable[[Run, Any], bool] = always_current
    """Whether a stored result of the run is still true; else it is computed anew when asked for."""
    cli: str = ""
    """What `analyze --what` calls it; several entries may share a name. Empty: other commands or
    the pages alone ask for it."""
    by_default: bool = False
    """`analyze` computes it without being told to."""

    def answer(self, asked: Asked) -> Any:
        """The result. ValueError with a sentence for what cannot be answered."""
        module, _, function = self.place.partition(":")
        result = getattr(import_module(module), function)(asked)
        assert type(result) is self.result_type
        return result


STEP: Keys = {"step": int}
SEEDED: Keys = {"step": int, "seed": int}
BESIDE: Keys = {"step": int, "other": str, "other_step": int}
"""A's step (a snapshot's for segments, else a checkpoint's), then B and its step."""
SELECTION: Keys = {"context": str, "text": str, "ranking": str, "documents": int, "seed": int}
"""What segments are chosen for: a context or a text, the other empty; see
keep_k.SelectionRequest."""
DRAWN: Keys = {"max_tokens": int, "temperature": float, "seed": int}
"""How a continuation is drawn."""
WRITERS: Keys = {
    "step": int,
    "interventions": list,
    "others": list,
    "judge": str,
    "judge_step": int,
}
"""interventions: of the first writer, [layer, segment, kind, factor] each. others: [run, step,
interventions] of each further writer."""

ANALYSES: tuple[Analysis, ...] = (
    Analysis(
        "losses",
        "cpart_core.analysis.losses.evaluation:answer",
        LossReport,
        STEP,
        cli="losses",
        by_default=True,
    ),
    Analysis(
        "profiles",
        "cpart_core.analysis.segments.profiles:answer",
        SegmentProfiles,
        STEP,
        cli="profiles",
        by_default=True,
    ),
    Analysis(
        "neuron_map",
        "cpart_core.analysis.maps.neuron_map:answer",
        NeuronMap,
        {"method": str, "layer": int, "seed": int},
        slow_with_umap,
        no_newer_snapshot,
        cli="neuron_map",
        by_default=True,
    ),
    Analysis(
        "document_map",
        "cpart_core.analysis.maps.document_map:answer",
        DocumentMap,
        {"step": int, "method": str, "seed": int},
        slow_with_umap,
        cli="document_map",
        by_default=True,
    ),
    Analysis(
        "trace",
        "cpart_core.analysis.text.trace:answer",
        Trace,
        {"step": int, "text": str},
        cli="trace",
        by_default=True,
    ),
    Analysis(
        "specialization",
        "cpart_core.analysis.segments.specialization:answer",
        Specialization,
        SEEDED,
        cli="specialization",
        by_default=True,
    ),
    Analysis(
        "stability",
        "cpart_core.analysis.segments.stability:answer",
        Stability,
        {"runs": list, "steps": list, "seed": int},
        cli="stability",
    ),
    Analysis(
        "ablation_matrix",
        "cpart_core.analysis.effects.ablation:answer",
        AblationMatrix,
        STEP,
        always_slow,
        cli="ablation_matrix",
    ),
    Analysis(
        "router_audit",
        "cpart_core.analysis.effects.router_audit:answer",
        RouterAudit,
        STEP,
        always_slow,
        cli="router_audit",
    ),
    Analysis(
        "compare_segments",
        "cpart_core.analysis.compare.match:answer",
        SegmentComparison,
        {**BESIDE, "method": str, "seed": int},
        cli="compare",
    ),
    Analysis(
        "compare_losses",
        "cpart_core.analysis.compare.loss_pairs:answer",
        LossComparison,
        {**BESIDE, "seed": int},
        cli="compare",
    ),
    Analysis(
        "compare_text",
        "cpart_core.analysis.compare.aligned_text:answer",
        TextComparison,
        {**BESIDE, "text": str},
    ),
    Analysis(
        "continuation",
        "cpart_core.analysis.text.trace:answer_continuation",
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
    Analysis(
        "intervention",
        "cpart_core.analysis.effects.what_if:answer",
        InterventionReport,
        {"step": int, "text": str, "interventions": list, "neurons": list, **DRAWN},
    ),
    Analysis(
        "side_by_side",
        "cpart_core.analysis.coherence.side_by_side:answer",
        SideBySide,
        {**WRITERS, "text": str, "title": str, "rest": str, "random": str, **DRAWN},
    ),
    Analysis(
        "coherence",
        "cpart_core.analysis.coherence.measure:answer",
        CoherenceReport,
        {**WRITERS, "prompts": int, "temperature": float, "seed": int},
        always_slow,
    ),
    Analysis(
        "keep_k",
        "cpart_core.analysis.keep.keep_k:answer",
        KeepCurve,
        {**STEP, **SELECTION},
        always_slow,
    ),
    Analysis(
        "carve",
        "cpart_core.analysis.keep.carving:answer",
        CarveReport,
        {**STEP, **SELECTION, "keep": int, "name": str},
        always_slow,
        carved_run_exists,
    ),
)


def analysis_named(name: str) -> Analysis:
    """The entry of that name, or ValueError with those there are."""
    for analysis in ANALYSES:
        if analysis.name == name:
            return analysis
    raise ValueError(
        f"There is no analysis {name!r}; there are: {', '.join(one.name for one in ANALYSES)}."
    )
