"""Claims about two levels on their way: which gets there sooner, and which more smoothly."""

import math
from typing import Any

import pandas as pd

from lrreport.inference.assessment import Assessment, find_seconds, share_machine
from lrreport.inference.claims.claim import Result, Untestable, Verdict, add_claim
from lrreport.inference.claims.pairs import FAMILY, T_TEST, decide_direction, require_seeds
from lrreport.inference.statistics import ALPHA, compare_signs
from lrreport.inference.words import count, count_seeds, name_unit, write_difference, write_value
from lrreport.study.formats import Quantity, format_p, format_percent
from lrreport.study.metrics import Metric

FEWEST_RISING = 3  # seeds whose loss rises; with fewer, zeros crowd the mean and t intervals miss it far too often
RISING = "Where the loss rises in fewer than three seeds their spread says too little, and no interval is given."
TIME = Metric(name="time", label="time", better="lower", split="train", digits=2)  # how times on any axis are written


@add_claim(
    "sooner", "level", "than",
    rule="When each seed first reaches nine tenths of the way from guessing to the highest mean, straight lines between "
    f"evaluations. Where a seed never does, pairs of seeds are compared by a sign test. {FAMILY}",
    source="Student (1908); sign test: Dixon and Mood (1946)",
)  # fmt: skip
def sooner(assessment: Assessment, level: int, than: int) -> Result:
    """A level reaches the target, fixed by the leader, sooner than another."""
    arrivals = require_arrivals(assessment, (level, than))
    metric, axis = assessment.measurements.metric, assessment.point.axis
    trained = assessment.scores[metric.name]
    evidence = {"target": write_value(metric, assessment.target)}
    names = {"metric": metric.label, "axis": name_unit(axis), "times": ""}
    missed = {i: int((trained[i].notna() & arrivals[i].isna()).sum()) for i in (level, than)}
    if any(missed.values()):
        return _compare_censored(assessment, level, than, missed, evidence, names)
    estimate = assessment.compare(arrivals, than, level)  # positive where `level` is sooner
    verdict = decide_direction(estimate)
    case = {"supported": "sooner", "contradicted": "later"}.get(verdict, "unclear")
    turned = estimate if estimate.mean >= 0 else estimate.negate()
    evidence |= {
        "when": write_time(float(arrivals[level].mean())),
        "than_when": write_time(float(arrivals[than].mean())),
        "low": write_time(turned.low, (0.0,)),
        "high": write_time(turned.high, (0.0,)),
        "n": Quantity(float(estimate.n), count_seeds(*(int(trained[i].notna().sum()) for i in (level, than)))),
        "p": Quantity(estimate.p, format_p(estimate.p)),
        "signed": write_time(-estimate.mean),
    }
    names["times"], seconds = _compare_seconds(assessment, level, than)
    return Result(case, verdict, estimate, names["axis"], estimate.n, "seeds", evidence | seconds, names)


def _compare_censored(
    assessment: Assessment,
    level: int,
    than: int,
    missed: dict[int, int],
    evidence: dict[str, Quantity],
    names: dict[str, Any],
) -> Result:
    """Compare arrivals of which some never happened: later than all that did; by signs, since no mean exists."""
    if not assessment.measurements.paired:
        raise Untestable("a seed never reaches the target, and without pairing arrivals cannot be compared by signs")
    assert assessment.arrivals is not None
    trained = assessment.scores[assessment.measurements.decide.metric][[level, than]].dropna()
    times = assessment.arrivals.loc[trained.index, [level, than]].fillna(math.inf)
    first, second = int((times[level] < times[than]).sum()), int((times[level] > times[than]).sum())
    p = min(1.0, assessment.n_pairs * compare_signs(first, second))
    verdict: Verdict = "undecided" if p > ALPHA else "supported" if first > second else "contradicted"
    evidence |= {
        "n": count(len(times)),
        "p": Quantity(p, format_p(p)),
        "missed": count(missed[level]),
        "than_missed": count(missed[than]),
        "n_level": count(int(assessment.decision.table.n[level])),
        "n_than": count(int(assessment.decision.table.n[than])),
        "first": count(first),
        "second": count(second),
    }
    case = {"supported": "censored sooner", "contradicted": "censored later"}.get(verdict, "censored unclear")
    return Result(case, verdict, None, names["axis"], len(times), "seeds", evidence, names)


def write_time(value: float, beside: tuple[float, ...] = ()) -> Quantity:
    return write_value(TIME, value, beside)


