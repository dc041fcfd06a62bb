"""Executors run executions on this machine or elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lrreport.errors import FailedError
from lrreport.sweep.execute import Limits
from lrreport.sweep.producer import Run

Notify = Callable[[str], None]


class LostError(FailedError):
    """The cluster is gone, so no further run can be made."""


class Executor(Protocol):
    """Makes the runs of an execution, on this machine or elsewhere."""

    def count_at_once(self) -> int:
        """Return how many executions to have under way now."""

    def count_slots(self) -> int:
        """Return how many executions can make progress at the same time."""

    def make(self, runs: Sequence[Run], workspace: Path, limits: Limits) -> Mapping[str, str]:
        """Make the runs as a producer does, and note finished epochs in the workspace."""


@dataclass(frozen=True)
class LocalExecutor:
    """Makes runs on this machine, each execution in its own process."""

    n_jobs: int
    n_slots: int

    def count_at_once(self) -> int:
        """Return how many executions to have under way."""
        return self.n_jobs

    def count_slots(self) -> int:
        """Return the number of cores they share."""
        return self.n_slots

    def make(self, runs: Sequence[Run], workspace: Path, limits: Limits) -> Mapping[str, str]:
        """Make the runs with their producer."""
        return runs[0].producer.make(runs, workspace, limits)
