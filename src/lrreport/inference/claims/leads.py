"""Claims about a level against all others: the best, the worst, the slowest, the smoothest, at most a distance behind."""

from typing import Any

import pandas as pd

from lrreport.inference.assessment import Assessment, Standing
from lrreport.inference.claims.claim import Result, Untestable, Verdict, add_claim
from lrreport.inference.claims.pace import (
    RISING,
    count_rising,
    name_step,
    require_arrivals,
    require_rises,
    write_rise,
    write_time,
)
from lrreport.inference.claims.pairs import decide_direction, require_seeds
from lrreport.inference.statistics import ALPHA, Estimate, compare_signs
from lrreport.inference.words import (
    count,
    list_levels,
    name_nouns,
    name_unit,
    quantify_difference,
    quantify_list,
    write_difference,
    write_value,
)
from lrreport.study.formats import Quantity

LEAD = (
    "A level is out if some other is ahead of it, one-sided, at the error of this look divided by the number of levels less "
    "one; the others may lead. Supported if no other may, contradicted if it is out itself. With 95 % over all looks the "
    "true leader is among those that may lead; one that is out is no better than another, which need not mean worse."
)
SOURCE = "Edwards and Hsu (1983), multiple comparisons with the best; Kim and Nelson (2001)"


def require_others(assessment: Assessment, level: int) -> None:
    """Raise Untestable unless a level and at least one rival have seeds that trained."""
    require_seeds(assessment, (level,))
    if len(assessment.compared) < 2:
        raise Untestable(f"there is no other {name_nouns(assessment.measurements)[0]} to compare it with")


def _decide_lead(standing: Standing, level: int) -> Verdict:
    if standing.candidates == (level,):
        return "supported"
    return "undecided" if level in standing.candidates else "contradicted"


def _find_rival(standing: Standing, table: pd.DataFrame, level: int, sign: int) -> int:
    """Return the rival with the best mean; if the level is out, the rival that is furthest ahead of it by its limit."""
    row = standing.levels.index(level)
    rivals = [i for i in standing.levels if i != level]
    if level not in standing.candidates:
        low, _ = standing.comparisons.find_limits(ALPHA)
        return max(rivals, key=lambda i: float(low[standing.levels.index(i), row]))
    return max(rivals, key=lambda i: sign * float(table[i].mean()))


def _ask_lead(assessment: Assessment, level: int, metric: str, sign: int) -> Result:
    """Return whether a level is the best (sign 1) or the worst (sign −1) on a metric."""
    measurements, measured = assessment.measurements, assessment.measurements.metrics[metric]
    require_seeds(assessment, (level,), metric)
    require_others(assessment, level)
    standing, table, upward = assessment.stand_on(metric, sign), assessment.scores[metric], sign * measured.sign
    if len(standing.levels) < 2:
        raise Untestable(f"no other {name_nouns(measurements)[0]} has a {measured.label}")
    verdict, rival = _decide_lead(standing, level), _find_rival(standing, table, level, upward)
    estimate = assessment.compare_scores(level, rival, metric)
    leads, (noun, several) = [i for i in standing.candidates if i != level], name_nouns(measurements)
    two = len(standing.levels) == 2
    words = ("highest", "higher", "above") if upward > 0 else ("lowest", "lower", "below")
    evidence = {
        **quantify_difference(measured, estimate),
        "mean": write_value(measured, float(table[level].mean())),
        **quantify_list(measurements, "rival", [rival]),
        **quantify_list(measurements, "candidate", standing.candidates if verdict == "contradicted" else leads),
        "n": count(int(table[level].notna().sum())),
    }
    names = {
        "metric": measured.label,
        **dict(zip(("extreme", "beyond", "side"), words, strict=True)),
        "rival": measurements.levels[rival].name,
        "point": assessment.point.text,
        "others": list_levels(measurements, leads) if leads else "",
        "candidates": list_levels(measurements, standing.candidates, "or"),
        "noun": noun,
        "nouns": several,
        "rank": "best" if sign > 0 else "worst",
        "other": f"{'the' if two else 'every'} other {noun}",
        "any": f"{'the' if two else 'no'} other {noun}",
    }
    case: str = verdict
    if verdict == "supported":
        ahead = sign * assessment.compare_all(standing.levels, metric)[standing.levels.index(level)]
        case = "apart" if (ahead == 1).sum() == len(standing.levels) - 1 else "alone"
    elif verdict == "contradicted" and decide_direction(estimate, upward) == "contradicted":
        case = "behind"
    return Result(case, verdict, estimate, measured.difference_unit, int(evidence["n"].value), "seeds", evidence, names)


