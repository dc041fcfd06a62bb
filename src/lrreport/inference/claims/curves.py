"""Claims about a single level: does it learn, is it stable, still improving, levelled off, overfitting?"""

import math

import numpy as np
import pandas as pd

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims.claim import OPPOSITE, Result, Untestable, Verdict, add_claim
from lrreport.inference.claims.pairs import (
    RISING,
    count_rising,
    is_beyond,
    is_within,
    name_step,
    require_rises,
    require_seeds,
)
from lrreport.inference.measurements import format_position
from lrreport.inference.statistics import Estimate, estimate_mean, fit_slopes
from lrreport.inference.words import count, write_difference, write_share, write_value
from lrreport.study.formats import Quantity
from lrreport.study.metrics import Metric

FAMILY = "Intervals hold for all levels at once with 95 % (Bonferroni over levels{more})."
FEWEST_POINTS = 3  # evaluations in a window
WINDOW_SHARE = 0.25  # of the evaluations
T_TEST = "Student (1908); Dunn (1961)"


def require_curve(
    assessment: Assessment, level: int, metric: Metric | None, n_points: int = FEWEST_POINTS
) -> pd.DataFrame:
    """Return a level's curves after the start (points × seeds), or raise Untestable if they have fewer points or no name."""
    require_seeds(assessment, (level,))
    if metric is None or metric.name not in assessment.curves:
        raise Untestable("there is no curve on the deciding split")
    curve = assessment.curve(level, metric.name)
    curve = curve[curve.index > 0]
    if len(curve) < n_points:
        raise Untestable(f"that takes {n_points} evaluations or more after the start")
    if curve.shape[1] < 2:
        raise Untestable("it has one seed, and telling a difference from chance takes two or more")
    return curve


@add_claim(
    "learns", "level",
    rule="A seed has failed if it diverged or ends no better than guessing: below a tenth of the way from guessing to the best "
    "mean, or within the margin of guessing (a tenth of what is left above it, if that is less). Supported if no seed failed and "
    f"the interval of the mean lies beyond that limit, contradicted if every seed failed. {FAMILY.format(more='')}",
    source=f"{T_TEST}; Clopper and Pearson (1934)",
)  # fmt: skip
def learns(assessment: Assessment, level: int) -> Result:
    """Training ends better than guessing."""
    metric, row = (
        assessment.measurements.metric,
        assessment.decision.table.loc[level],
    )
    limit = assessment.guessing_limit
    if metric.chance is None:
        raise Untestable(f"it is unknown what guessing gives on {metric.label}")
    if not row.n_runs:
        raise Untestable("it has no run")
    n, n_failed = int(row.n_runs), int(row.n_failed)
    scores = assessment.scores[metric.name][level].dropna()
    estimate = estimate_mean(scores, max(1, len(assessment.compared)), assessment.resolutions[metric.name])
    verdict: Verdict = "undecided"
    if n_failed == n:
        verdict, case = "contradicted", "failed"
    elif n_failed:
        case = "mixed"
    elif len(scores) < 2:
        raise Untestable("it has one seed, and telling a difference from chance takes two or more")
    else:
        beyond = metric.sign * ((estimate.low if metric.sign > 0 else estimate.high) - limit) > 0
        verdict, case = ("supported", "learns") if beyond else ("undecided", "unclear")
    evidence = {
        "chance": write_value(metric, metric.chance, ()),
        "limit": write_value(metric, limit, ()),
        "n": count(n),
        "n_failed": count(n_failed),
        "n_trained": count(n - n_failed),
        "failed_low": write_share(float(row.failed_low), unit=False),
        "failed_high": write_share(float(row.failed_high)),
    }
    if len(scores):
        evidence["mean"] = write_value(metric, estimate.mean, (limit, metric.chance))
    if len(scores) > 1:
        evidence |= {
            key: write_value(metric, metric.clip(end), (limit, metric.chance), unit)
            for key, end, unit in (("low", estimate.low, False), ("high", estimate.high, True))
        }
    gain = Estimate(estimate.mean - metric.chance, estimate.low - metric.chance, estimate.high - metric.chance,
                    estimate.error, estimate.df, estimate.n, estimate.p)  # fmt: skip
    shown = gain if len(scores) > 1 else None
    names = {"metric": metric.label, "seeds": "its only seed" if n == 1 else f"all {n} seeds"}
    return Result(case, verdict, shown, metric.difference_unit, n, "seeds", evidence, names)


