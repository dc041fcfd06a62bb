"""A study: what varies, what is fixed, how it decides, and what an earlier report said."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from lrreport.errors import LrreportError
from lrreport.study.check import check_study
from lrreport.study.decide import Decide, Published
from lrreport.study.factors import LABEL, Factor, Level, freeze, label_setting, name_level, thaw, without_label
from lrreport.study.frozen import FrozenModel
from lrreport.study.metrics import (
    QUANTITIES,
    Metric,
    MetricDeclaration,
    Quantity,
    find_metric,
    split_name,
)
from lrreport.study.nested import (
    choose_nothing,
    flatten_tables,
    holds_out_none,
    is_number,
    is_plain,
    list_rates,
    set_path,
    without_rates,
)
from lrreport.study.parsing import parse_settings
from lrreport.study.printed import read_difference, read_result
from lrreport.study.settings import (
    CrossEntropy,
    RangeSetup,
    RangeTest,
    Training,
)
from lrreport.study.tables import Figures, Producer, Seeds

RESERVED_NAMES = ("runs", "reference")  # folders of outputs/ that no study may use
LONGEST_TITLE = 300  # characters


def _check_folder_name(name: str) -> str:
    if name in RESERVED_NAMES:
        raise ValueError(f"{name!r} is reserved by lrreport")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,80}", name):
        raise ValueError("must start with a letter or digit and use only letters, digits, . _ + - (at most 81)")
    return name


def _check_title(title: str) -> str:
    if not title.isprintable():
        raise ValueError("it has a line break or another character that cannot be printed")
    return title


@dataclass(frozen=True)
class PlannedRun:
    """A run of a study: its level, its seed, and its other settings as plain data."""

    level: Level
    seed: int
    settings: dict[str, Any]


class Study(FrozenModel):
    """A question and everything needed to answer it."""

    name: Annotated[str, AfterValidator(_check_folder_name)] = Field(
        description="use letters, digits, '.', '_', '+' and '-' (not 'runs' or 'reference')"
    )
    title: Annotated[str, Field(max_length=LONGEST_TITLE), AfterValidator(_check_title)] = Field(
        default="Impact of the learning rate", description="give a line of text"
    )
    author: Annotated[str, Field(max_length=LONGEST_TITLE), AfterValidator(_check_title)] | None = Field(
        default=None, description="give a name, shown in the report"
    )
    note: str | None = Field(default=None, description="give a text, shown in the report as a note")
    vary: dict[str, tuple[Any, ...]] = Field(
        min_length=1, description="add a table [vary] with learning_rate = [0.001, 0.0001]"
    )
    seeds: Seeds = Field(default=Seeds(), description="give a list such as [0, 1, 2], or first = 5 and most = 20")
    fixed: dict[str, Any] = Field(default={}, description="give a table of settings")
    decide: Decide = Decide()
    metrics: dict[str, MetricDeclaration] = {}
    producer: Producer | None = None
    import_: dict[str, Any] | None = Field(default=None, alias="import")
    range_test: RangeTest | None = None
    published: Published | None = None
    figures: Figures = Figures()
    file: Path | None = Field(default=None, exclude=True)
    notes: tuple[str, ...] = Field(default=(), exclude=True)

    @field_validator("seeds", mode="before")
    @classmethod
    def _read_list(cls, seeds: Any) -> Any:
        if isinstance(seeds, list | tuple):
            if not seeds:
                raise ValueError("it is empty")
            return {"listed": tuple(seeds)}
        if not isinstance(seeds, Mapping | Seeds):
            raise ValueError("it should be a list or a table")
        return seeds

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, settings: Any) -> Any:
        if not isinstance(settings, dict) or not isinstance(settings.get("vary"), dict):
            return settings
        builtin = settings.get("producer") is None and settings.get("import") is None
        settings = {**settings, "vary": flatten_tables(settings["vary"], builtin)}
        settings.setdefault("title", f"Impact of the {_label_question(settings['vary'])}")
        return choose_nothing(settings) if builtin and holds_out_none(settings.get("fixed")) else settings

    @field_validator("published", mode="before")
    @classmethod
    def _read_published(cls, published: Any) -> Any:
        readers = {"result": read_result, "difference": read_difference}
        if isinstance(published, dict):
            return published | {
                key: [read(item) for item in published[key]]
                for key, read in readers.items()
                if isinstance(published.get(key), list)
            }
        return published

    @property
    def folder(self) -> Path | None:
        """The folder of the study file and the user's modules."""
        return None if self.file is None else self.file.parent

    @property
    def has_own_loop(self) -> bool:
        """Whether the built-in training notebook makes the runs."""
        return self.producer is None and self.import_ is None

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The factors (at most two), the learning rate first if it varies."""
        names = [name for name, values in self.vary.items() if len(values) > 1] or list(self.vary)[:1]
        if any(list_rates(value) for values in self.vary.values() for value in values):
            names.append("learning_rate")  # each value has its own rates
        names = list(dict.fromkeys(names or ["learning_rate"]))
        names.sort(key=lambda name: name != "learning_rate")
        return tuple(self._make_factor(name) for name in names)

    def _make_factor(self, name: str) -> Factor:
        values = self.vary.get(name, ())
        if name == "learning_rate":
            rates = {rate for levels in self.vary.values() for value in levels for rate in list_rates(value)}
            values = tuple(dict.fromkeys((*map(freeze, values), *sorted(rates, reverse=True))))
            values = values or (self.fixed.get(name, Training().learning_rate),)
        plain = tuple(without_rates(value) for value in values)
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in plain)
        return Factor(name, label_setting(name), tuple(map(freeze, plain)), numeric)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """Every combination of values that is tried; the first factor varies fastest."""
        combinations = list(self._combine())
        return tuple(
            Level(index, values, name_level(self.factors, {name: values[name] for name in values}))
            for index, values in enumerate(combinations)
        )

    def _combine(self) -> Iterator[dict[str, Any]]:
        """Yield the factors' values of each level; a value with its own rates is combined only with those."""
        first, *others = self.factors
        for value in others[0].values if others else (None,):
            second = {others[0].name: value} if others else {}
            rates = self._rates_of(others[0].name, value) if others else ()
            for rate in rates or map(freeze, map(without_rates, self.vary.get(first.name, first.values))):
                yield {first.name: rate, **second}

    def _rates_of(self, name: str, value: Any) -> tuple[float, ...]:
        return next(
            (tuple(list_rates(level)) for level in self.vary[name] if freeze(without_rates(level)) == value), ()
        )

    def settings_of(self, level: Level) -> dict[str, Any]:
        """Return all settings of a level except the seed, as plain data; for the built-in loop with every default filled in."""
        settings: dict[str, Any] = json.loads(json.dumps(self.fixed, default=list))
        singles = {name: values[0] for name, values in self.vary.items() if name not in level.values}
        for name, value in {**singles, **level.values}.items():
            set_path(settings, name, without_label(thaw(value)), self.has_own_loop)
        if not self.has_own_loop:
            return settings
        training = parse_settings(Training, settings, self.where, locate=self._locate)
        return training.model_dump(mode="json", exclude_none=True)

    def _locate(self, path: str) -> str:
        """Return the path of a setting in the study's file, in the table that it comes from."""
        varied = any(f"{path}.".startswith(f"{name}.") or f"{name}.".startswith(f"{path}.") for name in self.vary)
        return f"{'vary' if varied else 'fixed'}.{path}"

    def training_of(self, level: Level) -> Training:
        """Return the settings of a level of the built-in loop."""
        return Training.model_validate(self.settings_of(level))

    @property
    def where(self) -> str:
        """The study in messages: its file, or its name."""
        return str(self.file) if self.file is not None else self.name

    def plan(self, seeds: Mapping[int, Sequence[int]] | None = None) -> list[PlannedRun]:
        """Return every run, level by level; `seeds` by level replace the study's."""
        return [
            PlannedRun(level, seed, settings)
            for level in self.levels
            for settings in [self.settings_of(level)]
            for seed in (self.seeds.initial if seeds is None else seeds.get(level.index, ()))
        ]

    def range_setups(self) -> dict[str, RangeSetup]:
        """Return the settings of each range test by the value of the second factor; {} for a study without range tests.

        A single range test, named "", covers all values where they do not change it.
        """
        if self.range_test is None or not self.has_own_loop:
            return {}
        setups: dict[str, RangeSetup] = {}
        for level in self.levels:
            training = self.training_of(level).model_dump(mode="json")
            setup = {name: value for name, value in training.items() if name in RangeSetup.model_fields}
            range_setup = RangeSetup(**setup, **self.range_test.model_dump())
            if range_setup not in setups.values():
                others = [factor for factor in self.factors if factor.name != "learning_rate"]
                names = [factor.name_value(level.values[factor.name]) for factor in others]
                setups[", ".join(names)] = range_setup
        return {"": next(iter(setups.values()))} if len(setups) == 1 else setups

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """All quantities: the built-in quantities with the study's changes, and those that it declares."""
        known = dict(QUANTITIES)
        for name, declared in self.metrics.items():
            changes = declared.model_dump(exclude_none=True, exclude={"split", "columns"})
            if name in known:
                known[name] = known[name].model_copy(update=changes)
            elif split_name(name) is None and {"better"} <= changes.keys():
                known[name] = Quantity(**{"label": name.replace("_", " "), **changes})
        losses = {self.training_of(level).loss.name for level in self.levels} if self.has_own_loop else {None}
        if (
            losses != {CrossEntropy().name} and "loss" not in self.metrics
        ):  # of another loss neither unit nor margin is known
            known["loss"] = known["loss"].model_copy(update={"unit": "", "margin": None})
        return known

    def find_metric(self, name: str) -> Metric | None:
        """Return a metric as this study declares it, or None if nothing declares it."""
        declared = self.metrics.get(name)
        metric = find_metric(name, self.quantities)
        if declared is None:
            return metric
        changes = declared.model_dump(exclude_none=True, exclude={"columns"})
        columns = (declared.columns,) if isinstance(declared.columns, str) else declared.columns
        if metric is not None:
            return metric.model_copy(update={**changes, "columns": columns})
        if "better" not in changes:
            return None
        return Metric(
            **{"name": name, "label": name.replace("_", " "), "split": "validation", "columns": columns, **changes}
        )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        factors = [name for name, values in self.vary.items() if len(values) > 1]
        for name, value in self.fixed.items():
            if not is_plain(value):
                raise ValueError(f"fixed.{name}: give finite numbers, texts, true or false, lists or tables")
        for name, values in self.vary.items():
            if not values:
                raise ValueError(f"vary.{name}: it is empty")
            if any(
                not is_plain(value) or not all(is_number(rate) for rate in list_rates(value)) for value in values
            ) and not any(isinstance(value, float) for value in values):
                raise ValueError(f"vary.{name}: give numbers, texts, true or false, lists or tables")
            labels = [value[LABEL] for value in values if isinstance(value, dict) and LABEL in value]
            if wrong := [label for label in labels if not isinstance(label, str) or not label.strip()]:
                raise ValueError(f'vary.{name}: label = {wrong[0]!r}: give a text, such as "augmented"')
            frozen = [*labels, *(freeze(without_label(value)) for value in values)]
            if len(set(frozen)) < len(frozen):
                repeated = next(value for index, value in enumerate(frozen) if value in frozen[:index])
                raise ValueError(f"vary.{name}: {thaw(repeated)!r} appears twice")
            if name.partition(".")[0] in ("device", "dataset", "validation_size", "split_seed") and self.has_own_loop:
                raise ValueError(f"vary.{name}: runs that differ in it cannot be compared; put it into [fixed]")
            if name in self.fixed:
                raise ValueError(f"fixed.{name}: the study varies it, so leave it out of [fixed]")
        if len(factors) > 2:
            raise ValueError(f"vary.{factors[2]}: {factors[0]} and {factors[1]} vary already; leave out a factor")
        rated = [name for name, values in self.vary.items() if any(map(list_rates, values))]
        if rated and (others := [name for name in (*factors, *rated) if name not in (rated[0], "learning_rate")]):
            raise ValueError(f"vary.{others[0]}: {rated[0]} and its learning rates vary already; leave out a factor")
        return self

    def with_changes(self, name: str | None = None, **changes: Any) -> Self:
        """Return the study with changed settings, renamed so that it replaces no other report.

        `changes` are settings by path, `seeds` (a list or {"first", "most"}) among them; those that are None are left
        as they are. More seeds are another look at the same study, so they change no name.
        Raises LrreportError for a value that would be invalid in a study file.
        """
        settings = self.model_dump(mode="json", exclude_none=True, by_alias=True)
        settings |= {"file": self.file, "notes": self.notes, "seeds": self.seeds.model_dump(exclude_none=True)}
        for key, value in changes.items():
            if value is None:
                continue
            if key == "seeds":
                settings["seeds"] = value
            elif key == "learning_rate" or key in self.vary:
                if key != "learning_rate":
                    raise LrreportError(f"command line: {key} varies in this study; change it in its file")
                settings["vary"][key] = list(value)
            else:
                settings["fixed"][key] = value
        if changes.get("learning_rate") is not None:
            settings["notes"] += tuple(_leave_out_published(settings))
        changed = parse_study(settings, "command line")
        if changed.digest() != self.digest():
            settings["name"] = f"{self.name}-{changed.digest()[:6]}"
        if name is not None:
            settings["name"] = name
        return parse_study(settings, "command line")  # type: ignore[return-value]

    def digest(self) -> str:
        """Return the SHA-256 (hexadecimal) of all settings except the name and the seeds."""
        settings = self.model_dump(mode="json", exclude={"name", "seeds"}, exclude_none=True)
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _label_question(vary: Mapping[str, Any]) -> str:
    """Return what varies, for a study without a title: "learning rate" if that is among it, or the label of a setting."""
    lists = {name: values for name, values in vary.items() if isinstance(values, list | tuple)}
    names = [name for name, values in lists.items() if len(values) > 1] or list(lists)
    rates = any(list_rates(value) for values in lists.values() for value in values)
    return label_setting("learning_rate" if rates or not names or "learning_rate" in names else names[0])


