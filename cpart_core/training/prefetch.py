"""The next batch is made while the step of this one runs: data are ready before they are asked for.
The batches are the same."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from cpart_core.corpus.batches import Batch, TrainingBatches


class Prefetcher:
    """One batch ahead. A batch is a pure function of seed and step, so one that was made for
    nothing costs its time and no more."""

    def __init__(self, batches: TrainingBatches) -> None:
        self.batches = batches
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self.made: tuple[int, Future[Batch]] | None = None

    def batch(self, step: int, more: bool) -> Batch:
        """The batch of a step; with `more` the one after it is begun."""
        made, self.made = self.made, None
        if made is None or made[0] != step:
            made = step, self.thread.submit(self.batches.batch, step)
        batch = made[1].result()
        if more:
            self.made = step + 1, self.thread.submit(self.batches.batch, step + 1)
        return batch
