"""All settings of a run, as frozen dataclasses: the one place for names, ranges, help and units.

The command line, `settings.json` and the form on the Train page are all made from these fields, so they cannot disagree.
Standard library only: pages read this file before torch is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any

from cpart_core.fields import LEARNED, NAMED, RECLUSTERED, WEIGHED, check_field, coerce, setting, types_of


@dataclass(frozen=True)
class CorpusSettings:
    """Where the text comes from, how it is split and how it is cut into tokens."""

    source: str = setting(
        "builtin",
        "Where the text comes from: text of every Python installation and a generator, one file, a folder, or a Hugging Face dataset",
        choices=("builtin", "file", "folder", "dataset"),
        advanced=False,
    )
    path: str = setting(
        "",
        "The file, the folder (one subfolder a context), or the dataset's name or local path; empty for builtin",
        advanced=False,
        when=NAMED,
    )
    contexts: tuple[str, ...] = setting((), "Names of the contexts to use; empty = all", advanced=False)
    text_column: str = setting("text", "Column of a CSV, JSONL or dataset that holds the text", when=NAMED)
    context_column: str = setting("context", "Column that holds the context; without it contexts are discovered", when=NAMED)
    kilobytes_per_context: int = setting(400, "Most text taken from one context", low=1, high=1_000_000, unit="kB", advanced=False)
    validation_share: float = setting(0.1, "Share of the documents of each context kept for validation", low=0.01, high=0.5)
    vocabulary_size: int = setting(1024, "Size of the byte-level BPE vocabulary", low=260, high=65_535, unit="tokens", advanced=False)
    discovered_contexts: int = setting(6, "Contexts to discover from gradients when the text has no labels", low=2, high=64)


@dataclass(frozen=True)
class ModelSettings:
    """The decoder (Llama's layout) and its partitioned feed-forward layers."""

    num_layers: int = setting(4, "Decoder layers", low=1, high=64, unit="layers", advanced=False)
    width: int = setting(128, "Width of the residual stream", low=16, high=8192, unit="numbers", advanced=False)
    num_heads: int = setting(4, "Attention heads", low=1, high=128, unit="heads")
    num_kv_heads: int = setting(4, "Key and value heads; fewer than heads = grouped-query attention", low=1, high=128, unit="heads")
    num_neurons: int = setting(
        512, "Neurons of each feed-forward layer, shared ones included", low=8, high=65_536, unit="neurons", advanced=False
    )
    context_length: int = setting(128, "Longest input", low=8, high=8192, unit="tokens")
    num_segments: int = setting(8, "Segments of each layer, not counting the shared one", low=1, high=256, unit="segments", advanced=False)
    shared_neurons: int = setting(
        128, "Neurons of the shared segment, whose weight is always 1; 0 = no shared segment", low=0, high=32_768, unit="neurons"
    )
    execution: str = setting(
        "topk",
        "What is computed: every neuron at weight 1 (dense), all segments weighted (soft), or only the chosen segments (topk)",
        choices=("dense", "soft", "topk"),
        advanced=False,
    )
    top_k: int = setting(
        2,
        "Segments computed for each token when the execution is topk",
        low=1,
        high=256,
        unit="segments",
        advanced=False,
        when=({"execution": ("topk",)},),
    )
    fusion: str = setting(
        "attention",
        "How fusion weights are made: the same for all, attention over learned keys, a frozen random router, or the true context "
        "(oracle: a control that reads the labels and cannot generate)",
        choices=("uniform", "attention", "random", "oracle"),
        advanced=False,
        when=(WEIGHED,),
    )
    pooling: str = setting(
        "document",
        "What fusion looks at: the token's hidden state, or its causal mean over the document so far",
        choices=("token", "document"),
        advanced=False,
        when=({**WEIGHED, "fusion": ("attention", "random")},),
    )
    fusion_temperature: float = setting(
        1.0, "Temperature tau of the fusion softmax", low=0.01, high=100.0, when=({**WEIGHED, "fusion": ("attention", "random")},)
    )
    fusion_width: int = setting(
        32,
        "Width of the fusion's queries and keys",
        low=1,
        high=1024,
        unit="numbers",
        when=({**WEIGHED, "fusion": ("attention", "random")},),
    )
    weight_scale: int = setting(
        0,
        "A segment counts this times its fusion weight; 0 = the number of segments. A carved model keeps the number of the one it was cut from",
        low=0,
        high=256,
        unit="segments",
        when=(WEIGHED,),
    )
    rope_base: float = setting(10_000.0, "Base of the rotary position frequencies", low=10.0, high=1e8)


@dataclass(frozen=True)
class PartitionSettings:
    """How neurons come to lie in segments, and when."""

    method: str = setting(
        "gradient",
        "Partition method: gradient signatures by context, the same by document without labels, activations, weights, chance, or position",
        choices=("gradient", "cocluster", "coactivation", "weights", "random", "contiguous"),
        advanced=False,
    )
    first_step: int = setting(100, "Step of the first partition; before it the model is dense", low=1, high=10_000_000, unit="steps")
    every: int = setting(
        50,
        "Steps between repartitions; 0 = never after the first",
        low=0,
        high=10_000_000,
        unit="steps",
        when=({**RECLUSTERED, "freeze_step": "> first_step"},),
    )
    freeze_step: int = setting(
        200, "Step after which segments no longer change", low=0, high=10_000_000, unit="steps", when=({**RECLUSTERED, "every": "> 0"},)
    )
    fusion_step: int = setting(
        200,
        "Step from which fusion weights are applied and top-k begins; before it every neuron counts fully",
        low=1,
        high=10_000_000,
        unit="steps",
        when=(WEIGHED,),
    )
    signature_every: int = setting(8, "Steps between two measurements of the signatures", low=1, high=10_000, unit="steps")
    signature_decay: float = setting(0.9, "Share of the old signature kept at each measurement; 0 = only the newest", low=0.0, high=0.999)
    affinity_weight: float = setting(
        0.1,
        "Pull of the fusion weights towards the segments' share of the context's signature; 0 = off",
        low=0.0,
        high=10.0,
        when=(LEARNED,),
    )
    affinity_sharpness: float = setting(
        2.0,
        "Power to which the share is raised before it is a target; 1 = as it is",
        low=0.1,
        high=32.0,
        when=({**LEARNED, "affinity_weight": "> 0"}, {**WEIGHED, "fusion": ("oracle",)}),
    )
    balance: str = setting(
        "off",
        "Load balancing: off, over each batch, or over a running mean of batches (global)",
        choices=("off", "batch", "global"),
        when=(LEARNED,),
    )
    balance_weight: float = setting(
        0.01,
        "Weight of the load-balancing loss; used where balance is not off",
        low=0.0,
        high=10.0,
        when=({**LEARNED, "balance": ("batch", "global")},),
    )


@dataclass(frozen=True)
class TrainingSettings:
    """Optimisation, device, and how often things are stored."""

    steps: int = setting(600, "Training steps", low=1, high=10_000_000, unit="steps", advanced=False)
    batch_size: int = setting(16, "Rows of context_length tokens in a step", low=1, high=4096, unit="rows", advanced=False)
    learning_rate: float = setting(2e-3, "Peak learning rate of AdamW", low=1e-6, high=1.0, advanced=False)
    final_learning_rate: float = setting(0.1, "Last learning rate as a share of the peak (cosine)", low=0.0, high=1.0)
    warmup_steps: int = setting(40, "Steps of linear warm-up; 0 = none", low=0, high=1_000_000, unit="steps")
    weight_decay: float = setting(0.1, "Weight decay of matrices; 0 = off", low=0.0, high=10.0)
    beta1: float = setting(0.9, "AdamW's first decay", low=0.0, high=0.9999)
    beta2: float = setting(0.95, "AdamW's second decay", low=0.0, high=0.99999)
    gradient_clip: float = setting(1.0, "Largest gradient norm; 0 = no clipping", low=0.0, high=1000.0)
    precision: str = setting(
        "auto", "Number format of the products: auto takes bf16 where the hardware multiplies it faster", choices=("auto", "fp32", "bf16")
    )
    device: str = setting("auto", "auto takes the GPU where there is one", choices=("auto", "cpu", "cuda"))
    threads: int = setting(0, "CPU threads; 0 = all cores but one, so that the page stays alive", low=0, high=1024, unit="threads")
    compile: str = setting(
        "off",
        "layers: torch.compile each layer, which takes up to a minute once (the log says how long; the next run finds most of it cached), "
        "for other kernels than our passes, which on a CPU are as quick; needs a C++ compiler on a CPU, and a single process",
        choices=("off", "layers"),
    )
    parallel: str = setting(
        "ddp",
        "Where weights lie when torchrun starts several processes: a copy in each (ddp), or a part in each, for models that do not fit one "
        "GPU (fsdp); means nothing with one process",
        choices=("ddp", "fsdp"),
    )
    seed: int = setting(0, "Seed of weights, batches and clustering", low=0, high=2**31 - 1, advanced=False)
    evaluate_every: int = setting(50, "Steps between two validations", low=1, high=1_000_000, unit="steps")
    evaluation_rows: int = setting(
        0,
        "Validation rows of each context in a validation during training; 0 = up to 8, as many as take 2 % of the training time",
        low=0,
        high=100_000,
        unit="rows",
    )
    snapshot_every: int = setting(50, "Steps between two snapshots for the pages", low=1, high=1_000_000, unit="steps")
    checkpoint_every: int = setting(200, "Steps between two checkpoints", low=1, high=1_000_000, unit="steps")
    keep_checkpoints: int = setting(3, "Newest checkpoints kept", low=1, high=1000)
    mirror: str = setting("none", "Also write TensorBoard event files (extra: tensorboard)", choices=("none", "tensorboard"))


@dataclass(frozen=True)
class Settings:
    """Everything that determines a run, in four groups. Field names are unique over the groups, so each is one CLI flag."""

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
        """A copy with settings replaced by flat name ({"num_layers": 2}); unknown names are refused."""
        groups = {item.name: group_name for group_name, item, _ in self.items()}
        unknown = sorted(set(values) - set(groups))
        if unknown:
            raise ValueError(f"Unknown setting {', '.join(unknown)}. Known: {', '.join(sorted(groups))}.")
        changed: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            changed.setdefault(groups[name], {})[name] = value
        return replace(self, **{name: replace(getattr(self, name), **part) for name, part in changed.items()})

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
        raise ValueError(f"Settings must be a JSON object with the groups {', '.join(group_types)}; got {type(data).__name__}.")
    unknown = sorted(set(data) - set(group_types))
    if unknown:
        raise ValueError(f"Unknown group of settings {', '.join(unknown)}. Known: {', '.join(group_types)}.")
    settings = Settings()
    for group_name, group_type in group_types.items():
        values = data.get(group_name, {})
        if not isinstance(values, dict):
            raise ValueError(f"Settings group {group_name} must be a JSON object; got {type(values).__name__}.")
        hints = types_of(group_type)
        unknown = sorted(set(values) - set(hints))
        if unknown:
            raise ValueError(f"Unknown setting {', '.join(unknown)} in {group_name}. Known: {', '.join(hints)}.")
        typed = {name: coerce(f"{group_name}.{name}", value, hints[name]) for name, value in values.items()}
        settings = replace(settings, **{group_name: group_type(**typed)})
    return settings


def check_together(settings: Settings) -> None:
    """Settings that must fit each other."""
    model = settings.model
    if model.width % model.num_heads:
        raise ValueError(f"width {model.width} must be a multiple of num_heads {model.num_heads}.")
    if (model.width // model.num_heads) % 2:
        raise ValueError(f"width / num_heads is {model.width // model.num_heads}; rotary positions need an even number.")
    if model.num_heads % model.num_kv_heads:
        raise ValueError(f"num_heads {model.num_heads} must be a multiple of num_kv_heads {model.num_kv_heads}.")
    divided = model.num_neurons - model.shared_neurons
    if divided < model.num_segments or divided % model.num_segments:
        raise ValueError(
            f"num_neurons - shared_neurons is {divided}; it must be a positive multiple of num_segments {model.num_segments}, "
            f"so that all segments have the same size."
        )
    if model.execution == "topk" and model.top_k > model.num_segments:
        raise ValueError(f"top_k {model.top_k} must not be more than num_segments {model.num_segments}.")
    if model.execution == "topk" and model.fusion == "uniform":
        raise ValueError(
            "fusion uniform with execution topk would compute the same segments for every token. Choose soft, or attention fusion."
        )
    if model.execution != "dense" and settings.partition.fusion_step < settings.partition.first_step:
        raise ValueError(
            f"fusion_step {settings.partition.fusion_step} must not come before first_step {settings.partition.first_step}: "
            f"fusion weights need segments."
        )
    if settings.corpus.source != "builtin" and not settings.corpus.path:
        raise ValueError(f"corpus.source is {settings.corpus.source}; give its path.")
