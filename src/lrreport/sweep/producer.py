"""Producers make runs; a run is a level and a seed of a study, or a range test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lrreport.record.provenance import Identity
from lrreport.sweep.execute import Limits


class Producer(Protocol):
    """What makes runs: a notebook or a command."""

    @property
    def most_seeds(self) -> int | None:
        """The largest number of seeds per execution; None for any number."""

    @property
    def start_cost(self) -> float:
        """The cost of starting an execution, in units of the cost of a seed."""

    @property
    def dataset(self) -> str | None:
        """The dataset needed where the producer runs, or None."""

    def identify(self, seeds: Sequence[int]) -> list[Identity]:
        """Return the identity of the run of each seed."""

    def collect_files(self) -> Mapping[str, bytes]:
        """Return the user's files needed on another machine, by their paths in a folder."""

    def relocate(self, folder: Path) -> "Producer":
        """Return the same producer with its files in another folder."""

    def make(self, runs: "Sequence[Run]", workspace: Path, limits: Limits) -> Mapping[str, str]:
        """Leave each run in workspace/<key>/, its record written last; return the reasons of failed runs by key.

        Raises FailedError with the cause for all runs not in the workspace. Calls `limits.on_tick` now and then.
        """


@dataclass(frozen=True)
class Run:
    """A run of a study: a level and a seed, or a range test.

    `level` is the index of the level in the study, None for a range test; `label` names the level in messages, such
    as "learning rate 0.001". `n_epochs` is 0 where it is unknown.
    """

    label: str
    identity: Identity
    producer: Producer
    level: int | None = None
    n_epochs: int = 0

    @property
    def name(self) -> str:
        """The name of the run in messages."""
        return self.label if self.identity.seed is None else f"{self.label}, seed {self.identity.seed}"

    @property
    def key(self) -> str:
        """The name of its folder in the store."""
        return self.identity.key
