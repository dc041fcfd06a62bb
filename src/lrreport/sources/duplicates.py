"""Duplicates of an import: merge runs of the same level and seed."""

import hashlib

import numpy as np
import pandas as pd

from lrreport.sources.logs import Note
from lrreport.sources.refusal import RefusalError

SHORTEST_COPY = 3  # equal points of runs without seeds, from which runs count as copies


def merge_duplicates(
    runs: pd.DataFrame, history: pd.DataFrame, duplicates: str
) -> tuple[pd.DataFrame, pd.DataFrame, list[Note]]:
    """Return runs and history with a single run per level and seed, and number runs whose seeds are unknown.

    Runs of the same level and seed with equal values are merged; with different values they are an error unless
    `duplicates` is "first", "last" or "mean".
    """
    n_points = history["run"].value_counts().reindex(runs["run"]).fillna(0).to_numpy()
    unknown = runs["seed"] == ""
    equal = runs[["level", "seed"]].assign(digest=_digest_runs(runs, history)).duplicated()
    copies = equal & (~unknown | (n_points >= SHORTEST_COPY))
    drop, n_copies, n_others = set(runs["run"][copies]), int(copies.sum()), 0
    for (_, seed), group in runs[~copies & ~unknown].groupby(["level", "seed"], sort=False):
        if len(group) < 2:
            continue
        names = list(group["run"])
        if duplicates in ("error", "identical"):
            raise RefusalError(
                f"{names[0]} and {names[1]} have the same settings and seed {seed} but different values; set "
                'import.duplicates to "last", "first" or "mean", or exclude a file with import.exclude',
                "import.duplicates=last",
            )
        n_others += len(names) - 1
        survivor = names[-1 if duplicates == "last" else 0]
        drop |= set(names) - {survivor}
        if duplicates == "mean":
            runs, history = _average(runs, history, names, survivor)
    if n_copies and duplicates == "error":
        name = next(run for run in runs["run"] if run in drop)
        raise RefusalError(
            f'{name}: repeats another run exactly ({n_copies} such runs); set import.duplicates to "identical"',
            "import.duplicates=identical",
        )
    if drop:
        runs = runs[~runs["run"].isin(drop)].reset_index(drop=True)
        history = history[~history["run"].isin(drop)].reset_index(drop=True)
    unknown = runs["seed"] == ""
    runs.loc[unknown, "replicate"] = runs[unknown].groupby("level").cumcount()
    return runs, history, _make_notes(n_copies, n_others, int(unknown.sum()), duplicates)


def _make_notes(n_copies: int, n_others: int, n_unknown: int, duplicates: str) -> list[Note]:
    effect = "they are averaged" if duplicates == "mean" else f"the {duplicates} counts"
    notes = [
        Note("duplicate", "runs that repeat another exactly and are counted once", n_copies),
        Note("duplicate", f"runs with the settings and seed of another but different values; {effect}", n_others),
        Note("guess", "runs with unknown seeds; they count as repeats and are not paired", n_unknown),
    ]
    return [note for note in notes if note.count]


def _digest_runs(runs: pd.DataFrame, history: pd.DataFrame) -> list[str]:
    """Return a digest of all values of each run; `history` is sorted by run."""
    finals = runs.filter(like="final.").to_numpy(dtype=float)
    codes = history["run"].cat.codes.to_numpy()
    position = {name: index for index, name in enumerate(history["run"].cat.categories)}
    numbers = np.column_stack([history["metric"].cat.codes, history["axis"].cat.codes, history["at"], history["value"]])
    starts, ends = (np.searchsorted(codes, np.arange(len(position)), side=side) for side in ("left", "right"))
    digests = []
    for row, run in enumerate(runs["run"]):
        index = position.get(run)
        part = numbers[starts[index] : ends[index]] if index is not None else numbers[:0]
        digests.append(hashlib.sha256(finals[row].tobytes() + np.ascontiguousarray(part).tobytes()).hexdigest())
    return digests


def _average(
    runs: pd.DataFrame, history: pd.DataFrame, names: list[str], survivor: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both frames with the values of run `survivor` replaced by means over `names`, at their common points."""
    part = history[history["run"].isin(names)]
    means = part.groupby(["metric", "axis", "at"], observed=True)["value"].agg(["mean", "size"]).reset_index()
    means = means[means["size"] == len(names)]
    new = pd.DataFrame(
        {"run": survivor, "metric": means["metric"], "axis": means["axis"], "at": means["at"], "value": means["mean"]}
    )
    for column in ("run", "metric", "axis"):
        new[column] = pd.Categorical(new[column], categories=history[column].cat.categories)
    order = pd.concat([history[history["run"] != survivor], new])
    history = order.sort_values(["run", "metric", "axis", "at"], kind="stable").reset_index(drop=True)
    for column in [column for column in runs.columns if column.startswith("final.")]:
        runs.loc[runs["run"] == survivor, column] = runs.loc[runs["run"].isin(names), column].mean()
    return runs, history
