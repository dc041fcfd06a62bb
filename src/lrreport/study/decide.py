"""The tables [decide] and [published] of a study file: how a study decides, and what an earlier report said."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

from lrreport.study.frozen import FrozenModel

Number = Annotated[float, Field(allow_inf_nan=False)]
BEST_OF = re.compile(r"best of (\w+)")


class Decide(FrozenModel):
    """The metric that levels are compared on, and how to choose among levels that are practically equal.

    `at` says which value of a run counts: "last", which is the last point that all runs have, "end" for each run's own
    last value where length is part of a level, "best of METRIC", or a point on the axis. `margin` is the largest
    difference that counts as small, in the metric's own scale; None takes the metric's. `prefer` chooses among levels
    that are practically as good: the highest mean ("mean"), the lowest or highest value of the first factor, or the
    earliest to get there ("fastest"). With "none" the study only reproduces: nothing is chosen.
    """

    metric: str = Field(default="val_accuracy", description='give the name of a metric, such as "val_accuracy"')
    at: Literal["last", "end"] | str | Annotated[float, Strict()] = Field(
        default="last", description='give "last", "end", "best of val_loss", or a point such as 5'
    )
    margin: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="give a difference on the metric's own scale, such as 0.005 for 0.5 points"
    )
    prefer: Literal["mean", "lowest", "highest", "fastest", "none"] = Field(
        default="mean", description='give "mean", "lowest", "highest", "fastest" or "none"'
    )

    @field_validator("at")
    @classmethod
    def _is_a_point(cls, at: str | float) -> str | float:
        if isinstance(at, str) and at not in ("last", "end") and not BEST_OF.fullmatch(at):
            raise ValueError("no such point")
        return at

    @property
    def best_of(self) -> str | None:
        """The metric whose best point counts, or None where that is the last or a fixed point."""
        match = BEST_OF.fullmatch(self.at) if isinstance(self.at, str) else None
        return match.group(1) if match else None


class PublishedResult(FrozenModel):
    """The numbers that an earlier report gave for a level: the values of its factors, and metrics by name.

    `digits` are the decimals printed for each metric, in the metric's own scale, where the file gives them as text.
    """

    level: dict[str, Any]
    values: dict[str, Number]
    digits: dict[str, int] = {}


class PublishedDifference(FrozenModel):
    """A difference between two levels that an earlier report gave, level minus than, with its 95 % interval.

    All three numbers are in the metric's own scale; `digits` are the decimals printed.
    """

    level: dict[str, Any] = Field(description="give the values of a level's factors")
    than: dict[str, Any] = Field(description="give the values of a level's factors")
    metric: str
    difference: Number
    low: Number
    high: Number
    digits: int | None = None

    @model_validator(mode="after")
    def _lies_in_its_interval(self) -> Self:
        if not self.low <= self.difference <= self.high:
            raise ValueError("difference: it must lie between low and high")
        return self


class PublishedClaim(FrozenModel):
    """An assertion of an earlier report, in words and as a claim of lrreport with its arguments."""

    says: str = Field(description="give the report's own words")
    claim: str = Field(description='give the name of a claim, such as "best"')
    arguments: dict[str, Any] = {}
    remark: str = ""


class Published(FrozenModel):
    """An earlier report: its title, its numbers, its differences and its claims."""

    title: str = Field(description="give the report's title")
    result: tuple[PublishedResult, ...] = ()
    difference: tuple[PublishedDifference, ...] = ()
    claim: tuple[PublishedClaim, ...] = ()


class Look(FrozenModel):
    """A look at a study's results: the seeds of each level, the error level spent, and the levels dropped."""

    number: int
    n_seeds: dict[int, int]  # by level
    alpha: float
    dropped: tuple[int, ...] = ()
