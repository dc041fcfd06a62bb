"""The tables [seeds], [producer] and [figures] of a study."""

from collections import Counter
from collections.abc import Sequence, Set
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, model_validator

from lrreport.study.frozen import FrozenModel
from lrreport.study.settings import Count, Seed

S = TypeVar("S")
LONGEST_COMMAND = 30_000  # characters; no system takes many more, and splitting takes the square of their number


def list_planned(by_level: Sequence[Set[S]]) -> list[S]:
    """Return the seeds that every level should have: all seeds present, in order of appearance.

    Where a level shares no seed with any other, each has its own and the list is empty.
    """
    counts = Counter(seed for seeds in by_level for seed in seeds)
    alone = len(by_level) > 1 and any(seeds and all(counts[seed] == 1 for seed in seeds) for seeds in by_level)
    return [] if alone else list(counts)


class Seeds(FrozenModel):
    """The seeds of every level: a list, or the `first` seeds and up to `most` until the study is decided."""

    listed: tuple[Seed, ...] | None = None
    first: Count = Field(default=5, description="give a whole number from 1 on, such as 5")
    most: Count | None = Field(default=None, description="give a whole number from first on, such as 20")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.most is not None and self.most < self.first:
            raise ValueError(f"most: it is below the {self.first} that every level begins with")
        if self.listed is not None and len(set(self.listed)) < len(self.listed):
            repeated = next(seed for index, seed in enumerate(self.listed) if seed in self.listed[:index])
            raise ValueError(f"listed: {repeated} appears twice")
        return self

    @property
    def initial(self) -> tuple[int, ...]:
        """The seeds that every level starts with."""
        return tuple(sorted(self.listed)) if self.listed is not None else tuple(range(self.first))

    @property
    def n_most(self) -> int:
        """The largest number of seeds that a level may get."""
        return max(len(self.initial), self.most or 0)

    def extend(self, n: int) -> tuple[int, ...]:
        """Return the first `n` seeds: the initial seeds, then the smallest numbers not among them."""
        known = set(self.initial)
        more = (seed for seed in range(n + len(known)) if seed not in known)
        return (*self.initial, *(next(more) for _ in range(n - len(self.initial))))[:n]


class Producer(FrozenModel):
    """The user's notebook or command that makes the runs instead of the built-in training notebook.

    `log` names a source and a path where the command writes its logs; without it lines are read from the file
    that LRREPORT_LOG names.
    """

    notebook: str | None = Field(default=None, description='give the path of a notebook, such as "mine.ipynb"')
    command: Annotated[str, Field(max_length=LONGEST_COMMAND)] | None = Field(
        default=None, description='give a command, such as "python train.py --seed {seed}"'
    )
    log: dict[str, Any] | None = Field(
        default=None, description='give a table such as { from = "lightning", path = "logs/{seed}" }'
    )
    paired: bool = Field(default=False, description="give true if equal seeds give equal starts and data orders")

    @model_validator(mode="after")
    def _is_notebook_or_command(self) -> Self:
        if (self.notebook is None) == (self.command is None):
            raise ValueError("notebook: give either notebook or command")
        return self


class Figures(FrozenModel):
    """How figures for a paper are drawn: width in inches, font family and size in points."""

    width: Annotated[float, Field(gt=1, le=30)] = Field(default=6.3, description="give the width in inches")
    font: str = Field(default="sans-serif", description='give a font family, such as "serif"')
    size: Annotated[float, Field(ge=4, le=30)] = Field(default=9.0, description="give the font size in points")
