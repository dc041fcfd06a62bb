"""Factors and levels: the settings that a study varies, and the combinations of values that it tries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrreport.study.formats import format_setting
from lrreport.study.nested import resolve_name

LABELS = {  # of settings whose path is not descriptive
    "optimizer.betas": "betas", "optimizer.eps": "epsilon", "schedule.gamma": "decay factor",
    "schedule.epochs": "epochs of the schedule", "model.hidden_sizes": "hidden layers",
    "optimizer.nesterov": "Nesterov momentum", "early_stopping.metric": "early stopping by",
    "early_stopping.patience": "patience of early stopping, in epochs",
}  # fmt: skip
OPTION_LABELS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop", "mlp": "MLP"}
LONGEST_NUMBER = 6  # significant digits that are written out
NOUN_FREE = ("learning_rate",)  # factors whose values need no noun before them: "0.001", not "learning rate 0.001"
LABEL = "label"  # the key of a table of settings that names it in reports


def label_setting(name: str) -> str:
    """Return the name of a setting in a sentence: "optimizer.weight_decay" → "weight decay"."""
    return LABELS.get(name, name.rpartition(".")[2].replace("_", " "))


def freeze(value: Any) -> Any:
    """Return plain data as a value that can be a key: lists as tuples, tables as tuples of pairs."""
    if isinstance(value, dict):
        return FrozenTable((key, freeze(item)) for key, item in value.items())
    return tuple(map(freeze, value)) if isinstance(value, list | tuple) else value


def thaw(value: Any) -> Any:
    """Return the plain data that `freeze` converted."""
    if isinstance(value, FrozenTable):
        return {key: thaw(item) for key, item in value}
    return list(map(thaw, value)) if isinstance(value, tuple) else value


class FrozenTable(tuple[tuple[str, Any], ...]):
    """A table of settings that can be a key; as text its label, or "SGD with momentum 0.9"."""

    def __str__(self) -> str:
        return str(dict(self).get(LABEL) or self.spell_out())

    def spell_out(self) -> str:
        """Return its settings in words, without the label."""
        settings = without_label(dict(self))
        name = str(settings.pop("name", ""))
        options = [f"{label_setting(key)} {format_setting(value)}" for key, value in settings.items()]
        return " with ".join(filter(None, [OPTION_LABELS.get(name, name), " and ".join(options)]))


def without_label(value: Any) -> Any:
    """Return a value of a factor without its label, which decides no run."""
    return {key: inner for key, inner in value.items() if key != LABEL} if isinstance(value, dict) else value


def _list_digits(value: float) -> str:
    """Return the significant digits of a number as Python writes it."""
    return repr(value).partition("e")[0].replace(".", "").replace("-", "").strip("0")


@dataclass(frozen=True)
class Factor:
    """A setting that varies: `name` is its path in the settings ("optimizer.weight_decay"), `values` are in order.

    The values of a numeric factor are numbers and have an axis; those of other factors are texts.
    """

    name: str
    label: str
    values: tuple[Any, ...]
    numeric: bool

    @property
    def is_log(self) -> bool:
        """Whether its axis is logarithmic: positive values that span more than a factor of five."""
        return self.numeric and min(self.values) > 0 and max(self.values) > 5 * min(self.values)

    def format(self, value: Any) -> str:
        """Return a value as a reader sees it: "0.001", "SGD with momentum 0.9"."""
        if isinstance(value, float) and len(_list_digits(value)) > LONGEST_NUMBER:
            return format_setting(float(f"{value:.{self._n_digits - 1}e}"))
        text = str(value) if isinstance(value, FrozenTable) else format_setting(value)
        return OPTION_LABELS.get(text, text)

    @cached_property
    def _n_digits(self) -> int:
        """How many significant digits, at least three, tell the values of a grid such as 0.0021544346900318843 apart."""
        values = [value for value in self.values if isinstance(value, int | float)]
        return next(
            n for n in range(3, 18) if n == 17 or len({f"{value:.{n - 1}e}" for value in values}) == len(values)
        )

    def name_value(self, value: Any) -> str:
        """Return a value with its factor's label unless that is clear: "0.001", "batch size 32", "Adam"."""
        text = self.format(value)
        named = isinstance(value, str | FrozenTable) and not text.replace(".", "", 1).isdecimal()
        return text if self.name in NOUN_FREE or named else f"{self.label} {text}"


@dataclass(frozen=True)
class Level:
    """A combination of the factors' values; `index` is its position in the study, `name` its name in sentences."""

    index: int
    values: dict[str, Any]  # by the factors' names
    name: str


def index_levels(levels: Sequence[Level]) -> dict[frozenset[tuple[str, Any]], Level]:
    """Return the levels by the values of their factors."""
    return {frozenset(level.values.items()): level for level in levels}


def find_level(levels: Mapping[frozenset[tuple[str, Any]], Level], values: Mapping[str, Any]) -> Level | None:
    """Return the indexed level that has just these values, by the paths of their settings or short names; else None."""
    named = frozenset((name, freeze(value)) for name, value in values.items())
    return levels.get(named) or levels.get(frozenset((resolve_name(name), value) for name, value in named))


def name_level(factors: Sequence[Factor], values: dict[str, Any]) -> str:
    """Return the name of a level: "0.001", or with two factors "0.001 with batch size 32"."""
    names = [factor.name_value(values[factor.name]) for factor in factors]
    return " with ".join(names)
