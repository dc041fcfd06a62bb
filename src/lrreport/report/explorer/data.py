"""What the explorer's script reads: runs, curves and final values as plain data, with the numbers in base64."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special

from lrreport.inference.measurements import AXES, Measurements
from lrreport.report.colors import color_levels
from lrreport.report.explorer.curves import (
    N_STEP_VALUES,
    Recorded,
    Records,
    bin_steps,
    convert_steps,
    pick_every,
    thin_curves,
)
from lrreport.report.explorer.describe import (
    describe_axis,
    describe_factor,
    describe_metric,
    describe_runs,
    describe_step_loss,
)
from lrreport.report.explorer.pack import Packer, encode
from lrreport.study.factors import Level


def collect_data(measurements: Measurements, recorded: Recorded, records: Records) -> dict[str, Any]:
    """Return all that the script reads, as plain data without NaN.

    `series` has a row per curve: run, metric, values per point (1, or 3: mean, lowest, highest), and for each of `axes`
    the index of its grid or −1. Values stand in the order of `series`, those of step losses in `steps`. `finals` are
    (n_runs, n_metrics), NaN where a run has none. `reduced` is, by metric, the number of recorded points per drawn point.
    """
    runs, curves, losses, first = recorded.runs, recorded.curves, recorded.losses, measurements.factors[0]
    names, metrics = list(measurements.metrics), [describe_metric(metric) for metric in measurements.metrics.values()]
    axes = [axis for axis in AXES if any(axis in curve.positions for curve in curves) or (axis == "step" and losses)]
    every, packer = thin_curves(curves), Packer()
    series = _pack_curves(packer, recorded, names, axes, every)
    reduced = [max((every[key] for key in every if key[0] == name), default=1) for name in names]
    if losses:
        n_steps = sum(map(len, losses.values()))
        bin_size = 1 if n_steps <= N_STEP_VALUES else math.ceil(3 * n_steps / N_STEP_VALUES)
        series += _pack_losses(packer, recorded, len(metrics), axes, bin_size)
        metrics.append(describe_step_loss(measurements))
        reduced.append(bin_size)
    common, run_facts = describe_runs(runs, records)
    return {
        "title": measurements.title,
        "decides": names.index(measurements.decide.metric),
        "margin": measurements.margin,
        "paired": measurements.paired,
        "factors": [describe_factor(factor) for factor in measurements.factors],
        "levels": [_describe_level(measurements, level) for level in measurements.levels],
        "colors": color_levels(len(first.values)),
        "seeds": [str(seed) for seed in runs.seeds],
        "metrics": metrics,
        "axes": [describe_axis(axis, recorded.clock) for axis in axes],
        "runs": [[level, runs.seeds.index(seed), status] for (level, seed), status in runs.status.items()],
        "series": series,
        "reduced": reduced,
        "finals": encode(recorded.finals.ravel()),
        "t": [round(float(special.stdtrit(df, 0.975)), 4) for df in range(1, min(200, max(3, len(runs.keys))))],
        "common": common,
        "facts": run_facts,
        **packer.to_json(),
    }


def _describe_level(measurements: Measurements, level: Level) -> dict[str, Any]:
    values = [list(factor.values).index(level.values[factor.name]) for factor in measurements.factors]
    return {"name": level.name, "values": values}


def _pack_curves(
    packer: Packer, recorded: Recorded, names: list[str], axes: list[str], every: Mapping[tuple[str, str], int]
) -> list[list[int]]:
    """Pack the curves, thinned to each k-th point by `every`, and return their rows of `series`."""
    series, index_of = [], recorded.runs.index_of
    for curve in recorded.curves:
        points = pick_every(len(curve.values), every[curve.key])
        packer.add_values(curve.values[points], from_steps=False)
        grids = [packer.add_grid(curve.positions[axis][points]) if axis in curve.positions else -1 for axis in axes]
        series.append([index_of[curve.run], names.index(curve.metric), 1, *grids])
    return series


def _pack_losses(packer: Packer, recorded: Recorded, metric: int, axes: list[str], bin_size: int) -> list[list[int]]:
    """Pack the losses of steps in bins of `bin_size`, and return their rows of `series`, of the metric with this index."""
    series, index_of = [], recorded.runs.index_of
    for run, losses in recorded.losses.items():
        binned = bin_steps(losses, bin_size)
        at = np.minimum(np.arange(binned.shape[1]) * bin_size + (bin_size + 1) / 2, float(len(losses)))
        positions = {"step": at} | convert_steps(at, run, recorded.steps_per_epoch, recorded.clock)
        packer.add_values(binned, from_steps=True)
        grids = [packer.add_grid(positions[axis]) if axis in positions else -1 for axis in axes]
        series.append([index_of[run], metric, len(binned), *grids])
    return series
