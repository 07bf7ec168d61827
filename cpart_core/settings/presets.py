"""Ready-made settings, chosen by name on the command line and on the Train page. Standard library
only."""

from __future__ import annotations

from dataclasses import dataclass

from cpart_core.settings.run import Settings


@dataclass(frozen=True)
class Preset:
    """A named choice of settings. `help` is said on the page and in `--help`."""

    name: str
    title: str
    help: str
    settings: Settings


QUICK = Settings().with_values(
    {
        "num_layers": 3,
        "width": 96,
        "num_heads": 4,
        "num_kv_heads": 4,
        "num_neurons": 256,
        "num_segments": 8,
        "shared_neurons": 64,
        "context_length": 96,
        "kilobytes_per_context": 150,
        "vocabulary_size": 512,
        "steps": 400,
        "batch_size": 12,
        "learning_rate": 3e-3,
        "warmup_steps": 20,
        "first_step": 50,
        "every": 25,
        "freeze_step": 150,
        "fusion_step": 100,
        "signature_every": 5,
        "evaluate_every": 25,
        "evaluation_rows": 3,
        "snapshot_every": 25,
        "checkpoint_every": 100,
    }
)

FIVE = Settings().with_values({"steps": 900, "checkpoint_every": 150})

SAMPLE = Settings().with_values(
    {
        "steps": 1200,
        "evaluation_rows": 8,
        "snapshot_every": 100,
        "checkpoint_every": 300,
        "keep_checkpoints": 1,
    }
)

PRESETS: tuple[Preset, ...] = (
    Preset("quick", "Quick look", "first segments within a minute on a laptop CPU", QUICK),
    Preset(
        "five", "Five minutes", "a model that has learned something, in about five minutes", FIVE
    ),
    Preset("sample", "The sample", "what sample_checkpoints/ holds", SAMPLE),
    Preset("own", "Your own", "the defaults, for you to change", Settings()),
)


def preset(name: str) -> Settings:
    """Settings of the preset `name`; ValueError names the known ones."""
    for entry in PRESETS:
        if entry.name == name:
            return entry.settings
    raise ValueError(
        f"There is no preset {name!r}; allowed: {', '.join(entry.name for entry in PRESETS)}."
    )
