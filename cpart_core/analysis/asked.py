"""What an analysis is given when it is asked for by name: the run, the checked values of the
request, and what loads its model and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cpart_core.analysis.progress import Progress
from cpart_core.analysis.source import Source, Sources
from cpart_core.runs.folder import Run

if TYPE_CHECKING:
    from cpart_core.corpus.document import Corpus


@dataclass(frozen=True)
class Asked:
    """One request on its way to an analysis's `answer`."""

    run: Run
    values: dict[str, Any]
    """Exactly the keys of the analysis's entry in service/registry.py, of the right types."""
    sources: Sources
    progress: Progress

    def source(self) -> Source:
        """The model of the run at the request's step. ValueError for a missing or damaged
        checkpoint."""
        self.progress(0.0, "Loading the model")
        return self.sources.source(self.run, self.values["step"])

    def corpus(self) -> Corpus:
        """The run's text. ValueError before there is any."""
        return self.sources.corpus(self.run)

    @property
    def run_seed(self) -> int:
        """Seed of the run itself, which draws the validation rows that training reads."""
        return self.run.settings.training.seed
