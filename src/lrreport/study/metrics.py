"""Metrics as data: quantity, split, direction, and how values are written.

To add a metric, add a `Quantity` to `QUANTITIES` and the function that computes it to `training/scores.py`.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from lrreport.study.formats import format_number, format_percent, format_points
from lrreport.study.frozen import FrozenModel

Split = Literal["train", "validation", "test"]
Number = Annotated[float, Field(allow_inf_nan=False)]
SPLIT_PREFIXES: dict[str, tuple[Split, str]] = {  # prefix of a metric's name -> its split, and its label's form
    "train": ("train", "training {}"),  # the mean over an epoch while the weights change
    "final_train": ("train", "training {} with fixed weights"),
    "val": ("validation", "validation {}"),
    "test": ("test", "test {}"),
}


class Quantity(FrozenModel):
    """A measured quantity, on any split.

    `scale` is "fraction" for values that are written as percent and whose differences are points, else "number".
    `margin` is the largest difference that counts as small, in the metric's own scale; None leaves what needs a margin
    not testable. `digits` are decimals: of the percentage for a fraction.
    """

    label: str = Field(description='give a name such as "accuracy"')
    better: Literal["higher", "lower"] = Field(description='give "higher" or "lower"')
    scale: Literal["fraction", "number"] = Field(default="number", description='give "fraction" or "number"')
    unit: str = Field(default="", description='give the unit of a value, such as "nats"')
    low: Number | None = Field(default=None, description="give the lowest value that is possible")
    high: Number | None = Field(default=None, description="give the highest value that is possible")
    chance: Number | None = Field(default=None, description="give what guessing reaches, such as 0.5")
    margin: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="give the largest difference that counts as small, such as 0.005"
    )
    digits: Annotated[int, Strict(), Field(ge=0, le=12)] = Field(default=4, description="give a number of decimals")


class Metric(Quantity):
    """A quantity measured on a split: "val_accuracy" is the accuracy on the validation examples."""

    name: str
    split: Split
    columns: tuple[str, ...] = ()  # of imported logs that hold the values

    @property
    def sign(self) -> int:
        """1 where higher values are better, −1 where lower values are."""
        return 1 if self.better == "higher" else -1

    @property
    def difference_unit(self) -> str:
        """The unit of a difference: "points" for fractions, else the metric's own."""
        return "points" if self.scale == "fraction" else self.unit

    def format(self, value: float, unit: bool = True) -> str:
        """Return a value as a reader sees it: "87.34 %", "0.3021 nats"; without its unit if `unit` is false."""
        if self.scale == "fraction":
            text = format_percent(value, self.digits)
            return text if unit else text.removesuffix(" %")
        text = format_number(value, self.digits)
        return f"{text} {self.unit}" if unit and self.unit else text

    def format_difference(self, value: float, unit: bool = True) -> str:
        """Return a difference of two values: "0.62 points", "0.0040 nats"; without its unit if `unit` is false."""
        text = format_points(value, self.digits) if self.scale == "fraction" else format_number(value, self.digits)
        return f"{text} {self.difference_unit}" if unit and self.difference_unit else text

    def clip(self, value: float) -> float:
        """Return a limit of an interval inside the values that are possible."""
        low = value if self.low is None else max(value, self.low)
        return low if self.high is None else min(low, self.high)

    def clip_difference(self, value: float) -> float:
        """Return a limit of an interval inside the differences that are possible."""
        if self.low is None or self.high is None:
            return value
        return min(max(value, self.low - self.high), self.high - self.low)


# `chance` of the classification metrics depends on the data: the producer states it in the record.
QUANTITIES: dict[str, Quantity] = {
    "loss": Quantity(label="loss", better="lower", unit="nats", margin=0.01),
    "accuracy": Quantity(label="accuracy", better="higher", scale="fraction", low=0, high=1, margin=0.005, digits=2),
    "balanced_accuracy": Quantity(
        label="balanced accuracy", better="higher", scale="fraction", low=0, high=1, margin=0.005, digits=2
    ),
    "f1": Quantity(label="macro F1", better="higher", scale="fraction", low=0, high=1, margin=0.005, digits=2),
    "rmse": Quantity(label="RMSE", better="lower", low=0),
    "mae": Quantity(label="MAE", better="lower", low=0),
    "r2": Quantity(label="R²", better="higher", high=1, chance=0.0, digits=4),
}


def split_name(name: str) -> tuple[str, str] | None:
    """Return prefix and quantity of a metric's name: "val_accuracy" → ("val", "accuracy"); None for another form."""
    fitting = [prefix for prefix in SPLIT_PREFIXES if name.startswith(f"{prefix}_")]
    if not fitting:
        return None
    prefix = max(fitting, key=len)
    quantity = name.removeprefix(f"{prefix}_")
    return (prefix, quantity) if quantity else None


def find_metric(name: str, quantities: Mapping[str, Quantity] = QUANTITIES) -> Metric | None:
    """Return the metric of this name, such as "test_loss", or None if no such quantity is known."""
    parts = split_name(name)
    if parts is None or parts[1] not in quantities:
        return None
    quantity = quantities[parts[1]]
    split, label = SPLIT_PREFIXES[parts[0]]
    return Metric(name=name, split=split, **quantity.model_dump() | {"label": label.format(quantity.label)})


def _describe(field: str) -> str | None:
    return Quantity.model_fields[field].description


class MetricDeclaration(FrozenModel):
    """The table [metrics.NAME] of a study: a new metric, or changes to a built-in metric.

    NAME is a quantity on every split ("accuracy", "perplexity") or a metric on a single split ("val_accuracy").
    """

    label: str | None = Field(default=None, description=_describe("label"))
    better: Literal["higher", "lower"] | None = Field(default=None, description=_describe("better"))
    split: Split | None = Field(default=None, description='give "train", "validation" or "test"')
    scale: Literal["fraction", "number"] | None = Field(default=None, description=_describe("scale"))
    unit: str | None = Field(default=None, description=_describe("unit"))
    low: Number | None = Field(default=None, description=_describe("low"))
    high: Number | None = Field(default=None, description=_describe("high"))
    chance: Number | None = Field(default=None, description=_describe("chance"))
    margin: Annotated[Number, Field(gt=0)] | None = Field(default=None, description=_describe("margin"))
    digits: Annotated[int, Strict(), Field(ge=0, le=12)] | None = Field(default=None, description=_describe("digits"))
    columns: tuple[str, ...] | str = Field(
        default=(), alias="from", description="give the name, or a list of names, of the column in the logs"
    )

    @model_validator(mode="after")
    def _has_sane_bounds(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low: must be below high")
        return self
