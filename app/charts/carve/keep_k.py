"""Loss against kept segments, with the band of chance, and losses before and after carving. Knows
no page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.theme import ink, style
from app.text.escape import escaped
from app.text.palette import SHARED_COLOUR, context_colour, context_dash, context_symbol, rgba
from cpart_core.records.keep import CarveReport, KeepCurve

CHOSEN = {False: "#1845fb", True: "#82a9ff"}
RISE = "rise of the loss on a sample of held-out text (nats per token)"
CHANCE_BAND = (0.05, 0.5, 0.95)


def chance(curve: KeepCurve) -> np.ndarray:
    """[3, K] rise when as many segments are kept by chance: 5 %, median, 95 % of the draws."""
    rise: np.ndarray = np.quantile(curve.random_loss - curve.loss[0], CHANCE_BAND, axis=0)
    return rise


def keep_figure(curve: KeepCurve, keep: int | None = None, *, dark: bool) -> go.Figure:
    """The chosen segments with their interval against as many by chance; `keep` is marked."""
    colour, low_middle_high = CHOSEN[dark], chance(curve)
    kept = curve.kept.tolist()
    figure = go.Figure()
    add_band(
        figure, kept, low_middle_high[0], low_middle_high[2], SHARED_COLOUR, "by chance, 5 to 95 %"
    )
    figure.add_scatter(
        x=kept,
        y=low_middle_high[1],
        mode="lines+markers",
        name="by chance, median",
        line={"color": SHARED_COLOUR, "dash": "dash", "width": 2},
        marker={"symbol": "circle-open", "size": 7},
        hovertemplate="%{x} kept by chance<br>rise <b>%{y:.4f}</b> nats<extra></extra>",
    )
    if np.isfinite(curve.low).all():
        add_band(figure, kept, curve.low, curve.high, colour, "chosen, 95 % interval")
    figure.add_scatter(
        x=kept,
        y=curve.rise,
        mode="lines+markers",
        name="chosen",
        line={"color": colour, "width": 2.5},
        marker={"symbol": "circle", "size": 8},
        customdata=np.stack([curve.loss, curve.low, curve.high], axis=1),
        hovertemplate=(
            "%{x} kept<br>rise <b>%{y:.4f}</b> nats (%{customdata[1]:.4f} to"
            " %{customdata[2]:.4f})<br>sampled loss %{customdata[0]:.4f}<extra></extra>"
        ),
    )
    figure.add_hline(y=0, line={"color": ink(dark).faint, "width": 1})
    if keep is not None:
        figure.add_vline(x=keep, line={"color": ink(dark).text, "width": 1, "dash": "dot"})
    return finished(figure, kept, dark, 380)


def others_figure(curve: KeepCurve, keep: int | None = None, *, dark: bool) -> go.Figure:
    """What the same kept segments cost on the text of every context."""
    figure = go.Figure()
    for number, name in enumerate(curve.contexts):
        mine = name == curve.context
        figure.add_scatter(
            x=curve.kept.tolist(),
            y=curve.rise_by_context[number],
            mode="lines+markers",
            name=escaped(name, 22),
            line={
                "color": context_colour(number, dark),
                "dash": context_dash(number),
                "width": 3.5 if mine else 1.6,
            },
            marker={"symbol": context_symbol(number), "size": 9 if mine else 6},
            customdata=np.stack(
                [curve.low_by_context[number], curve.high_by_context[number]], axis=1
            ),
            hovertemplate=escaped(name, 22)
            + "<br>%{x} kept: rise <b>%{y:.4f}</b> nats (%{customdata[0]:.4f} to"
            " %{customdata[1]:.4f})<extra></extra>",
        )
    figure.add_hline(y=0, line={"color": ink(dark).faint, "width": 1})
    if keep is not None:
        figure.add_vline(x=keep, line={"color": ink(dark).text, "width": 1, "dash": "dot"})
    return finished(figure, curve.kept.tolist(), dark, 420)


def add_band(
    figure: go.Figure, x: list[int], low: np.ndarray, high: np.ndarray, colour: str, name: str
) -> None:
    """A filled band between two lines."""
    figure.add_scatter(
        x=[*x, *x[::-1]],
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=rgba(colour, 0.2),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        name=name,
    )


def finished(figure: go.Figure, kept: list[int], dark: bool, height: int) -> go.Figure:
    """The whole model at the left, one segment at the right."""
    few = len(kept) <= 16
    figure.update_xaxes(
        title="segments kept in each layer",
        autorange="reversed",
        tickvals=kept if few else None,
        type="linear" if kept[0] <= 24 else "log",
    )
    figure.update_yaxes(title=RISE)
    figure.update_layout(height=height, legend={"y": -0.2})
    return style(figure, dark)


def losses_figure(report: CarveReport, *, dark: bool) -> go.Figure:
    """Rise of each context's loss by carving, with its interval; the context it was carved for is
    filled."""
    names = [escaped(name, 24) for name in report.contexts]
    rise = report.loss_after - report.loss_before
    figure = go.Figure()
    for number, name in enumerate(report.contexts):
        mine = name == report.context
        figure.add_scatter(
            x=[rise[number]],
            y=[names[number]],
            mode="markers",
            marker={
                "color": context_colour(number, dark),
                "symbol": "diamond" if mine else "circle-open",
                "size": 12 if mine else 9,
                "line": {"width": 2},
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [report.high[number] - rise[number]],
                "arrayminus": [rise[number] - report.low[number]],
                "color": context_colour(number, dark),
            },
            customdata=[
                [
                    report.loss_before[number],
                    report.loss_after[number],
                    int(report.tokens_by_context[number]),
                ]
            ],
            hovertemplate=(
                "%{y}<br>%{customdata[0]:.4f} before, %{customdata[1]:.4f} after<br>rise"
                " <b>%{x:.4f}</b><br>n = %{customdata[2]:,} tokens<extra></extra>"
            ),
            showlegend=False,
        )
    figure.add_vline(x=0, line={"color": ink(dark).faint, "width": 1})
    figure.update_xaxes(title=RISE)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(height=90 + 30 * len(names))
    return style(figure, dark)


def keep_table(curve: KeepCurve) -> pd.DataFrame:
    """A row for each count."""
    low, middle, high = chance(curve)
    return pd.DataFrame(
        {
            "kept": curve.kept,
            "loss": curve.loss,
            "rise": curve.rise,
            "rise 95 % low": curve.low,
            "rise 95 % high": curve.high,
            "rise by chance, 5 %": low,
            "rise by chance, median": middle,
            "rise by chance, 95 %": high,
            "n documents": curve.documents,
            "n tokens": curve.tokens,
        }
    )


def others_table(curve: KeepCurve) -> pd.DataFrame:
    """A row for each context and count."""
    context, place = (axis.ravel() for axis in np.indices(curve.rise_by_context.shape))
    return pd.DataFrame(
        {
            "context": np.array(curve.contexts, dtype=object)[context],
            "kept": curve.kept[place],
            "loss": curve.loss_by_context.ravel(),
            "rise": curve.rise_by_context.ravel(),
            "rise 95 % low": curve.low_by_context.ravel(),
            "rise 95 % high": curve.high_by_context.ravel(),
            "n documents": curve.documents_by_context[context],
            "n tokens": curve.tokens_by_context[context],
        }
    )


def losses_table(report: CarveReport) -> pd.DataFrame:
    """A row for each context."""
    return pd.DataFrame(
        {
            "context": report.contexts,
            "loss before": report.loss_before,
            "loss after": report.loss_after,
            "rise": report.loss_after - report.loss_before,
            "rise 95 % low": report.low,
            "rise 95 % high": report.high,
            "n documents": report.documents_by_context,
            "n tokens": report.tokens_by_context,
        }
    )
