"""Points of histories: order, repeated points, values that are not finite, and how far runs go."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lrreport.sources.logs import AXES, ROUNDING, Note, RunLog
from lrreport.sources.refusal import RefusalError
from lrreport.study.formats import count_nouns, list_words

KEYS = ("run", "metric", "axis")


def order_points(history: pd.DataFrame, duplicates: str) -> tuple[pd.DataFrame, list[Note]]:
    """Return the history sorted by run, metric, axis and point, without repeated points.

    A point repeated with the same value up to rounding is counted once; with a different value it is an error unless
    `duplicates` says which counts: "first", "last" (in the order written) or "mean".
    """
    if history.empty:
        return history, []
    codes = [history[key].cat.codes.to_numpy() for key in KEYS]
    order = np.lexsort((history["at"].to_numpy(), *reversed(codes)))
    history = history.iloc[order].reset_index(drop=True)
    columns = [code[order] for code in codes] + [history["at"].to_numpy()]
    repeats = np.zeros(len(history), dtype=bool)
    repeats[1:] = np.logical_and.reduce([column[1:] == column[:-1] for column in columns])
    if not repeats.any():
        return history, []
    values = history["value"].to_numpy()
    starts = np.flatnonzero(~repeats)
    group = np.cumsum(~repeats) - 1
    first = values[starts][group]
    differs = ~np.isclose(values, first, rtol=ROUNDING, atol=0, equal_nan=True)
    conflicting = np.unique(group[differs])
    notes = []
    n_exact = int((repeats & ~np.isin(group, conflicting)).sum())
    if n_exact:
        notes.append(Note("duplicate", "points that repeat another exactly and are counted once", n_exact))
    if len(conflicting):
        n_others = int((repeats & np.isin(group, conflicting)).sum())
        if duplicates in ("error", "identical"):
            raise _refuse(history, int(starts[conflicting[0]]), len(conflicting))
        text = f"points that repeat another with a different value; the {duplicates} counts"
        notes.append(Note("duplicate", text, n_others))
    if duplicates == "mean":
        means = np.bincount(group, weights=values) / np.bincount(group)
        history = history.assign(value=np.where(np.isin(group, conflicting), means[group], values))
    keep = ~repeats
    if duplicates == "last":
        keep = np.append(~repeats[1:], True)
    return history[keep].reset_index(drop=True), notes


def _refuse(history: pd.DataFrame, index: int, count: int) -> RefusalError:
    first, second = history.iloc[index], history.iloc[index + 1]
    points = count_nouns(count, "such point")
    return RefusalError(
        f"{first.run}: {first.metric} at {first.axis} {first['at']:g} is {first.value:.9g} and {second.value:.9g} ({points}); "
        'set import.duplicates to "last", "first" or "mean", or leave out files with import.exclude',
        "import.duplicates=last",
    )


def judge_divergence(runs: pd.DataFrame, history: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[Note]]:
    """Return runs with status "diverged" where a metric's last values are not finite, and the history without those.

    `history` is sorted. A value in the middle that is not finite is a gap; a metric that never has a finite value is
    left out.
    """
    finite = np.isfinite(history["value"].to_numpy())
    if finite.all():
        return runs, history, []
    notes: list[Note] = []
    some = history["metric"].isin(history["metric"][finite].unique()).to_numpy()
    for metric in history["metric"][~some].unique():
        notes.append(
            Note("excluded", f"{metric}: no value of any run is finite", int((history["metric"] == metric).sum()))
        )
    history, finite = history[some], finite[some]
    group = history.groupby(list(KEYS), observed=True, sort=False).ngroup().to_numpy()
    last_finite = np.full(group.max() + 1 if len(group) else 0, -1)
    np.maximum.at(last_finite, group[finite], np.flatnonzero(finite))
    trailing = np.arange(len(history)) > last_finite[group]
    if n_gaps := int((~finite & ~trailing).sum()):
        notes.append(Note("excluded", "values in the middle of a run that are not finite", n_gaps))
    ends = history[trailing].drop_duplicates("run")
    reasons = {str(row.run): f"{row.metric} is not finite from {row.axis} {row.at:g} on" for row in ends.itertuples()}
    if reasons:
        notes.append(Note("failure", "runs that diverged: a metric is not finite to the end", len(reasons)))
    diverged = runs["run"].isin(reasons)
    runs = runs.assign(
        status=runs["status"].mask(diverged, "diverged"),
        reason=runs["reason"].mask(diverged, [reasons.get(run, "") for run in runs["run"]]),
    )
    return runs, history[finite].reset_index(drop=True), notes


def judge_finals(logs: list[RunLog], metrics: set[str]) -> list[Note]:
    """Set the status of runs with a final value that is not finite to "diverged"; `metrics` are those that count."""
    usable = {name for log in logs for name, value in log.final.items() if np.isfinite(value)}
    count = 0
    for log in logs:
        wrong = [name for name, value in log.final.items() if name in metrics & usable and not np.isfinite(value)]
        if wrong:
            log.status, log.reason = "diverged", f"{wrong[0]} is not finite at the end"
            count += 1
        log.final = {name: value for name, value in log.final.items() if np.isfinite(value)}
    return [Note("failure", "runs that diverged: a final value is not finite", count)] if count else []


def find_lengths(runs: pd.DataFrame, history: pd.DataFrame) -> tuple[pd.DataFrame, list[Note]]:
    """Return runs with `last`, the last point of each run, and a note per metric whose runs end at different points."""
    ends = history.groupby(list(KEYS), observed=True)["at"].agg(["max", "size"]).reset_index()
    whole = set(runs["run"][runs["status"] != "diverged"])
    alike: dict[tuple[str, int], list[str]] = {}
    for (metric, axis), part in ends[ends["run"].isin(whole)].groupby(["metric", "axis"], observed=True):
        lasts = part["max"].value_counts().sort_index()
        if len(lasts) > 1:
            shown = ", ".join(f"{at:g} ({count_nouns(count, 'run')})" for at, count in list(lasts.items())[:4])
            more = f" and {len(lasts) - 4} other points" if len(lasts) > 4 else ""
            common = _find_last_common(history[(history["metric"] == metric) & (history["axis"] == axis)], part["run"])
            shared = "they have no point in common" if common is None else f"the last that all have is {common:g}"
            sizes = f"{part['size'].min():,} to {part['size'].max():,} values each"
            text = f"runs end at {axis} {shown}{more}, with {sizes}; {shared}"
            alike.setdefault((text, len(part)), []).append(str(metric))
    notes = [Note("length", f"{list_words(metrics)}: {text}", count) for (text, count), metrics in alike.items()]
    last = ends.groupby("run", observed=True)["max"].max()
    return runs.assign(last=runs["run"].map(last).astype(float)), notes


@dataclass(frozen=True)
class Ends:
    """Where runs that did not diverge end on a metric's axis: first and last, and the last point that all of them have."""

    axis: str
    first: float
    last: float
    common: float | None

    @property
    def is_early(self) -> bool:
        """Whether runs end at different points and share none in the second half of the shortest."""
        return self.first < self.last and (self.common is None or self.common < self.first / 2)

    def describe(self) -> str:
        """Return where the runs end, in a clause."""
        shared = "no point" if self.common is None else f"no point after {self.common:,.6g}"
        return f"runs end at {self.axis} {self.first:,.6g} to {self.last:,.6g} and share {shared}"


def find_ends(runs: pd.DataFrame, history: pd.DataFrame, metric: str) -> Ends | None:
    """Return where runs end on the first axis that a metric has, None for a metric without a history."""
    whole = runs["run"][runs["status"] != "diverged"]
    points = history[(history["metric"] == metric) & history["run"].isin(set(whole))]
    if points.empty:
        return None
    axis = min(points["axis"].astype(str).unique(), key=AXES.index)
    points = points[points["axis"] == axis]
    ends = points.groupby("run", observed=True)["at"].max()
    return Ends(axis, float(ends.min()), float(ends.max()), _find_last_common(points, pd.Series(ends.index)))


def _find_last_common(points: pd.DataFrame, runs: "pd.Series[str]") -> float | None:
    """Return the last point on the axis that all of these runs have, None if there is none."""
    counts = points[points["run"].isin(set(runs))]["at"].value_counts()
    common = counts.index[counts == len(runs)]
    return float(common.max()) if len(common) else None