@add_claim(
    "trains_stably", "level",
    rule="The mean rise of the loss from one evaluation to the next (a fall counts as 0). Supported if no seed failed and the "
    f"interval lies below the margin of the loss; contradicted if a seed failed or the interval above. {RISING} "
    f"{FAMILY.format(more='')}",
    source=T_TEST,
)  # fmt: skip
def trains_stably(assessment: Assessment, level: int) -> Result:
    """No seed fails, and the loss rises little from one evaluation to the next."""
    row, loss = assessment.decision.table.loc[level], assessment.loss
    evidence = {
        "n": count(row.n_runs),
        "n_failed": count(row.n_failed),
        "failed_high": write_share(float(row.failed_high)),
    }
    names = {"seeds": "its only seed" if row.n_runs == 1 else f"all {int(row.n_runs)} seeds"}
    if not row.n_runs:
        raise Untestable("it has no run")
    if row.n_failed:
        case = "failed" if row.n_failed < row.n_runs else "all failed"
        return Result(case, "contradicted", None, "", int(row.n_runs), "seeds", evidence, names)
    require_rises(assessment, (level,))
    assert loss is not None
    assert assessment.rises is not None
    margin = assessment.measurements.find_margin(loss.name)
    if margin is None:
        raise Untestable(f"the study names no margin for {loss.label}")
    rises = assessment.rises[level].dropna()
    estimate = estimate_mean(rises, max(1, len(assessment.compared)))
    verdict: Verdict = (
        "supported" if estimate.high < margin else "contradicted" if estimate.low > margin else "undecided"
    )
    case = {"supported": "stable", "contradicted": "rough"}.get(verdict, "unclear")
    rising, few = count_rising(assessment.rises, level)
    if few:
        case = f"few {case}" if rising["n_rising"].value else "never"
    evidence |= rising | {
        "rise": write_difference(loss, estimate.mean),
        "margin": write_difference(loss, margin),
    }
    if not few:
        evidence |= {
            "low": write_difference(loss, max(0.0, estimate.low), (0.0, margin), unit=False),
            "high": write_difference(loss, estimate.high, (0.0, margin)),
        }
    names |= {"loss": loss.label, "step": name_step(assessment)}
    shown = None if few else estimate
    return Result(case, verdict, shown, loss.difference_unit, estimate.n, "seeds", evidence, names)


