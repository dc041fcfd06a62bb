"""The interactive panel: curves of every run, the table of runs, and what differs between two of them."""

import base64
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrreport.record import RunRecord, SeedResult
from lrreport.report.claims.claim import METRICS, quantify
from lrreport.report.colors import color_rates
from lrreport.report.formats import format_count, format_rate, format_seconds, format_setting, list_words
from lrreport.report.results import Found, Levels, Results
from lrreport.report.table import Table
from lrreport.settings import Fixed, Parameters

TEMPLATE = Path(__file__).parent / "template"
SCRIPT, STYLE = "explorer.js", "explorer.css"
N_VALUES = 150_000  # of one kind that the page may hold, 0.8 MB; beyond, points stand for several steps or epochs
MANY_RUNS = 1000  # whose table leaves out what was the same in all
BY_EPOCH = ("val_loss", "val_accuracy", "train_loss", "train_accuracy")
OUTCOMES = ("val_accuracy", "test_accuracy", "train_accuracy", "val_loss", "test_loss", "train_loss")
DIGITS = 12  # of a digest that tell two apart


@dataclass(frozen=True)
class Explorer:
    """The panel as HTML that works in a page and in JupyterLab; without JavaScript the table of runs is left."""

    data: dict[str, Any]
    table: Table

    def __repr__(self) -> str:
        runs = self.data["runs"]
        n_epochs = sum(len(list_epochs(run["last"], self.data["every"])) for run in runs)
        n_steps = sum(run["n_steps"] for run in runs)
        counts = (
            f"{format_count(n)} {noun}" for n, noun in ((len(runs), "runs"), (n_epochs, "epochs"), (n_steps, "steps"))
        )
        return f"[Explorer: {list_words(list(counts))}]"

    def _repr_html_(self) -> str:
        style, script = ((TEMPLATE / name).read_text(encoding="utf-8") for name in (STYLE, SCRIPT))
        data = json.dumps(self.data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        return (
            f'<div class="explorer">\n<style>\n{style}</style>\n<div class="panel"></div>\n'
            f'<div class="runs">{self.table._repr_html_()}</div>\n'
            f'<script type="application/json">{data}</script>\n<script>\n{script}</script>\n</div>'
        )


def explore(found: Found) -> Explorer:
    """Return the panel on all runs of a study."""
    return Explorer(collect_data(found), tabulate_runs(found))


def list_levels(found: Found) -> dict[str, Results]:
    """Return the results of each level by its value as text; of a study of one axis under no text."""
    if isinstance(found, Results):
        return {"": found}
    return {format_setting(value): results for value, results in found.levels.items()}


def collect_data(found: Found) -> dict[str, Any]:
    """Return what the panel's script reads; see `pack_values` for the order of `values`.

    `each` steps and `every` epochs give one point: 1 unless there are too many to keep.
    """
    levels, rates, seeds = list_levels(found), found.study.vary.learning_rate, found.study.vary.seed
    own = [
        (level, rate, record, results.step_losses(rate))
        for level, results in enumerate(levels.values())
        for rate, record in results.records.items()
    ]
    shown = [rate for rate in rates if any(rate == other for _, other, _, _ in own)]
    n_steps = sum(len(losses) for *_, steps in own for losses in steps.values())
    n_rows = sum(len(results.epochs) for results in levels.values()) * len(BY_EPOCH)
    each = 1 if n_steps <= N_VALUES else math.ceil(3 * n_steps / N_VALUES)  # mean, lowest and highest
    every = math.ceil(n_rows / N_VALUES)
    runs, values = [], []
    for place, (level, rate, record, steps) in enumerate(own):
        for seed in record.seeds:
            losses, last = bin_steps(steps[seed.seed], each), seed.epochs[-1].epoch
            rows = [seed.epochs[epoch] for epoch in list_epochs(last, every)]
            values += [np.array([getattr(row, metric) for row in rows]) for metric in BY_EPOCH]
            values.append(losses.ravel())
            runs.append(
                {
                    "record": place,
                    "level": level,
                    "rate": shown.index(rate),
                    "seed": seeds.index(seed.seed),
                    "status": seed.status,
                    "last": last,
                    "n_steps": losses.shape[1],
                }
            )
    common, facts = describe_records(found)
    hues, axis = color_rates(rates), found.axis if isinstance(found, Levels) else ""
    untrained = max(one.epochs.loc[one.epochs.epoch == 0, "val_loss"].max() for one in levels.values())
    return {
        "rates": [{"name": format_rate(rate), "light": hues[rate].light, "dark": hues[rate].dark} for rate in shown],
        "axis": axis,
        "levels": list(levels),
        "seeds": list(seeds),
        "steps_per_epoch": [count_steps(results) for results in levels.values()],
        "each": each,
        "every": every,
        "limit": 1.5 * float(untrained) if untrained > 0 else None,  # a loss of the user's own may begin below 0
        "loss_unit": found.loss_unit,
        "runs": runs,
        "names": ["learning rate", *([axis] if axis else []), "seed", "status", *(METRICS[name] for name in OUTCOMES)],
        "common": common,
        "facts": facts,
        "values": pack_values(values),
    }


def pack_values(values: list[np.ndarray[Any, Any]]) -> str:
    """Return values as little-endian float32 in base64: run by run its epochs, metric by metric, then its steps."""
    return base64.b64encode(np.concatenate([np.zeros(0), *values]).astype("<f4").tobytes()).decode()


def bin_steps(losses: np.ndarray[Any, Any], each: int) -> np.ndarray[Any, Any]:
    """Return the losses (1, n_steps), or of each so many steps their mean, lowest and highest (3, n_bins).

    A bin is NaN where one of its steps is; an incomplete bin at the end is of the steps that are left.
    """
    if each == 1:
        return losses[np.newaxis]
    starts = np.arange(0, len(losses), each)
    if not len(starts):
        return np.empty((3, 0))
    sizes = np.diff([*starts, len(losses)])
    means = np.add.reduceat(losses.astype(float), starts) / sizes
    return np.stack([means, np.minimum.reduceat(losses, starts), np.maximum.reduceat(losses, starts)])


def count_steps(results: Results) -> int:
    """Return how many steps an epoch takes at one level; the last batch is of the images that are left."""
    record = next(iter(results.records.values()))
    return math.ceil(record.split_sizes["train"] / results.study.fixed.batch_size)


def list_epochs(last: int, every: int) -> list[int]:
    """Return the epochs that are points: every so many from 0 on, and the last."""
    return [*range(0, last, every), last]


def describe_seed(results: Results, rate: float, seed: SeedResult) -> dict[str, str]:
    """Return what one run has of its own: its rate, seed and results, as text."""
    outcomes = {METRICS[name]: _show_outcome(results.values(rate, name)[seed.seed], name) for name in OUTCOMES}
    return {"learning rate": format_rate(rate), "seed": str(seed.seed), "status": seed.status, **outcomes}


def _show_outcome(value: float, metric: str) -> str:
    return "diverged" if math.isnan(value) else str(quantify(value, metric))


def describe_records(found: Found) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return what all records share, and what each has of its own: parameters, code, data and environment."""
    each = [describe_record(record) for record in found.named_records.values()]
    if len(found.find_machines()) > 1:
        each = [{name: text for name, text in one.items() if name != "wall seconds"} for one in each]
    common = {name: text for name, text in each[0].items() if all(one.get(name) == text for one in each)}
    return common, [{name: text for name, text in one.items() if name not in common} for one in each]


def describe_record(record: RunRecord) -> dict[str, str]:
    """Return what decided a run and where it was made, as text under names that a reader can tell apart."""
    identity, facts = record.identity, dict(record.facts)
    packages = facts.pop("packages", {})
    parameters = Parameters(**identity.parameters).applying()
    settings = {name: value for name, value in parameters.items() if name in Fixed.model_fields and name != "device"}
    return {
        **{name.replace("_", " "): format_setting(value) for name, value in settings.items()},
        "parameters of the network": format_count(record.n_parameters),
        "code of the notebook": identity.notebook[:DIGITS],
        **{f"code of {name}": digest[:DIGITS] for name, digest in identity.code.items()},
        **{f"data in {name}": digest[:DIGITS] for name, digest in identity.data.items()},
        "device": identity.device,
        **{name.replace("_", " "): show_fact(value) for name, value in facts.items() if name != "device"},
        **{f"version of {name}": version for name, version in packages.items()},
    }


def show_fact(value: Any) -> str:
    """Return a fact about a run as text; a number with a fraction is of seconds."""
    return format_seconds(value) if isinstance(value, float) else format_setting(value)


def tabulate_runs(found: Found) -> Table:
    """Return a row for each run: what was varied, what came out, and then what was the same in all."""
    common, own = describe_records(found)
    settings = {name.replace("_", " ") for name in Fixed.model_fields}
    shared = {name: text for name, text in common.items() if name in settings}
    rows, mixed, few = [], len(found.find_machines()) > 1, len(found.runs) <= MANY_RUNS  # mixed: times mean nothing
    records = [
        (value, results, rate, record)
        for value, results in list_levels(found).items()
        for rate, record in results.records.items()
    ]
    for facts, (value, results, rate, record) in zip(own, records, strict=True):
        level = {found.axis: value} if isinstance(found, Levels) else {}
        varied = {name: text for name, text in facts.items() if name in settings}
        for seed in record.seeds:
            described = describe_seed(results, rate, seed)
            time = {"host": record.facts.get("host", "unknown")} if mixed else {"CPU seconds": _sum_seconds(seed)}
            ends = {"last epoch": format_count(seed.epochs[-1].epoch), **time}
            rows.append({**varied, **level, **described, **ends, **(shared if few else {})})
    frame = pd.DataFrame(rows).fillna("")
    first = ["learning rate", *([found.axis] if isinstance(found, Levels) else []), "seed"]
    frame = frame[[*first, *(name for name in frame if name not in first)]]
    frame.columns = pd.Index([name[0].upper() + name[1:] for name in frame])
    caption = "Every run: what was varied, what came out after its last epoch, and what was the same in all."
    if not few:
        caption = "Every run: what was varied, and what came out after its last epoch."
    return Table(frame, caption)


def _sum_seconds(seed: SeedResult) -> str:
    return format_seconds(sum(row.cpu_seconds for row in seed.epochs))
