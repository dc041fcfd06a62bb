"""Claims about a level's overfitting: do the deciding metric and the loss end worse than at their best?"""

import numpy as np

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims.claim import OPPOSITE, Result, Untestable, Verdict, add_claim
from lrreport.inference.claims.curves import FAMILY, T_TEST, require_curve
from lrreport.inference.claims.pairs import require_seeds
from lrreport.inference.measurements import format_position
from lrreport.inference.statistics import Estimate, estimate_mean
from lrreport.inference.words import count, write_difference
from lrreport.study.formats import Quantity
from lrreport.study.metrics import Metric


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
    without_seed = goodness.to_numpy().sum(axis=1, keepdims=True) - goodness.to_numpy()  # sums over the other seeds
    best = without_seed.argmax(axis=0)
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
