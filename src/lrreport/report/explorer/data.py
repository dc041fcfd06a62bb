"""What the explorer's script reads: runs, curves and final values as plain data, with the numbers in base64."""

import math
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


def collect_data(measurements: Measurements, recorded: "Recorded", records: Records) -> dict[str, Any]:
    """Return all that the script reads, as plain data without NaN.

    `series` has a row per curve: run, metric, values per point (1, or 3: mean, lowest, highest), and for each of `axes`
    the index of its grid or −1. Values stand in the order of `series`, those of step losses in `steps`. `finals` are
    (n_runs, n_metrics), NaN where a run has none. `reduced` is, by metric, the number of recorded points per drawn point.
    """
    runs, curves, losses, clock = recorded.runs, recorded.curves, recorded.losses, recorded.clock
    steps_per_epoch = recorded.steps_per_epoch
    metrics = [describe_metric(metric) for metric in measurements.metrics.values()]
    names = list(measurements.metrics)
    every, n_steps = thin_curves(curves), sum(map(len, losses.values()))
    bin_size = 1 if n_steps <= N_STEP_VALUES else math.ceil(3 * n_steps / N_STEP_VALUES)
    reduced = [max((every[key] for key in every if key[0] == name), default=1) for name in names]
    if losses:
        metrics.append(describe_step_loss(measurements))
        reduced.append(bin_size)
    recorded_axes = [
        axis
        for axis in AXES
        if any(axis in curve.positions for curve in curves) or (axis in ("epoch", "step") and losses)
    ]
    axes = [axis for axis in recorded_axes if axis != "epoch" or any("epoch" in curve.positions for curve in curves)]
    packer, series, index_of = Packer(), list[list[int]](), runs.index_of
    for curve in curves:
        indices = pick_every(len(curve.values), every[curve.key])
        grids = [packer.add_grid(curve.positions[axis][indices]) if axis in curve.positions else -1 for axis in axes]
        packer.add_values(curve.values[indices], from_steps=False)
        series.append([index_of[curve.run], names.index(curve.metric), 1, *grids])
    for run, step_losses in losses.items():
        binned = bin_steps(step_losses, bin_size)
        at = np.minimum(np.arange(binned.shape[1]) * bin_size + (bin_size + 1) / 2, float(len(step_losses)))
        positions = {"step": at} | convert_steps(at, run, steps_per_epoch, clock)
        grids = [packer.add_grid(positions[axis]) if axis in positions else -1 for axis in axes]
        packer.add_values(binned, from_steps=True)
        series.append([index_of[run], len(metrics) - 1, len(binned), *grids])
    common, run_facts = describe_runs(runs, records)
    first = measurements.factors[0]
    return {
        "title": measurements.title,
        "decides": names.index(measurements.decide.metric),
        "margin": measurements.margin,
        "paired": measurements.paired,
        "factors": [describe_factor(factor) for factor in measurements.factors],
        "levels": [
            {
                "name": level.name,
                "values": [list(factor.values).index(level.values[factor.name]) for factor in measurements.factors],
            }
            for level in measurements.levels
        ],
        "colors": color_levels(len(first.values)),
        "seeds": [str(seed) for seed in runs.seeds],
        "metrics": metrics,
        "axes": [describe_axis(axis, clock) for axis in axes],
        "runs": [[level, runs.seeds.index(seed), status] for (level, seed), status in runs.status.items()],
        "series": series,
        "reduced": reduced,
        "finals": encode(recorded.finals.ravel()),
        "t": [round(float(special.stdtrit(df, 0.975)), 4) for df in range(1, min(200, max(3, len(runs.keys))))],
        "common": common,
        "facts": run_facts,
        **packer.to_json(),
    }


# Runs and their final values
