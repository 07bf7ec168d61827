"""Before and after an intervention: the next token's probabilities, and what it costs each context.
Knows no page."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import error_bars, ink, style
from app.text.escape import escaped, escaped_token, plain
from app.text.palette import context_colour, context_symbol, segment_colour
from cpart_core.records.effects import InterventionReport

NOTHING = 0.0005
"""Nats. A smaller change is said to be none."""
BEFORE, AFTER = 6, 1
"""Numbers of the palette's grey and its orange."""


def next_token_bars(report: InterventionReport, *, dark: bool) -> go.Figure:
    """Two bars a token: probability before and after."""
    names = [f"{place}" for place in range(len(report.next_tokens))]
    labels = [escaped_token(f"'{token}'", 20) for token in report.next_tokens]
    figure = go.Figure()
    for title, values, colour, pattern in (
        ("before", report.next_before, segment_colour(BEFORE, dark), ""),
        ("after", report.next_after, segment_colour(AFTER, dark), "/"),
    ):
        figure.add_trace(
            go.Bar(
                x=values,
                y=names,
                name=title,
                orientation="h",
                marker={"color": colour, "pattern": {"shape": pattern}},
                customdata=labels,
                hovertemplate=f"%{{customdata}}<br>{title} <b>%{{x:.3f}}</b><extra></extra>",
            )
        )
    figure.update_yaxes(
        tickvals=names,
        ticktext=labels,
        type="category",
        autorange="reversed",
        showgrid=False,
        tickfont={"family": "monospace"},
    )
    figure.update_xaxes(title="probability as the next token", rangemode="tozero")
    figure.update_layout(
        height=150 + 30 * len(names),
        bargap=0.25,
        bargroupgap=0.05,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"},
    )
    return style(figure, dark)


def next_token_table(report: InterventionReport) -> pd.DataFrame:
    return pd.DataFrame(
        {"token": report.next_tokens, "before": report.next_before, "after": report.next_after}
    )


def context_changes(report: InterventionReport, *, dark: bool) -> go.Figure:
    """A point with its interval for each context: right of 0 the model got worse."""
    change = report.context_after - report.context_before
    names = [escaped(name, 26) for name in report.contexts]
    figure = go.Figure(
        go.Scatter(
            x=change,
            y=names,
            mode="markers",
            marker={
                "size": 10,
                "color": [context_colour(number, dark) for number in range(len(names))],
                "symbol": [context_symbol(number) for number in range(len(names))],
            },
            error_x=error_bars(
                change, report.change_low, report.change_high, colour=ink(dark).faint, thickness=1.5
            ),
            customdata=np.stack(
                [
                    report.context_before,
                    report.context_after,
                    report.change_low,
                    report.change_high,
                    report.tokens_by_context,
                    report.documents_by_context,
                ],
                axis=1,
            ),
            hovertemplate=(
                "%{y}<br>loss %{customdata[0]:.3f} → %{customdata[1]:.3f}<br>change"
                " <b>%{x:+.3f}</b>, 95 % %{customdata[2]:+.3f} to %{customdata[3]:+.3f}<br>n ="
                " %{customdata[4]:,} tokens of %{customdata[5]} documents<extra></extra>"
            ),
            showlegend=False,
        )
    )
    figure.add_vline(x=0, line={"color": ink(dark).faint, "width": 1, "dash": "dot"})
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_xaxes(
        title="change of the sampled validation loss, nats per token", tickformat="+.3~f"
    )
    figure.update_layout(height=110 + 30 * len(names))
    return style(figure, dark)


def context_table(report: InterventionReport) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "context": report.contexts,
            "loss_before": report.context_before,
            "loss_after": report.context_after,
            "change": report.context_after - report.context_before,
            "low_95": report.change_low,
            "high_95": report.change_high,
            "n_tokens": report.tokens_by_context,
            "n_documents": report.documents_by_context,
        }
    )


def token_table(report: InterventionReport) -> pd.DataFrame:
    """The losses of the text's own tokens."""
    return pd.DataFrame(
        {
            "token": report.tokens,
            "loss_before": report.loss_before,
            "loss_after": report.loss_after,
            "change": report.loss_after - report.loss_before,
        }
    )


def finding(report: InterventionReport, quoted: Callable[[str], str] = plain) -> str:
    """What the change does, in words: the text's own loss, the first choice, the context that is
    hit most, its name as `quoted` gives it."""
    said = []
    if len(report.tokens) > 1:
        rise = float(np.mean(report.loss_after[1:] - report.loss_before[1:]))
        said.append(
            "the text's own loss stays as it was"
            if abs(rise) < NOTHING
            else f"the text's own loss changes by {rise:+.3f} nats a token"
        )
    first, then = (
        report.next_tokens[int(np.argmax(values))]
        for values in (report.next_before, report.next_after)
    )
    said.append(
        "the likeliest next token stays the same"
        if first == then
        else "another next token is the likeliest"
    )
    change = report.context_after - report.context_before
    if np.isfinite(change).any():
        worst = int(np.nanargmax(np.abs(change)))
        low, high = report.change_low[worst], report.change_high[worst]
        if abs(change[worst]) < NOTHING:
            said.append("no context's sampled validation loss changes")
        else:
            doubt = "" if low > 0 or high < 0 else ", which chance could explain"
            said.append(
                f"{quoted(report.contexts[worst])} changes most: {change[worst]:+.3f} nats (95 %"
                f" {low:+.3f} to {high:+.3f}){doubt}"
            )
    return f"{said[0][:1].upper()}{said[0][1:]}; {'; '.join(said[1:])}."