def _compare_seconds(assessment: Assessment, level: int, than: int) -> tuple[str, dict[str, Quantity]]:
    """Return what a sentence adds on CPU seconds: two times, why they are not compared, or nothing."""
    seconds = {"seconds": find_seconds(assessment, level), "than_seconds": find_seconds(assessment, than)}
    if any(math.isnan(value) for value in seconds.values()):
        return "", {}
    if not share_machine(assessment.measurements, (level, than)):
        return " Their CPU seconds are not compared, since the runs were made on different machines.", {}
    written = {key: write_time(value) for key, value in seconds.items()}
    if all(quantity.text == "0.00" for quantity in written.values()):
        return "", {}
    return f" That is {written['seconds']} and {written['than_seconds']} CPU seconds of training.", written


def require_arrivals(assessment: Assessment, levels: tuple[int, ...]) -> Any:
    """Return when seeds arrive (seeds × levels), or raise Untestable if that is unknown for these levels."""
    require_seeds(assessment, levels)
    if assessment.arrivals is None:
        raise Untestable(
            f"that takes two evaluations or more and a starting point of {assessment.measurements.metric.label}"
        )
    return assessment.arrivals


def require_rises(assessment: Assessment, levels: tuple[int, ...]) -> tuple[Any, bool]:
    """Return how much the loss rises per evaluation (seeds × levels), relative to it where possible, and whether so."""
    require_seeds(assessment, levels)
    table = assessment.rises if assessment.relative_rises is None else assessment.relative_rises
    if table is None or assessment.loss is None or table[list(levels)].notna().sum().min() < 2:
        raise Untestable("there is no curve of a validation loss with two evaluations or more")
    return table, assessment.relative_rises is not None


def count_rising(table: pd.DataFrame, *levels: int) -> tuple[dict[str, Quantity], bool]:
    """Return in how many seeds the loss of any of these levels rises at all, and whether these are too few to go by."""
    rises = table[list(levels)]
    n_rising = int((rises > 0).any(axis=1).sum())
    evidence = {"n_rising": count(n_rising), "n_seeds": count(len(rises.dropna(how="all")))}
    return evidence, n_rising < min(FEWEST_RISING, int(rises.notna().sum().min()))


def write_rise(assessment: Assessment, value: float, relative: bool, unit: bool = True) -> Quantity:
    """Return a mean rise of the loss per evaluation: in percent of the loss, or in the loss's unit."""
    assert assessment.loss is not None
    if not relative:
        return write_difference(assessment.loss, value, (0.0,), unit)
    digits = 2 if value == 0 or abs(value) >= 5e-5 else 4
    return Quantity(value, format_percent(value, digits) if unit else format_percent(value, digits).removesuffix(" %"))


def name_step(assessment: Assessment) -> str:
    """Return what lies between two evaluations: "epoch" where the axis counts single epochs, else "evaluation"."""
    assert assessment.loss is not None
    index = assessment.curves[assessment.loss.name].index
    return "epoch" if index.name == "epoch" and (index.to_series().diff().dropna() == 1).all() else "evaluation"


@add_claim(
    "more_stable", "level", "than",
    rule="By how much the loss rises from one evaluation to the next, on average (a fall counts as 0), relative to the mean "
    f"loss of the same seed. {RISING} {FAMILY}",
    source=T_TEST,
)  # fmt: skip
def more_stable(assessment: Assessment, level: int, than: int) -> Result:
    """The loss of a level rises less during training than that of another."""
    table, relative = require_rises(assessment, (level, than))
    rises = assessment.rises
    assert rises is not None
    assert assessment.loss is not None
    estimate = assessment.compare(table, than, level)  # positive where `level` rises less
    verdict = decide_direction(estimate)
    rising, few = count_rising(table, level, than)
    if few:
        verdict, case = "undecided", "few" if rising["n_rising"].value else "never"
    else:
        case = {"supported": "smoother", "contradicted": "rougher"}.get(verdict, "unclear")
    turned = estimate if estimate.mean >= 0 else estimate.negate()
    evidence = {
        "rise": write_difference(assessment.loss, float(rises[level].mean()), unit=False),
        "than_rise": write_difference(assessment.loss, float(rises[than].mean())),
        "signed": write_rise(assessment, -estimate.mean, relative),
        **rising,
        "n": count(estimate.n),
    }
    if not few:
        evidence |= {
            "low": write_rise(assessment, turned.low, relative, unit=False),
            "high": write_rise(assessment, turned.high, relative),
            "p": Quantity(estimate.p, format_p(estimate.p)),
        }
    names = {
        "loss": assessment.loss.label,
        "step": name_step(assessment),
        "relative": " relative to the loss" if relative else "",
    }
    unit = "%" if relative else assessment.loss.difference_unit
    return Result(case, verdict, None if few else estimate, unit, estimate.n, "seeds", evidence, names)
