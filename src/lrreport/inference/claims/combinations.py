"""Claims on two factors: whether the best value of the first moves with the second, and which value of the second is better."""

import math
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims.claim import Result, Untestable, Verdict, add_claim
from lrreport.inference.claims.pairs import require_seeds
from lrreport.inference.claims.search import CHOICE, SOURCE, choice
from lrreport.inference.statistics import Estimate, compare_levels
from lrreport.inference.words import count, list_levels, quantify_difference, quantify_levels
from lrreport.study.factors import Factor
from lrreport.study.formats import Quantity, list_words


def _require_two_factors(assessment: Assessment) -> tuple[Factor, Factor]:
    if len(assessment.measurements.factors) < 2:
        raise Untestable("the study varies one setting only")
    first, second = assessment.measurements.factors
    return first, second


@add_claim("best_combination", rule=CHOICE, source=SOURCE, never=("contradicted",))
def best_combination(assessment: Assessment) -> Result:
    """A combination of both factors is the choice."""
    _require_two_factors(assessment)
    return choice(assessment)


@add_claim(
    "best_rate_moves",
    rule="Within each value of the second factor, the levels that may be the best there, all values together with 95 % over all "
    "looks. Supported if two values have no value of the first factor in common; contradicted if one and the same, inside the "
    "range tried, is the only one with every value. A level whose runs are missing may be the best. A shift smaller than the "
    "steps between the values tried does not show.",
    source=SOURCE,
)
def best_rate_moves(assessment: Assessment) -> Result:
    """The best value of the first factor differs between values of the second."""
    first, second = _require_two_factors(assessment)
    measurements, within = assessment.measurements, assessment.decision.within
    usable = {value: part for value, part in within.items() if len(part.compared) > 1 and part.leader is not None}
    if len(usable) < 2:
        raise Untestable(f"fewer than two values of {second.label} have two {first.label}s to compare")
    if max(int(part.table.n[part.leader]) for part in usable.values()) < 2:
        raise Untestable("there is one seed, and telling a difference from chance takes two or more")
    may = {
        value: {_value(measurements, first, i) for i in (*part.candidates, *_list_absent(assessment, second, value))}
        for value, part in usable.items()
    }
    leads = {value: {_value(measurements, first, part.leader)} for value, part in usable.items()}
    apart = [(a, b) for a, b in combinations(may, 2) if not may[a] & may[b]]
    common = set.intersection(*may.values())
    ends = (min(first.values), max(first.values)) if first.numeric else ()
    whole = set(usable) == set(second.values)
    alone = whole and all(len(levels) == 1 for levels in may.values()) and len(common) == 1
    verdict: Verdict = "supported" if apart else "contradicted" if alone and not common & set(ends) else "undecided"
    case: str = "end" if alone and verdict == "undecided" else verdict
    a, b = apart[0] if apart else (None, None)
    shared = sorted(common, key=list(first.values).index)
    evidence: dict[str, Quantity] = {
        "n": count(min(int(part.table.n[list(part.compared)].min()) for part in usable.values()))
    }
    for key, factor in (("first", first), ("second", second)):
        values = factor.values if factor.numeric else ()
        evidence |= {f"{key}_{i}": Quantity(float(value), factor.format(value)) for i, value in enumerate(values, 1)}
    names = {
        "factor": first.label, "second": second.label, "leads": list_words(_list_by_value(first, second, leads)),
        "cannot": "; ".join(_list_by_value(first, second, may)),
        "a": second.name_value(a) if apart else "", "b": second.format(b) if apart else "",
        "common": _list_values(first, *shared) if shared else "",
        "but": f", but {_list_values(first, *shared)} may be the best with any" if shared else ", but others may be as well",
    }  # fmt: skip
    return Result(case, verdict, None, "", int(evidence["n"].value), "seeds", evidence, names)


def _value(measurements: Any, factor: Factor, level: int | None) -> Any:
    return measurements.levels[level].values[factor.name]


def _list_values(factor: Factor, *values: Any) -> str:
    ordered = sorted(values, key=list(factor.values).index)
    return list_words([factor.name_value(value) for value in ordered], "or")


