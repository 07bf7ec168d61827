"""All settings of a run, as frozen dataclasses: the one place for names, ranges, help and units.

The command line, `settings.json` and the form on the Train page are all made from `Settings.items`,
so they cannot disagree. A method that is chosen (a fusion, a partition method) is a dataclass of
its own in its group (fields/method.py); names, flags and JSON are flat. Standard library only:
pages read this file before torch is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

from cpart_core.files.typed_json import hints_of
from cpart_core.settings.corpus import CorpusSettings
from cpart_core.settings.fields.method import (
    families_in,
    settings_of,
    values_of,
    with_flat,
)
from cpart_core.settings.fields.setting import Setting, check_setting, coerce
from cpart_core.settings.model import ModelSettings
from cpart_core.settings.partition import PartitionSettings
from cpart_core.settings.training import TrainingSettings


@dataclass(frozen=True)
class Settings:
    """Everything that determines a run, in four groups. Names of settings are unique over the
    groups, so each is one CLI flag."""

    corpus: CorpusSettings = field(default_factory=CorpusSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    partition: PartitionSettings = field(default_factory=PartitionSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def check(self) -> Settings:
        """Return self, or raise ValueError that says what was given and what is allowed."""
        for group_name, entries in all_settings().items():
            values = values_of(getattr(self, group_name))
            for item in entries:
                if item.name in values:
                    check_setting(group_name, item, values[item.name])
        check_together(self)
        return self

    def items(self) -> Iterator[tuple[str, Setting, Any]]:
        """(group name, setting, value) for every setting, in order; of methods that are not chosen
        the default."""
        for group_name, entries in all_settings().items():
            values = values_of(getattr(self, group_name))
            for item in entries:
                yield group_name, item, values.get(item.name, item.default)

    def with_values(self, values: Mapping[str, Any]) -> Settings:
        """A copy with settings replaced by flat name ({"num_layers": 2}); unknown names are
        refused, values of methods that are not chosen dropped."""
        known = all_settings()
        names = {group: {item.name for item in entries} for group, entries in known.items()}
        unknown = sorted(set(values) - {name for group in names.values() for name in group})
        if unknown:
            every = sorted(name for group in names.values() for name in group)
            raise ValueError(f"Unknown setting {', '.join(unknown)}. Known: {', '.join(every)}.")
        changed: dict[str, Any] = {}
        for group, own in names.items():
            part = {name: value for name, value in values.items() if name in own}
            if part:
                changed[group] = with_flat(getattr(self, group), part, group)
        return replace(self, **changed)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Group -> flat name -> value, as in JSON; of methods those of the chosen ones."""
        return {group.name: values_of(getattr(self, group.name)) for group in fields(self)}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read settings; unknown names, wrong types and values out of range raise ValueError."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"These settings are not valid JSON: {error}") from None
        return settings_from_dict(data).check()


def all_settings() -> Mapping[str, tuple[Setting, ...]]:
    """Group name -> its settings, flat and in order. Kept as long as the families list the same
    methods: a list of runs reads many settings."""
    families = [families_in(kind) for kind in hints_of(Settings).values()]
    return kept_settings(
        tuple((name, tuple(own.values())) for group in families for name, own in group.items())
    )


@cache
def kept_settings(listed: Any) -> Mapping[str, tuple[Setting, ...]]:
    methods = dict(listed)
    return {name: settings_of(kind, methods) for name, kind in hints_of(Settings).items()}


def settings_from_dict(data: Any) -> Settings:
    """Settings from the dictionary that `to_dict` gives; missing names keep their defaults, and
    what older files say of methods that are not chosen is checked and dropped."""
    known = all_settings()
    if not isinstance(data, dict):
        raise ValueError(
            f"Settings must be a JSON object with the groups {', '.join(known)}; got"
            f" {type(data).__name__}."
        )
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise ValueError(
            f"Unknown group of settings {', '.join(unknown)}. Known: {', '.join(known)}."
        )
    settings = Settings()
    for group_name, entries in known.items():
        values = data.get(group_name, {})
        if not isinstance(values, dict):
            raise ValueError(
                f"Settings group {group_name} must be a JSON object; got {type(values).__name__}."
            )
        kinds = {item.name: item.kind for item in entries}
        unknown = sorted(set(values) - set(kinds))
        if unknown:
            raise ValueError(
                f"Unknown setting {', '.join(unknown)} in {group_name}. Known: {', '.join(kinds)}."
            )
        typed = {
            name: coerce(f"{group_name}.{name}", value, kinds[name])
            for name, value in values.items()
        }
        group = with_flat(getattr(settings, group_name), typed, group_name)
        dropped = set(typed) - set(values_of(group))
        for item in entries if dropped else ():
            if item.name in dropped:
                check_setting(group_name, item, typed[item.name])
        settings = replace(settings, **{group_name: group})
    return settings


def check_together(settings: Settings) -> None:
    """Settings that must fit each other."""
    model = settings.model
    if model.width % model.num_heads:
        raise ValueError(f"width {model.width} must be a multiple of num_heads {model.num_heads}.")
    if (model.width // model.num_heads) % 2:
        raise ValueError(
            f"width / num_heads is {model.width // model.num_heads}; rotary positions need an even"
            " number."
        )
    if model.num_heads % model.num_kv_heads:
        raise ValueError(
            f"num_heads {model.num_heads} must be a multiple of num_kv_heads {model.num_kv_heads}."
        )
    divided = model.num_neurons - model.shared_neurons
    if divided < model.num_segments or divided % model.num_segments:
        raise ValueError(
            f"num_neurons - shared_neurons is {divided}; it must be a positive multiple of"
            f" num_segments {model.num_segments}, so that all segments have the same size."
        )
    if model.execution == "topk" and model.top_k > model.num_segments:
        raise ValueError(
            f"top_k {model.top_k} must not be more than num_segments {model.num_segments}."
        )
    if model.execution == "topk" and not model.fusion.differs_by_token:
        raise ValueError(
            f"fusion {model.fusion.name} with execution topk would compute the same segments for every token."
            " Choose soft, or attention fusion."
        )
    if (
        model.execution != "dense"
        and settings.partition.fusion_step < settings.partition.first_step
    ):
        raise ValueError(
            f"fusion_step {settings.partition.fusion_step} must not come before first_step"
            f" {settings.partition.first_step}: fusion weights need segments."
        )
    if settings.corpus.source != "builtin" and not settings.corpus.path:
        raise ValueError(f"corpus.source is {settings.corpus.source}; give its path.")
