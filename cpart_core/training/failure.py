"""How training fails for a reason that a person can do something about. No torch: what explains a
failure must not need to import it."""

from __future__ import annotations


class NonFiniteLoss(RuntimeError):
    """The loss or its gradient is no longer a number. The model still holds the weights of the last
    good step."""

    def __init__(self, step: int, what: str) -> None:
        self.step = step
        super().__init__(
            f"The {what} became infinite or not a number at step {step}, so training ended before"
            " it could spoil the weights. A lower learning_rate, more warmup_steps or a smaller"
            " gradient_clip usually helps."
        )