@add_claim("best", "level", "metric", rule=f"By means on the metric, where runs are compared. {LEAD}", source=SOURCE)
def best(assessment: Assessment, level: int, metric: str) -> Result:
    """A level ends better than all others on a metric: the highest accuracy, the lowest loss."""
    return _ask_lead(assessment, level, metric, 1)


@add_claim("worst", "level", "metric", rule=f"The same as for the best, with the worst leading. {LEAD}", source=SOURCE)
def worst(assessment: Assessment, level: int, metric: str) -> Result:
    """A level ends worse than all others on a metric: the lowest accuracy, the highest loss."""
    return _ask_lead(assessment, level, metric, -1)


@add_claim(
    "at_most_behind", "level", "by", "metric",
    rule="The largest upper limit of how far any level that may be the best is ahead, one-sided as for the best. Supported if "
    "it is at most so much, contradicted if another level is ahead by more (its lower limit).",
    source=SOURCE,
)  # fmt: skip
def at_most_behind(assessment: Assessment, level: int, by: float, metric: str) -> Result:
    """A level lies at most so far behind the best of those tried on a metric."""
    measured = assessment.measurements.metrics[metric]
    require_seeds(assessment, (level,), metric)
    require_others(assessment, level)
    standing, table = assessment.stand_on(metric, 1), assessment.scores[metric]
    at_most, at_least = float(standing.at_most[level]), float(standing.at_least[level])
    verdict: Verdict = "supported" if at_most <= by else "contradicted" if at_least > by else "undecided"
    means = measured.sign * table[list(standing.levels)].mean()
    behind = min(max(0.0, float(means.max() - means[level])), at_most)  # a level ruled out earlier had fewer seeds
    leader = int(means.idxmax())
    evidence = {
        "at_most": write_difference(measured, at_most, (by,)),
        "at_least": write_difference(measured, at_least, (by, 0.0)),
        "by": write_difference(measured, by, ()),
        "behind": write_difference(measured, behind, ()),
        **quantify_list(assessment.measurements, "leader", [leader]),
        "n": count(int(table[level].notna().sum())),
    }
    names = {"metric": measured.label, "leader": assessment.measurements.levels[leader].name,
             "nouns": name_nouns(assessment.measurements)[1]}  # fmt: skip
    estimate = Estimate(behind, min(at_least, behind), at_most)
    return Result(
        verdict, verdict, estimate, measured.difference_unit, int(evidence["n"].value), "seeds", evidence, names
    )


