"""The table of runs as HTML: what differs between them in columns, what is common to all in a paragraph below."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lrreport.inference.measurements import AXES, RUN_COLUMNS, Measurements
from lrreport.report.explorer.curves import Recorded, Records, Runs
from lrreport.report.explorer.describe import describe_settings, name_fact, show_fact
from lrreport.study.formats import MINUS, capitalize, format_setting

SPLITS = ("validation", "test", "train")  # the order of their metrics
NONE = "\N{EN DASH}"  # in the cell of a run without this value


@dataclass(frozen=True)
class RunTable:
    """Every run as a row of text; `n_keys` columns (factors and seed) stay in sight even if they never differ.

    `metrics` gives the name of the metric that a column shows, `units` its unit, which stands in the heading alone.
    """

    frame: pd.DataFrame
    n_keys: int
    metrics: Mapping[str, str]
    units: Mapping[str, str]

    @property
    def constant(self) -> dict[str, str]:
        """What is the same in all runs, by column."""
        frame = self.frame.iloc[:, self.n_keys :]
        return {str(name): str(frame[name].iloc[0]) for name in frame if len(frame) and frame[name].nunique() == 1}

    def to_html(self) -> str:
        """Return the table; rows are in the order of the runs, and cells hold text alone."""
        constant = self.constant
        shown = [name for name in self.frame if name not in constant]
        classes = ['class="label"' if not index or self._is_text(name) else "" for index, name in enumerate(shown)]
        head = "".join(
            f'<th scope="col"{_join(kind, self._tag(name))}>{escape(name)}{self._show_unit(name)}</th>'
            for name, kind in zip(shown, classes, strict=True)
        )
        columns = [[text.removesuffix(f" {self.units.get(name, '')}") for text in self.frame[name]] for name in shown]
        body = "\n".join(f"<tr>{_show_row(row, classes)}</tr>" for row in zip(*columns, strict=True))
        same = "; ".join(f"<span><b>{escape(name)}</b> {escape(text)}</span>" for name, text in constant.items())
        below = (
            f'\n<details class="same"><summary>The same in all runs</summary><p>{same}.</p></details>' if same else ""
        )
        return (
            '<div class="x-table" tabindex="0" role="region" aria-label="Table of runs"><table>\n'
            "<caption>Every run: what varies, and the values after its last point.</caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>{below}"
        )

    def _tag(self, name: str) -> str:
        tag = f'data-metric="{escape(self.metrics[name])}"' if name in self.metrics else ""
        return _join(tag, f'data-unit="{escape(self.units[name])}"').strip() if self.units.get(name) else tag

    def _show_unit(self, name: str) -> str:
        return f"<span>, {escape(self.units[name])}</span>" if self.units.get(name) else ""

    def _is_text(self, name: str) -> bool:
        return not any(text[:1].isdigit() or text[:1] == MINUS for text in self.frame[name].head(50))


def tabulate_runs(measurements: Measurements, recorded: Recorded, records: Records) -> RunTable:
    """Return a row for each run: its level and seed, status, final values with that which decides first, then facts."""
    runs = recorded.runs
    columns = _list_keys(measurements, runs)
    n_keys = len(columns)
    columns["Status"] = [str(status) for status in runs.status.values()]
    if "reason" in runs.frame and runs.frame.reason.fillna("").astype(bool).any():
        columns["Reason"] = [str(reason) or NONE for reason in runs.frame.reason.fillna("")]
    decides, metrics = measurements.decide.metric, dict[str, str]()
    finals = pd.DataFrame(recorded.finals, columns=list(measurements.metrics))
    for metric in sorted(
        measurements.metrics.values(), key=lambda metric: (metric.name != decides, SPLITS.index(metric.split))
    ):
        name = metric.name
        if finals[name].notna().any():
            label = _find_free(capitalize(metric.label), columns)
            columns[label] = [metric.format(value) if np.isfinite(value) else NONE for value in finals[name]]
            metrics[label] = name
    declared = {label: measurements.metrics[name] for label, name in metrics.items()}
    units = {label: "%" if metric.scale == "fraction" else metric.unit for label, metric in declared.items()}
    columns |= _list_facts(measurements, recorded, records, columns)
    return RunTable(pd.DataFrame(columns, dtype=object), n_keys, metrics, units)


def _list_keys(measurements: Measurements, runs: Runs) -> dict[str, list[str]]:
    columns = {
        capitalize(factor.label): [
            factor.format(measurements.levels[level].values[factor.name]) for level, _ in runs.keys
        ]
        for factor in measurements.factors
    }
    return columns | {"Seed": [str(seed) for _, seed in runs.keys]}


def _list_facts(
    measurements: Measurements, recorded: Recorded, records: Records, before: Mapping[str, list[str]]
) -> dict[str, list[str]]:
    """Return where each run ended, facts in the frame of runs, and settings of its record that no column has yet."""
    runs, columns = recorded.runs, dict[str, list[str]]()
    curves = sorted(
        recorded.curves[:1000], key=lambda curve: (curve.metric != measurements.decide.metric, AXES.index(curve.axis))
    )
    axis = curves[0].axis if curves else "point"
    if runs.frame["last"].notna().any():
        label = f"Last {axis}"
        columns[label] = [_show_last(last) for last in runs.frame["last"]]
    for name in runs.frame:
        if name not in RUN_COLUMNS and name not in ("replicate", "key"):
            cells = [_show_cell(value) for value in runs.frame[name]]
            columns[_find_free(capitalize(name_fact(str(name))), before)] = cells
    if runs.keys and all(run in records for run in runs.keys):
        settings = [describe_settings(records[run].record.settings) for run in runs.keys]
        taken = {name.lower() for name in (*before, *columns)} | _name_factors(measurements)
        for name in dict.fromkeys(name for row in settings for name in row):
            if name.lower() not in taken:
                columns[capitalize(name)] = [row.get(name, NONE) for row in settings]
        varying = _list_varying_facts(runs, records, {*map(str.lower, (*before, *columns)), *settings[0]})
        columns |= varying
    return columns


def _list_varying_facts(runs: Runs, records: Records, taken: set[str]) -> dict[str, list[str]]:
    """Return the facts that are numbers and differ, such as seconds; digests and versions stay in the comparison."""
    facts = [records[run].record.facts for run in runs.keys]
    names = dict.fromkeys(name for row in facts for name, value in row.items() if isinstance(value, float))
    return {
        capitalize(name_fact(name)): [show_fact(row[name]) if name in row else NONE for row in facts]
        for name in names
        if name_fact(name).lower() not in taken and len({row.get(name) for row in facts}) > 1
    }


def _name_factors(measurements: Measurements) -> set[str]:
    names = {factor.label.lower() for factor in measurements.factors}
    return names | {factor.name.rpartition(".")[2].replace("_", " ") for factor in measurements.factors}


def _find_free(label: str, columns: Mapping[str, Any]) -> str:
    """Return the label, with a number where a column has it already."""
    free, number = label, 2
    while free in columns:
        free, number = f"{label} ({number})", number + 1
    return free


def _show_last(last: float) -> str:
    if not np.isfinite(last):
        return NONE
    return format_setting(int(last) if float(last).is_integer() else float(last))


def _show_cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return NONE
    if isinstance(value, np.generic):
        value = value.item()
    return show_fact(value)


def _show_row(cells: tuple[str, ...], classes: list[str]) -> str:
    first = f'<th scope="row" class="label">{escape(cells[0])}</th>'
    rest = (f"<td{_join(kind)}>{escape(cell)}</td>" for cell, kind in zip(cells[1:], classes[1:], strict=True))
    return first + "".join(rest)


def _join(*attributes: str) -> str:
    return "".join(f" {attribute}" for attribute in attributes if attribute)


def escape(text: str) -> str:
    """Return text as HTML."""
    return html.escape(text)