def _judge_slope(assessment: Assessment, level: int, improving: bool) -> Result:
    """Return what the slope of the last evaluations says of a level: improving, level, or worse."""
    metric = assessment.loss or assessment.measurements.metric
    curve = require_curve(assessment, level, metric)
    window = curve.iloc[-max(FEWEST_POINTS, math.ceil(WINDOW_SHARE * len(curve))) :]
    at, axis = window.index.to_numpy(dtype=float), str(assessment.curves[metric.name].index.name)
    rounding = assessment.resolutions[metric.name] / math.sqrt(((at - at.mean()) ** 2).sum())
    budget = float(curve.index[-1])  # as long again
    slope = estimate_mean(metric.sign * fit_slopes(window) * budget, len(assessment.compared), rounding * budget)
    margin = assessment.measurements.find_margin(metric.name)
    if margin is None and not (slope.low > 0 or slope.high < 0):
        raise Untestable(f"the study names no margin for {metric.label}")
    level_off = is_within(slope, margin)
    case = "level" if level_off else "improving" if slope.low > 0 else "worse" if slope.high < 0 else "unclear"
    verdict: Verdict = "undecided"
    if improving:
        verdict = "supported" if case == "improving" else "contradicted" if case in ("level", "worse") else "undecided"
    elif level_off:
        verdict = "supported"
    elif margin is not None and is_beyond(slope, margin):
        verdict = "contradicted"
    beside = (0.0,) if margin is None else (0.0, margin, -margin)
    turned = slope if slope.mean >= 0 else slope.negate()
    evidence = {
        "change": write_difference(metric, turned.mean / budget, ()),
        "gain": write_difference(metric, turned.mean, ()),
        "low": write_difference(metric, metric.clip_difference(turned.low), beside, unit=False),
        "high": write_difference(metric, metric.clip_difference(turned.high), beside),
        **{
            key: Quantity(value, format_position(value))
            for key, value in (("first", float(at[0])), ("last", float(at[-1])), ("budget", budget))
        },
        "n": count(slope.n),
    }
    if margin is not None:
        evidence["margin"] = write_difference(metric, margin)
    rises = (slope.mean >= 0) == (metric.sign > 0)
    names = {"metric": metric.label, "moves": "rises" if rises else "falls",
             "axis": axis, "article": "an" if axis == "epoch" else "a",
             "axes": f"{axis}s" if axis in ("epoch", "step") else axis, "more": "rise" if rises else "fall"}  # fmt: skip
    return Result(case, verdict, slope, metric.difference_unit, slope.n, "seeds", evidence, names)


SLOPE = (
    "The slope of the loss (of the deciding metric where there is none) over the last quarter of the evaluations, at least "
    "three, and what it would change if training went on as long again."
)


@add_claim(
    "still_improving", "level",
    rule=f"{SLOPE} Supported if the interval lies above 0 and not wholly within the margin; contradicted if it lies within the "
    f"margin or below 0. {FAMILY.format(more='')}",
    source=T_TEST,
)  # fmt: skip
def still_improving(assessment: Assessment, level: int) -> Result:
    """The curve still gets better at its end."""
    return _judge_slope(assessment, level, improving=True)


@add_claim(
    "levelled_off", "level",
    rule=f"{SLOPE} Supported if the interval lies within the margin of 0, contradicted if beyond it. {FAMILY.format(more='')}",
    source=f"{T_TEST}; Schuirmann (1987)",
)  # fmt: skip
def levelled_off(assessment: Assessment, level: int) -> Result:
    """The curve would change by less than the margin if training went on as long again."""
    return _judge_slope(assessment, level, improving=False)


def _measure_rise(
    assessment: Assessment, level: int, metric: Metric, n_tests: int
) -> tuple[str, Estimate, float, float | None]:
    """Return how far a metric ends behind an earlier evaluation: a case, the estimate, where that was, and the margin.

    "worse" if it ends behind the best evaluation of the other seeds' mean curve (asking the others keeps that from being
    positive by construction), "fine" if it ends at most the margin behind each earlier one, else "unclear".
    """
    curve = require_curve(assessment, level, metric, 2)
    if curve.shape[1] < 3:
        raise Untestable("there are only two seeds, and the other seeds of each must name its best evaluation")
    resolution, margin = assessment.resolutions[metric.name], assessment.measurements.find_margin(metric.name)
    worsening = metric.sign * (curve - curve.iloc[-1])  # how far the end is behind each evaluation
    goodness = metric.sign * curve
    best = (goodness.to_numpy().sum(axis=1, keepdims=True) - goodness.to_numpy()).argmax(
        axis=0
    )  # of sums over seeds that leave out the seed itself
    rise = estimate_mean(worsening.to_numpy()[best, np.arange(curve.shape[1])], n_tests, resolution)
    if rise.low > 0:
        return "worse", rise, float(curve.index[int(np.median(best))]), margin
    earlier = [estimate_mean(values, n_tests, resolution) for _, values in worsening.iloc[:-1].iterrows()]
    index = max(range(len(earlier)), key=lambda i: earlier[i].high)
    fine = margin is not None and earlier[index].high < margin
    return "fine" if fine else "unclear", earlier[index], float(curve.index[index]), margin


