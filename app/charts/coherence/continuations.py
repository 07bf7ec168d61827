"""Continuations compared: the segment of every token, topic drift, and scores between random and
human text. Knows no page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import error_bars, ink, style
from app.text.escape import escaped, escaped_token, plain
from app.text.palette import context_colour, context_dash, context_symbol, discrete_scale
from cpart_core.records.coherence import CoherenceReport, TextMeasures, Writer
from cpart_core.records.trace import Trace

ANCHORS = ("human text", "random text")


def name_of(writer: Writer) -> str:
    """How a writer is called: run, step, changes."""
    return f"{writer.name} · step {writer.step:,}" + "".join(
        f" · {change}" for change in writer.changes
    )


def names_of(writers: Sequence[Writer]) -> list[str]:
    """One name each, no two alike."""
    names = [name_of(writer) for writer in writers]
    return [
        name if names.count(name) == 1 else f"{name} · {writer.run}"
        for name, writer in zip(names, writers, strict=True)
    ]


def row_names(writers: Sequence[Writer], rows: int) -> list[str]:
    """Names of the rows of measures: writers, then the anchors where they are there."""
    return [*names_of(writers), *ANCHORS][:rows]


def segment_track(trace: Trace, *, dark: bool) -> go.Figure:
    """A row a layer, a column a token: colour = the segment with the greatest fusion weight. The
    line: generated from here on."""
    alpha = trace.alpha
    L, T, S = alpha.shape
    strongest = alpha.argmax(axis=2)
    tokens = [escaped_token(token, 18) for token in trace.tokens]
    figure = go.Figure(
        go.Heatmap(
            z=strongest,
            y=[f"layer {layer}" for layer in range(L)],
            zmin=-0.5,
            zmax=S - 0.5,
            colorscale=discrete_scale(S, dark),
            showscale=False,
            xgap=0.5,
            ygap=2,
            text=[
                [
                    f"{token} · segment {segment} · weight {weight:.2f}"
                    for token, segment, weight in zip(tokens, row, best, strict=True)
                ]
                for row, best in zip(strongest, alpha.max(axis=2), strict=True)
            ],
            hovertemplate="%{y}, token %{x}<br>%{text}<extra></extra>",
        )
    )
    figure.add_vline(x=trace.prompt_tokens - 0.5, line={"color": ink(dark).text, "width": 2})
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    figure.update_xaxes(
        title="token; generated right of the line", showgrid=False, range=[-0.5, T - 0.5]
    )
    figure.update_layout(height=70 + 24 * L)
    return style(figure, dark)


def is_dense(trace: Trace) -> bool:
    """Whether there are no fusion weights: alpha is the same for all segments at every token. What
    a person has changed shows in `weight` only."""
    return bool(np.allclose(trace.alpha, trace.alpha[..., :1], atol=1e-6))


def track_table(trace: Trace) -> pd.DataFrame:
    L, T, _ = trace.alpha.shape
    return pd.DataFrame(
        {
            "layer": np.repeat(np.arange(L), T),
            "token": np.tile(np.arange(T), L),
            "text": list(trace.tokens) * L,
            "strongest_segment": trace.alpha.argmax(axis=2).ravel(),
            "fusion_weight": trace.alpha.max(axis=2).ravel(),
        }
    )


def drift_curves(
    names: Sequence[str],
    drift_RW: np.ndarray,
    low_RW: np.ndarray | None = None,
    high_RW: np.ndarray | None = None,
    *,
    dark: bool,
) -> go.Figure:
    """Cosine of the prompt and each successive quarter of the continuation; the anchors in grey.
    Bars: 95 % where they are given."""
    figure = go.Figure()
    quarters = np.arange(1, drift_RW.shape[1] + 1)
    for number, name in enumerate(names):
        anchor = name in ANCHORS
        colour = ink(dark).faint if anchor else context_colour(number, dark)
        dash = ("solid", "dot")[ANCHORS.index(name)] if anchor else context_dash(number)
        error = None
        if low_RW is not None and high_RW is not None:
            error = error_bars(drift_RW[number], low_RW[number], high_RW[number], thickness=1)
        figure.add_trace(
            go.Scatter(
                x=quarters + 0.03 * (number - len(names) / 2),
                y=drift_RW[number],
                name=escaped(name, 60),
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 2},
                marker={
                    "symbol": "circle-open" if anchor else context_symbol(number),
                    "size": 9,
                    "color": colour,
                },
                error_y=error,
                hovertemplate=(
                    f"{escaped(name, 60)}<br>quarter %{{x:.0f}}: <b>%{{y:.3f}}</b><extra></extra>"
                ),
            )
        )
    figure.update_xaxes(title="quarter of the continuation", tickvals=quarters.tolist())
    figure.update_yaxes(title="similarity to the prompt")
    figure.update_layout(height=310 + 18 * len(names), legend={"y": 1.02, "yanchor": "bottom"})
    return style(figure, dark)


def drift_table(names: Sequence[str], drift_RW: np.ndarray) -> pd.DataFrame:
    R, W = drift_RW.shape
    return pd.DataFrame(
        {
            "text_by": np.repeat(np.array(names, dtype=object), W),
            "quarter": np.tile(np.arange(1, W + 1), R),
            "similarity": drift_RW.ravel(),
        }
    )


def score_chart(report: CoherenceReport, *, dark: bool) -> go.Figure:
    """Both scores of every writer with their 95 % intervals, between random text (0) and human text
    (1)."""
    names = names_of(report.writers)
    figure = go.Figure()
    for number, (label, scores) in enumerate(
        (("embedding", report.embedding_score), ("order", report.order_score))
    ):
        score, low, high = (
            np.array([getattr(one, part) for one in scores]) for part in ("score", "low", "high")
        )
        colour = context_colour(number, dark)
        figure.add_trace(
            go.Scatter(
                x=score,
                y=np.arange(len(names)) + 0.14 * (2 * number - 1),
                name=label,
                mode="markers",
                marker={"symbol": context_symbol(number), "size": 11, "color": colour},
                error_x=error_bars(score, low, high, colour=colour),
                customdata=np.stack([low, high, [one.n for one in scores]], axis=1),
                hovertemplate=(
                    f"{label} <b>%{{x:.2f}}</b>, 95 % %{{customdata[0]:.2f}} to"
                    " %{customdata[1]:.2f}<br>n = %{customdata[2]:.0f}"
                    " documents<extra></extra>"
                ),
            )
        )
    for place, text in ((0.0, "random text"), (1.0, "human text")):
        figure.add_vline(x=place, line={"color": ink(dark).faint, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=place,
            y=1.0,
            yref="paper",
            yanchor="bottom",
            text=text,
            showarrow=False,
            font={"color": ink(dark).faint},
        )
    ticks = [escaped(name, 34) for name in names]
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=ticks,
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_xaxes(title="(writer - random) / (human - random)")
    figure.update_layout(height=190 + 56 * len(names), legend={"y": -60 / (90 + 56 * len(names))})
    return style(figure, dark)


def measure_table(names: Sequence[str], measures: Sequence[TextMeasures]) -> pd.DataFrame:
    """One text a row."""
    return pd.DataFrame(
        {
            "text by": [plain(name, 90) for name in names],
            "similarity to the prompt": [one.similarity for one in measures],
            "perplexity, judged": [float(np.exp(one.nats)) for one in measures],
            "repetition (rep-4)": [one.repetition for one in measures],
            "distinct-2": [one.distinct for one in measures],
            "tokens, judged": [one.tokens for one in measures],
        }
    )


def score_table(report: CoherenceReport) -> pd.DataFrame:
    """One writer or anchor a row, means over documents; perplexity over tokens."""
    names = row_names(report.writers, len(report.texts))
    columns: dict[str, list[object]] = {"text by": [plain(name, 90) for name in names]}
    for label, scores in (("embedding", report.embedding_score), ("order", report.order_score)):
        for part in ("score", "low", "high"):
            columns[f"{label} {part}" + ("" if part == "score" else " 95 %")] = [
                *(getattr(one, part) for one in scores),
                *[float("nan")] * 2,
            ]
    columns["similarity to the prompt"] = np.nanmean(report.similarity, axis=1).tolist()
    columns["true order found"] = [
        float(np.nanmean(row)) if np.isfinite(row).any() else float("nan") for row in report.order
    ]
    columns["perplexity, judged"] = [
        perplexity(nats, tokens) for nats, tokens in zip(report.nats, report.tokens, strict=True)
    ]
    columns["repetition (rep-4)"] = [float(np.nanmean(row)) for row in report.repetition]
    columns["distinct-2"] = [float(np.nanmean(row)) for row in report.distinct]
    columns["n documents"] = [len(report.prompts)] * len(names)
    return pd.DataFrame(columns)


def perplexity(nats_P: np.ndarray, tokens_P: np.ndarray) -> float:
    """Over all tokens that were judged; NaN where none was."""
    judged = tokens_P[np.isfinite(nats_P)].sum()
    return float(np.exp(np.nansum(nats_P * tokens_P) / judged)) if judged else float("nan")


def finding(report: CoherenceReport) -> list[str]:
    """What the scores say, a sentence each; names are left to the table, since they are other
    people's text."""
    said = []
    for label, scores in (("embedding", report.embedding_score), ("order", report.order_score)):
        first = scores[0]
        if np.isnan(first.score):
            gap = (
                f"human less random text {first.human - first.random:+.3f}, 95 %"
                f" {first.gap_low:+.3f} to {first.gap_high:+.3f}"
            )
            said.append(
                f"No {label} score: this measure cannot tell human from random text here ({gap}, n"
                f" = {first.n} documents)."
            )
        else:
            said.append(
                f"The first writer's {label} score is {first.score:.2f} (95 %: {first.low:.2f} to"
                f" {first.high:.2f}, n = {first.n})."
            )
    return said
