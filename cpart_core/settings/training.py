"""Settings of optimisation, device, and what is stored when. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from cpart_core.settings.fields.setting import setting


@dataclass(frozen=True)
class TrainingSettings:
    """Optimisation, device, and how often things are stored."""

    steps: int = setting(
        600, "Training steps", low=1, high=10_000_000, unit="steps", advanced=False
    )
    batch_size: int = setting(
        16, "Rows of context_length tokens in a step", low=1, high=4096, unit="rows", advanced=False
    )
    learning_rate: float = setting(
        2e-3, "Peak learning rate of AdamW", low=1e-6, high=1.0, advanced=False
    )
    final_learning_rate: float = setting(
        0.1, "Last learning rate as a share of the peak (cosine)", low=0.0, high=1.0
    )
    warmup_steps: int = setting(
        40, "Steps of linear warm-up; 0 = none", low=0, high=1_000_000, unit="steps"
    )
    weight_decay: float = setting(0.1, "Weight decay of matrices; 0 = off", low=0.0, high=10.0)
    beta1: float = setting(0.9, "AdamW's first decay", low=0.0, high=0.9999)
    beta2: float = setting(0.95, "AdamW's second decay", low=0.0, high=0.99999)
    gradient_clip: float = setting(
        1.0, "Largest gradient norm; 0 = no clipping", low=0.0, high=1000.0
    )
    precision: str = setting(
        "auto",
        "Number format of the products: auto takes bf16 where the hardware multiplies it faster",
        choices=("auto", "fp32", "bf16"),
    )
    device: str = setting(
        "auto", "auto takes the GPU where there is one", choices=("auto", "cpu", "cuda")
    )
    threads: int = setting(
        0,
        "CPU threads; 0 = all cores but one, so that the page stays alive",
        low=0,
        high=1024,
        unit="threads",
    )
    compile: str = setting(
        "off",
        "layers: torch.compile each layer, which takes up to a minute once (the log says how long;"
        " the next run finds most of it cached), for other kernels than our kernels, which on a CPU"
        " are as quick; needs a C++ compiler on a CPU, and a single process",
        choices=("off", "layers"),
    )
    parallel: str = setting(
        "ddp",
        "Where weights lie when torchrun starts several processes: a copy in each (ddp), or a part"
        " in each, for models that do not fit one GPU (fsdp); means nothing with one process",
        choices=("ddp", "fsdp"),
    )
    seed: int = setting(
        0, "Seed of weights, batches and clustering", low=0, high=2**31 - 1, advanced=False
    )
    evaluate_every: int = setting(
        50, "Steps between two validations", low=1, high=1_000_000, unit="steps"
    )
    evaluation_rows: int = setting(
        0,
        "Validation rows of each context in a validation during training; 0 = up to 8, as many as"
        " take 2 % of the training time",
        low=0,
        high=100_000,
        unit="rows",
    )
    snapshot_every: int = setting(
        50, "Steps between two snapshots for the pages", low=1, high=1_000_000, unit="steps"
    )
    checkpoint_every: int = setting(
        200, "Steps between two checkpoints", low=1, high=1_000_000, unit="steps"
    )
    keep_checkpoints: int = setting(3, "Newest checkpoints kept", low=1, high=1000)
    mirror: str = setting(
        "none",
        "Also write TensorBoard event files (extra: tensorboard)",
        choices=("none", "tensorboard"),
    )
