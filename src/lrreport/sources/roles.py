"""Assign roles to the columns of a table: axis, run, seed, settings, metrics and descriptions."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from lrreport.sources.guess import SPLITS, find_axis, guess_metric, is_seed, name_setting, slug
from lrreport.sources.spec import ImportSpec
from lrreport.sources.table_files import is_numeric

RUN_NAMES = ("run", "run_id", "run_name", "run_uuid", "name", "exp_id", "experiment_id", "trial_id")
METRIC_NAMES = ("metric", "metric_name", "tag", "key", "variable", "name")
VALUE_NAMES = ("value", "metric_value", "score")
SPLIT_NAMES = ("set_type", "split", "subset", "phase", "mode", "partition")
STATUS_NAMES = ("status", "state", "run_state")
FAILURE_NAMES = ("collapsed", "diverged", "failed", "crashed")
SECONDS_NAMES = (
    "seconds",
    "runtime",
    "duration",
    "wall_seconds",
    "train_runtime",
    "elapsed",
    "train_seconds",
    "wall_time",
)
STARTED_NAMES = ("started", "created", "start_time", "datetime_start")


@dataclass
class Roles:
    """The columns of a table by role; `axes` maps "epoch", "step", ... to columns."""

    axes: dict[str, str] = field(default_factory=dict)
    run: str | None = None
    metric: str | None = None  # of a long table
    value: str | None = None
    split: str | None = None
    status: str | None = None
    failure: str | None = None
    seconds: str | None = None
    started: str | None = None
    settings: list[str] = field(default_factory=list)  # seeds included
    metrics: list[str] = field(default_factory=list)

    def list_keys(self) -> list[str]:
        """Return the columns whose values are constant within a run."""
        return [self.run] if self.run else self.settings


def find_roles(frame: pd.DataFrame, spec: ImportSpec, single: bool) -> Roles:
    """Return the roles of a table's columns; `single` says that it is the only table, not a file per run."""
    roles = Roles()
    declared = {*spec.settings.values(), *([spec.seed] if spec.seed else [])}
    numeric = {name: is_numeric(frame[name]) for name in frame.columns}
    names = [name for name in frame.columns if name not in declared and name not in spec.metrics]
    roles.settings = [name for name in frame.columns if name in declared]
    roles.metrics = [name for name in frame.columns if name in spec.metrics]
    text = [name for name in names if not numeric[name]]
    roles.value = _pick(names, VALUE_NAMES)
    roles.metric = _pick(text, METRIC_NAMES) if roles.value and numeric[roles.value] else None
    if roles.metric is None:
        roles.value = None
    for name in names:
        if name not in (roles.metric, roles.value):
            _assign(roles, name, frame[name], numeric[name], single)
    _drop_constant_axes(frame, roles, single)
    if roles.axes:
        _drop_scheduled(frame, roles)
    return roles


def _assign(roles: Roles, name: str, column: pd.Series, numeric: bool, single: bool) -> None:
    """Add a column to its role, by its name and then by its values; a number without a known direction has none."""
    if name.startswith("setting."):
        roles.settings.append(name)
    elif name.startswith("final.") or name.casefold().endswith(("__min", "__max")):
        roles.metrics.append(name)
    elif (axis := find_axis(name)) and numeric and axis not in roles.axes:
        roles.axes[axis] = name
    elif is_seed(name) or name_setting(name):
        roles.settings.append(name)
    elif slug(name) in STATUS_NAMES and not numeric:
        roles.status = name
    elif slug(name) in FAILURE_NAMES:
        roles.failure = name
    elif slug(name) in SECONDS_NAMES and numeric:
        roles.seconds = name
    elif slug(name) in STARTED_NAMES:
        roles.started = name
    elif slug(name) in SPLIT_NAMES and _holds_splits(column):
        roles.split = name
    elif slug(name) in RUN_NAMES and roles.run is None:
        roles.run = name
    elif not numeric:
        roles.settings.append(name)
    elif (guess := guess_metric(name)) is not None and guess.quantity is not None:
        roles.metrics.append(name)
    elif guess is None:
        return
    elif _is_measurement(column) or not single or "final_" in slug(name):
        roles.metrics.append(name)  # which way is better has to be declared
    else:
        roles.settings.append(name)


def _pick(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    return next((name for want in wanted for name in names if slug(name) == want), None)


def _holds_splits(column: pd.Series) -> bool:
    return all(str(value).casefold() in SPLITS for value in column.dropna().unique())


def _drop_scheduled(frame: pd.DataFrame, roles: Roles) -> None:
    """Remove settings that change within a run, such as a learning rate lowered by a schedule."""
    axes = [*roles.axes.values(), *([roles.metric] if roles.metric else [])]
    for name in [name for name in roles.settings if not is_seed(name) and is_numeric(frame[name])]:
        keys = [
            key for key in ([roles.run] if roles.run else roles.settings) if key != name and frame[key].nunique() > 1
        ]
        grouped = frame.groupby(keys, dropna=False)[name] if keys else None
        n_values = int(grouped.nunique().max()) if grouped is not None else frame[name].nunique()
        if n_values > 1 and not frame.duplicated([*keys, *axes]).any():
            roles.settings.remove(name)


def _is_measurement(column: pd.Series) -> bool:
    """Return whether numbers look measured: not whole, and mostly different from row to row."""
    values = pd.to_numeric(column, errors="coerce").dropna()
    return bool(len(values)) and bool((values % 1 != 0).any()) and values.nunique() > max(3, len(values) / 2)


def _drop_constant_axes(frame: pd.DataFrame, roles: Roles, single: bool) -> None:
    """Remove constant axes of a single table, such as "epoch" 10 of all finished runs."""
    for axis, name in list(roles.axes.items()):
        if single and frame[name].nunique() == 1 and len(frame) > 1:
            del roles.axes[axis]