def _leave_out_published(settings: dict[str, Any]) -> list[str]:
    """Leave out published results on learning rates that are not tried; return a note with their number."""
    published, rates = settings.get("published"), settings["vary"].get("learning_rate")
    if published is None or rates is None:
        return []

    def is_tried(named: Mapping[str, Any]) -> bool:
        return all(named[key] in rates for key in ("learning_rate", "than") if key in named)

    results = [result for result in published["result"] if is_tried(result["level"])]
    pairs = [pair for pair in published["difference"] if is_tried(pair["level"]) and is_tried(pair["than"])]
    claims = [claim for claim in published["claim"] if is_tried(claim["arguments"])]
    tried = {"result": results, "difference": pairs, "claim": claims}
    n_left_out = sum(len(published[key]) - len(items) for key, items in tried.items())
    settings["published"] = published | tried
    if not n_left_out:
        return []
    return [f"published: {n_left_out} results and claims on learning rates that are not tried are left out"]


def parse_study(settings: dict[str, Any], where: str) -> Study:
    """Return the study with these settings, or raise a LrreportError that begins with `where`."""
    study = parse_settings(Study, settings, where)
    try:
        check_study(study)
    except LrreportError as err:
        raise LrreportError(str(err).replace(f"{study.where}: ", f"{where}: ", 1)) from err
    return study