def _judge_overfitting(assessment: Assessment, level: int) -> Result:
    """Return whether the deciding metric and the loss get worse again, each by itself and both together."""
    metric, loss = assessment.measurements.metric, assessment.loss
    require_seeds(assessment, (level,))
    names = dict.fromkeys(m.name for m in (metric, loss) if m)
    both = [name for name in names if name in assessment.curves]
    if not both:
        raise Untestable("there is no curve on the deciding split")
    n_tests = len(assessment.compared) * len(both)
    rises = {name: _measure_rise(assessment, level, assessment.measurements.metrics[name], n_tests) for name in both}
    cases = [rises[name][0] for name in both]
    case = cases[0] if len(cases) == 1 else f"{cases[0]} {cases[1]}"
    verdict: Verdict = "undecided"
    if all(case == "worse" for case in cases):
        verdict = "supported"
    elif all(case == "fine" for case in cases):
        verdict = "contradicted"
    evidence: dict[str, Quantity] = {}
    texts: dict[str, str] = {}
    for key, name in zip(("", "loss_"), both, strict=False):
        measured, (_, estimate, at, margin) = assessment.measurements.metrics[name], rises[name]
        beside = (0.0,) if margin is None else (0.0, margin)
        evidence |= {
            f"{key}rise": write_difference(measured, estimate.mean, ()),
            f"{key}low": write_difference(measured, measured.clip_difference(estimate.low), beside, unit=False),
            f"{key}high": write_difference(measured, measured.clip_difference(estimate.high), beside),
            f"{key}at": Quantity(at, format_position(at)),
        }
        if margin is not None:
            evidence[f"{key}margin"] = write_difference(measured, margin)
        texts |= {f"{key}metric": measured.label, f"{key}axis": str(assessment.curves[name].index.name),
                  f"{key}below": "below" if measured.sign > 0 else "above"}  # fmt: skip
    estimate = rises[both[0]][1]
    evidence["n"] = count(estimate.n)
    texts["gap"], gap = _describe_gap(assessment, level)
    unit = assessment.measurements.metrics[both[0]].difference_unit
    return Result(case, verdict, estimate, unit, estimate.n, "seeds", evidence | gap, texts)


def _describe_gap(assessment: Assessment, level: int) -> tuple[str, dict[str, Quantity]]:
    """Return a sentence on the gap between training and deciding metric with fixed weights, if that is measured."""
    metric, training = assessment.measurements.metric, assessment.measurements.find_counterpart("final_train")
    if training is None or not assessment.scores[training.name][level].notna().any():
        return "", {}
    gap = float((assessment.scores[training.name][level] - assessment.scores[metric.name][level]).mean())
    written = write_difference(metric, abs(gap), ())
    side = "above" if gap >= 0 else "below"
    return f" Its {training.label} is {written} {side} its {metric.label}.", {"gap": written}


OVERFITS = (
    "How far the end is behind the best evaluation of the other seeds' mean curve, on the deciding metric and on the loss. "
    "Supported if both intervals lie above 0; contradicted if on both the end is less than the margin behind every earlier "
    "evaluation. " + FAMILY.format(more=" and the two metrics")
)


@add_claim("overfits", "level", rule=OVERFITS, source=T_TEST)
def overfits(assessment: Assessment, level: int) -> Result:
    """The deciding metric and the loss both end worse than at their best."""
    return _judge_overfitting(assessment, level)


@add_claim("does_not_overfit", "level", rule=f"The opposite of overfitting. {OVERFITS}", source=T_TEST)
def does_not_overfit(assessment: Assessment, level: int) -> Result:
    """Neither the deciding metric nor the loss ends worse than at its best by the margin."""
    result = _judge_overfitting(assessment, level)
    return Result(**{**vars(result), "verdict": OPPOSITE.get(result.verdict, result.verdict)})
