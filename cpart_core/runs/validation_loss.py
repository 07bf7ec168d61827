"""The validation loss of a run, as every surface says it: of all validation text once that was
read, until then of training's sample, and called so."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cpart_core.records.losses import LossReport
from cpart_core.runs.folder import Run

WHOLE, SAMPLED = "validation loss", "sampled validation loss"


@dataclass(frozen=True)
class ValidationLoss:
    """Nats per token, mean over contexts, of one step."""

    value: float
    low: float
    """95 % interval over documents; NaN without one."""
    high: float
    tokens: int
    documents: int
    """0 where training counted none: its sample knows rows, not documents."""
    step: int
    sampled: bool
    began: str = ""
    """Where a sample began, which is the same sample: '4.975 at step 1'."""

    @property
    def name(self) -> str:
        return SAMPLED if self.sampled else WHOLE

    @property
    def interval(self) -> str:
        """'95 %: 2.581 to 2.640'; nothing where there is none."""
        return f"95 %: {self.low:.3f} to {self.high:.3f}" if math.isfinite(self.low) else ""

    @property
    def n(self) -> str:
        """Of how much text."""
        if self.sampled:
            return f"a sample of {self.tokens:,} tokens"
        return f"all validation text, n = {self.tokens:,} tokens of {self.documents:,} documents"


def of_report(report: LossReport) -> ValidationLoss:
    """What an evaluation of all validation text says."""
    return ValidationLoss(
        report.loss,
        report.low,
        report.high,
        report.num_tokens,
        report.num_documents,
        report.step,
        False,
    )


def validation_loss(run: Run) -> ValidationLoss | None:
    """The newest: of all validation text where the newest checkpoint is of the newest step that was
    looked at, else of training's sample.

    None before the first look. ValueError when the records cannot be read.
    """
    table = run.evaluations(max_points=2)
    checkpoints = run.checkpoint_steps()
    newest = int(table.step[-1]) if len(table.step) else -1
    if checkpoints and checkpoints[-1] >= newest:
        report = run.result("losses", {"run": run.id, "step": checkpoints[-1]}, LossReport)
        if report is not None:
            return of_report(report)
    if newest < 0:
        return None
    tokens = int(table.tokens_by_context[-1].sum())
    began = f"{table.loss[0]:.3f} at step {int(table.step[0]):,}" if len(table.step) > 1 else ""
    return ValidationLoss(float(table.loss[-1]), math.nan, math.nan, tokens, 0, newest, True, began)
