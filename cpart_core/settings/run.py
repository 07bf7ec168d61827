"""All settings of a run, as frozen dataclasses: the one place for names, ranges, help and units.

The command line, `settings.json` and the form on the Train page are all made from these fields, so
they cannot disagree. Standard library only: pages read this file before torch is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any

from cpart_core.settings.corpus import CorpusSettings
from cpart_core.settings.field import check_field, coerce, types_of
from cpart_core.settings.model import ModelSettings
from cpart_core.settings.partition import PartitionSettings
from cpart_core.settings.training import TrainingSettings


@dataclass(frozen=True)
class Settings:
    """Everything that determines a run, in four groups. Field names are unique over the groups, so
    each is one CLI flag."""

    corpus: CorpusSettings = field(default_factory=CorpusSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    partition: PartitionSettings = field(default_factory=PartitionSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def check(self) -> Settings:
        """Return self, or raise ValueError that says what was given and what is allowed."""
        for group_name, item, value in self.items():
            check_field(f"{group_name}.{item.name}", item, value)
        check_together(self)
        return self

    def items(self) -> Iterator[tuple[str, Field[Any], Any]]:
        """(group name, field, value) for every setting, in order."""
        for group in fields(self):
            values = getattr(self, group.name)
            for item in fields(values):
                yield group.name, item, getattr(values, item.name)

    def with_values(self, values: dict[str, Any]) -> Settings:
        """A copy with settings replaced by flat name ({"num_layers": 2}); unknown names are
        refused."""
        groups = {item.name: group_name for group_name, item, _ in self.items()}
        unknown = sorted(set(values) - set(groups))
        if unknown:
            raise ValueError(
                f"Unknown setting {', '.join(unknown)}. Known: {', '.join(sorted(groups))}."
            )
        changed: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            changed.setdefault(groups[name], {})[name] = value
        return replace(
            self, **{name: replace(getattr(self, name), **part) for name, part in changed.items()}
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read settings; unknown names, wrong types and values out of range raise ValueError."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"These settings are not valid JSON: {error}") from None
        return settings_from_dict(data).check()


def settings_from_dict(data: Any) -> Settings:
    """Settings from the dictionary that `asdict` gives; missing names keep their defaults."""
    group_types = types_of(Settings)
    if not isinstance(data, dict):
        raise ValueError(
            f"Settings must be a JSON object with the groups {', '.join(group_types)}; got"
            f" {type(data).__name__}."
        )
    unknown = sorted(set(data) - set(group_types))
    if unknown:
        raise ValueError(
            f"Unknown group of settings {', '.join(unknown)}. Known: {', '.join(group_types)}."
        )
    settings = Settings()
    for group_name, group_type in group_types.items():
        values = data.get(group_name, {})
        if not isinstance(values, dict):
            raise ValueError(
                f"Settings group {group_name} must be a JSON object; got {type(values).__name__}."
            )
        hints = types_of(group_type)
        unknown = sorted(set(values) - set(hints))
        if unknown:
            raise ValueError(
                f"Unknown setting {', '.join(unknown)} in {group_name}. Known: {', '.join(hints)}."
            )
        typed = {
            name: coerce(f"{group_name}.{name}", value, hints[name])
            for name, value in values.items()
        }
        settings = replace(settings, **{group_name: group_type(**typed)})
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
    if model.execution == "topk" and model.fusion == "uniform":
        raise ValueError(
            "fusion uniform with execution topk would compute the same segments for every token."
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
