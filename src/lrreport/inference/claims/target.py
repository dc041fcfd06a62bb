"""The claim about a level and a fixed number, such as the loss that a record must beat."""

from scipy import special

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims.claim import Result, add_claim
from lrreport.inference.claims.pairs import decide_direction, require_seeds
from lrreport.inference.statistics import Estimate, estimate_mean
from lrreport.inference.words import count, write_value
from lrreport.study.formats import Quantity, format_p


@add_claim(
    "beats_target", "level", "metric", "target",
    rule="The mean of the seeds against a fixed number. Supported if its 95 % interval lies on the better side of that number, "
    "which is a one-sided p of at most 0.025; contradicted if on the worse. It is a test of its own, in no family with others.",
    source="Student (1908), one sample",
)  # fmt: skip
def beats_target(assessment: Assessment, level: int, metric: str, target: float) -> Result:
    """A level's mean is better than a fixed number."""
    require_seeds(assessment, (level,), metric)
    measured, scores = assessment.measurements.metrics[metric], assessment.scores[metric][level].dropna()
    mean = estimate_mean(scores, 1, assessment.resolutions[metric])
    p = float(special.stdtr(mean.df, -measured.sign * (mean.mean - target) / mean.error))
    gain = Estimate(mean.mean - target, mean.low - target, mean.high - target, mean.error, mean.df, mean.n, p)
    verdict = decide_direction(gain, measured.sign)
    evidence = {
        "target": write_value(measured, target, ()),
        "mean": write_value(measured, mean.mean, (target,)),
        "low": write_value(measured, measured.clip(mean.low), (target,), unit=False),
        "high": write_value(measured, measured.clip(mean.high), (target,)),
        "n": count(len(scores)),
        "p": Quantity(p, format_p(p)),
    }
    case = {"supported": "better", "contradicted": "worse"}.get(verdict, "unclear")
    return Result(
        case, verdict, gain, measured.difference_unit, len(scores), "seeds", evidence, {"metric": measured.label}
    )