def _list_by_value(first: Factor, second: Factor, by_value: Mapping[Any, Iterable[Any]]) -> list[str]:
    """Return values of the first factor by value of the second: ["0.1 or 0.01 with batch size 32", "0.1 with 128"]."""
    return [
        f"{_list_values(first, *values)} with {second.format(value) if i else second.name_value(value)}"
        for i, (value, values) in enumerate(by_value.items())
    ]


@add_claim(
    "higher_when_tuned", "value", "than_value",
    rule="Supported if some level with the one value beats every level with the other, one-sided, at the error of this look "
    "divided by the numbers of levels with the one value and of ordered pairs of values; contradicted the other way. The "
    "interval is that of these limits: it leaves out 0 if and only if the claim is decided.",
    source="Berger (1982), intersection–union tests; Bonferroni",
)  # fmt: skip
def higher_when_tuned(assessment: Assessment, value: Any, than_value: Any) -> Result:
    """The best level at a value of the second factor is better than the best at another value."""
    _, second = _require_two_factors(assessment)
    measurements, metric = assessment.measurements, assessment.measurements.metric
    groups = [[i for i in assessment.compared if measurements.levels[i].values[second.name] == second_value]
              for second_value in (value, than_value)]  # fmt: skip
    for group, second_value in zip(groups, (value, than_value), strict=True):
        if not group:
            raise Untestable(f"no seed trained with {second.name_value(second_value)}")
    ahead, behind = _limit_lead(assessment, *groups), _limit_lead(assessment, *groups[::-1])
    verdict: Verdict = "supported" if ahead > 0 else "contradicted" if behind > 0 else "undecided"
    means = metric.sign * assessment.scores[metric.name].mean()
    lead, than_lead = (max(group, key=lambda i: float(means[i])) for group in groups)
    require_seeds(assessment, (lead, than_lead), metric.name)
    if missing := [i for second_value in (value, than_value) for i in _list_absent(assessment, second, second_value)]:
        raise Untestable(f"{list_levels(measurements, sorted(missing))} has no run and might be the best there")
    low, high = sorted((metric.sign * ahead, -metric.sign * behind))
    n = int(assessment.scores[metric.name][[lead, than_lead]].notna().sum().min())
    estimate = Estimate(metric.sign * float(means[lead] - means[than_lead]), low, high, n=n)
    bounded = math.isfinite(low) and math.isfinite(high)
    leaders = quantify_levels(measurements, {"lead": lead, "than_lead": than_lead})
    evidence = quantify_difference(metric, estimate) | leaders
    for key in ("p",) if bounded else ("p", "low", "high"):
        del evidence[key]
    for key, second_value in (("value", value), ("than_value", than_value)):
        if second.numeric:
            evidence[key] = Quantity(float(second_value), second.format(second_value))
    names = {
        "lead": measurements.levels[lead].name, "than_lead": measurements.levels[than_lead].name, "metric": metric.label,
        "side": "above" if estimate.mean >= 0 else "below",
        "value_name": second.name_value(value), "than_name": second.name_value(than_value),
    }  # fmt: skip
    case, shown = (verdict, estimate) if bounded else ("unbounded", None)
    return Result(case, verdict, shown, metric.difference_unit, n, "seeds", evidence, names)


def _limit_lead(assessment: Assessment, group: list[int], behind: list[int]) -> float:
    """Return the lower limit of the lead of the best level of a group over the best of another."""
    measurements, metric = assessment.measurements, assessment.measurements.metric
    n_values = len(measurements.factors[1].values)
    values = assessment.scores[metric.name][[*group, *behind]].to_numpy()
    comparisons = compare_levels(values, measurements.paired, metric.sign, assessment.resolutions[metric.name])
    limits, _ = comparisons.find_limits(assessment.decision.alpha / (len(group) * n_values * (n_values - 1)))
    return float(limits[: len(group), len(group) :].min(axis=1).max())


def _list_absent(assessment: Assessment, factor: Factor, value: Any) -> list[int]:
    """Return the levels at a value of a factor that have no run."""
    levels, n_runs = assessment.measurements.levels, assessment.decision.table.n_runs
    return [i for i, level in enumerate(levels) if level.values[factor.name] == value and not n_runs[i]]
