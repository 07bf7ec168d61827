"""The settings of a run as widgets, made from the fields of cpart_core/settings/run.py: name,
range, help and unit come from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app import session
from cpart_core.settings.effect import without_effect
from cpart_core.settings.fields.setting import Setting
from cpart_core.settings.run import Settings

GROUPS = {
    "corpus": "Text",
    "model": "Model",
    "partition": "Partition",
    "training": "Training",
}
"""Groups of Settings, in order, as a person reads them."""

ELSEWHERE = ("source", "path", "contexts", "text_column", "context_column")
"""Settings that the choice of text sets (views/train/text_choice.py)."""


def label(item: Setting) -> str:
    """'num_layers' -> 'Layers'; the unit follows where it is not the name itself."""
    words = item.name.removeprefix("num_").replace("_", " ")
    unit = item.unit
    said = (
        f" ({unit})"
        if unit and unit not in words and not (unit == "kB" and "kilobytes" in words)
        else ""
    )
    return words[0].upper() + words[1:] + said


def help_text(item: Setting, default: Any, idle: str = "") -> str:
    """What the setting does, what is allowed, what it is without a change, and why it has no effect
    now, if so."""
    low, high = item.low, item.high
    allowed = f" Allowed: {low:,g} to {high:,g}." if low is not None and high is not None else ""
    now = f" Now without effect: {idle}." if idle else ""
    return f"{item.help}.{allowed} Preset: {default}.{now}"


def widget(item: Setting, default: Any, key: str, idle: str = "") -> Any:
    """The widget of one setting; returns its value. idle: why it cannot take effect beside the
    others, which makes it grey."""
    low, high, choices = item.low, item.high, item.choices
    common: dict[str, Any] = {
        "key": key,
        "help": help_text(item, default, idle),
        "persist_state": "session",
        "disabled": bool(idle),
    }
    if choices:
        return st.selectbox(label(item), choices, index=choices.index(default), **common)
    if not isinstance(default, (int, float)):
        return st.text_input(label(item), default, **common)
    assert low is not None and high is not None, "a number has a range"
    if isinstance(default, float):
        return st.number_input(
            label(item),
            float(low),
            float(high),
            default,
            step=small_step(default),
            format="%.6g",
            **common,
        )
    return st.number_input(label(item), int(low), int(high), default, step=1, **common)


def small_step(default: float) -> float:
    """A tenth of the power of ten below: 0.002 -> 0.0001, 1.0 -> 0.1."""
    return (
        10.0 ** (len(str(int(default))) - 2)
        if default >= 1
        else 10.0 ** (int(f"{default:e}".split("e")[1]) - 1)
        if default > 0
        else 0.01
    )


def fields_of(settings: Settings, group: str, advanced: bool) -> list[tuple[Setting, Any]]:
    return [
        (item, value)
        for name, item, value in settings.items()
        if name == group and item.advanced == advanced and item.name not in ELSEWHERE
    ]


def idle_settings(base: Settings, key: str) -> dict[str, str]:
    """Settings of the form that cannot take effect beside what its widgets say now -> why."""
    drawn = [
        item.name
        for group in GROUPS
        for far in (False, True)
        for item, _ in fields_of(base, group, far)
    ]
    now = {name: session.widget(f"{key}_{name}") for name in drawn}
    return without_effect(
        base.with_values({name: value for name, value in now.items() if value is not None}), drawn
    )


def settings_form(base: Settings, key: str) -> dict[str, Any]:
    """All widgets: what matters first, the rest folded away. Returns the values that differ from
    the preset, by flat name."""
    changed: dict[str, Any] = {}
    idle = idle_settings(base, key)

    def draw(entries: list[tuple[Setting, Any]], columns: int) -> None:
        for start in range(0, len(entries), columns):
            for cell, (item, default) in zip(
                st.columns(columns), entries[start : start + columns], strict=False
            ):
                with cell:
                    value = widget(item, default, f"{key}_{item.name}", idle.get(item.name, ""))
                if value is not None and value != default and item.name not in idle:
                    changed[item.name] = value

    if idle:
        st.caption(
            "Settings in grey have no effect beside the others; the question mark of each says why."
        )
    for group, title in GROUPS.items():
        st.markdown(f"**{title}**")
        draw(fields_of(base, group, advanced=False), 4)
    for group, title in GROUPS.items():
        rest = fields_of(base, group, advanced=True)
        with st.expander(f"{title}: {len(rest)} more settings"):
            draw(rest, 4)
    return changed


def line(
    label: str,
    value: str = "",
    *,
    limit: int,
    key: str,
    placeholder: str | None = None,
    persist: bool = False,
) -> str:
    """A line of text of at most `limit` characters, the whole of what was typed or pasted or, said,
    its beginning.

    Streamlit's own limit (`max_chars`) drops what is pasted and longer, all of it and without a
    word.
    """
    given = st.text_input(
        label, value, key=key, placeholder=placeholder, persist_state="session" if persist else None
    )
    return within(given, limit)


def area(
    label: str,
    kept: str,
    keep: Callable[[str], None],
    *,
    limit: int,
    key: str,
    height: int,
    placeholder: str = "",
    help: str = "",
) -> str:
    """A box for a text that is kept elsewhere, by `keep`, so that it outlasts the page; what is
    returned has at most `limit` characters."""
    st.text_area(
        label,
        kept,
        height=height,
        placeholder=placeholder or None,
        help=help or None,
        **session.showing(key, kept, keep),
    )
    return within(kept, limit)


def within(given: str, limit: int) -> str:
    """The beginning that is kept, said where something is left out."""
    if len(given) > limit:
        st.caption(
            f":material/content_cut: These are {len(given):,} characters; the first {limit:,} are"
            " kept."
        )
    return given[:limit]


def forget_form(key: str) -> None:
    """Put every widget of the form back to its preset; call it from a callback."""
    session.drop_widgets(f"{key}_")
