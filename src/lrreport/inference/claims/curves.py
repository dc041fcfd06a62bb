"""Claims about a single level: does it learn, is it stable, still improving, levelled off?"""

import math
from dataclasses import replace

import pandas as pd

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims.claim import Result, Untestable, Verdict, add_claim
from lrreport.inference.claims.pace import RISING, count_rising, name_step, require_rises
from lrreport.inference.claims.pairs import is_beyond, is_within, require_seeds
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
    metric, limit = assessment.measurements.metric, assessment.guessing_limit
    row = assessment.decision.table.loc[level]
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
    gain = replace(estimate, **{key: getattr(estimate, key) - metric.chance for key in ("mean", "low", "high")})
    names = {"metric": metric.label, "seeds": "its only seed" if n == 1 else f"all {n} seeds"}
    return Result(case, verdict, gain if len(scores) > 1 else None, metric.difference_unit, n, "seeds", evidence, names)


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
    verdict: Verdict = "undecided"
    if estimate.high < margin or estimate.low > margin:
        verdict = "supported" if estimate.high < margin else "contradicted"
    case = {"supported": "stable", "contradicted": "rough"}.get(verdict, "unclear")
    rising, few = count_rising(assessment.rises, level)
    if few:
        case = f"few {case}" if rising["n_rising"].value else "never"
    evidence |= rising | {"rise": write_difference(loss, estimate.mean), "margin": write_difference(loss, margin)}
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
    case, verdict = _decide_slope(slope, margin, improving)
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


def _decide_slope(slope: Estimate, margin: float | None, improving: bool) -> tuple[str, Verdict]:
    """Return the case, and the verdict on whether a level is still improving, else on whether it has levelled off."""
    case = "improving" if slope.low > 0 else "worse" if slope.high < 0 else "unclear"
    if is_within(slope, margin):
        case = "level"
    if improving:
        return case, "undecided" if case == "unclear" else "supported" if case == "improving" else "contradicted"
    beyond = margin is not None and is_beyond(slope, margin)
    return case, "supported" if case == "level" else "contradicted" if beyond else "undecided"


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