@add_claim(
    "slowest", "level",
    rule="By when each seed first reaches nine tenths of the way from guessing to the highest mean; a seed that never does is "
    f"later than one that does, and pairs of seeds are then compared by one-sided sign tests. {LEAD}",
    source=f"{SOURCE}; sign test: Dixon and Mood (1946)",
)  # fmt: skip
def slowest(assessment: Assessment, level: int) -> Result:
    """A level reaches the target, fixed by the leader, later than all others."""
    require_others(assessment, level)
    arrivals, metric = require_arrivals(assessment, (level,)), assessment.measurements.metric
    trained, compared = assessment.scores[metric.name], list(assessment.compared)
    missed = (trained[compared].notna() & arrivals[compared].isna()).sum()
    axis = assessment.point.axis
    names = {"metric": metric.label, "axis": name_unit(axis)}
    evidence = {"target": write_value(metric, assessment.target), "n": count(int(trained[level].notna().sum()))}
    if missed.any():
        verdict = _decide_censored(assessment, arrivals, level)
        evidence["missed"] = count(int(missed[level]))
        case = f"censored {verdict}" if missed[level] else f"arrives {verdict}"
        return Result(case, verdict, None, axis, int(evidence["n"].value), "seeds", evidence, names)
    standing = assessment.stand(arrivals, 1)
    verdict, rival = _decide_lead(standing, level), _find_rival(standing, arrivals, level, 1)
    estimate = assessment.compare(arrivals, level, rival)
    evidence |= _write_interval(estimate, write_time) | {
        "when": write_time(float(arrivals[level].mean())),
        "rival_when": write_time(float(arrivals[rival].mean())),
        **quantify_list(assessment.measurements, "rival", [rival]),
    }
    names["rival"] = assessment.measurements.levels[rival].name
    return Result(verdict, verdict, estimate, axis, estimate.n, "seeds", evidence, names)


def _decide_censored(assessment: Assessment, arrivals: pd.DataFrame, level: int) -> Verdict:
    """Return whether a level arrives last by sign tests on pairs of seeds: against each rival, one-sided."""
    if not assessment.measurements.paired:
        raise Untestable("a seed never reaches the target, and without pairing arrivals cannot be compared by signs")
    trained = assessment.scores[assessment.measurements.decide.metric]
    rivals = [i for i in assessment.compared if i != level]
    last, not_last = [], []
    for i in rivals:
        both = trained[[level, i]].dropna().index
        times = arrivals.loc[both, [level, i]].fillna(float("inf"))
        later, earlier = int((times[level] > times[i]).sum()), int((times[level] < times[i]).sum())
        p = compare_signs(later, earlier) / 2
        last.append(later > earlier and p <= ALPHA)
        not_last.append(earlier > later and p * len(rivals) <= ALPHA)
    return "supported" if all(last) else "contradicted" if any(not_last) else "undecided"


def _write_interval(estimate: Any, write: Any) -> dict[str, Quantity]:
    return {"low": write(estimate.low, (0.0,)), "high": write(estimate.high, (0.0,)), "signed": write(estimate.mean)}


@add_claim(
    "most_stable", "level",
    rule=f"By how much the loss rises from one evaluation to the next, on average, relative to the mean loss. {RISING} {LEAD}",
    source=SOURCE,
)  # fmt: skip
def most_stable(assessment: Assessment, level: int) -> Result:
    """The loss of a level rises less during training than that of all others."""
    require_others(assessment, level)
    table, relative = require_rises(assessment, (level,))
    rises, loss = assessment.rises, assessment.loss
    assert rises is not None
    assert loss is not None
    standing = assessment.stand(table, -1)
    rival = _find_rival(standing, table, level, -1)
    verdict = _decide_lead(standing, level)
    never = not (table[list(standing.levels)] > 0).any(axis=None)
    rising, few = count_rising(table, level, rival)
    estimate = assessment.compare(table, level, rival)
    evidence = {
        "rise": write_difference(loss, float(rises[level].mean())),
        "rival_rise": write_difference(loss, float(rises[rival].mean())),
        **quantify_list(assessment.measurements, "rival", [rival]),
        **rising,
        "n": count(estimate.n),
    }
    if not few:
        evidence |= {
            "low": write_rise(assessment, estimate.low, relative, unit=False),
            "high": write_rise(assessment, estimate.high, relative),
        }
    names = {"loss": loss.label, "step": name_step(assessment), "rival": assessment.measurements.levels[rival].name,
             "relative": " relative to the loss" if relative else ""}  # fmt: skip
    unit = "%" if relative else loss.difference_unit
    case = "never" if never else "few" if few else verdict
    return Result(case, verdict, None if few else estimate, unit, estimate.n, "seeds", evidence, names)
