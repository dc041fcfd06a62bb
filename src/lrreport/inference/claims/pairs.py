"""Claims about two levels: where they end, and how often they fail."""

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims.claim import Result, Untestable, Verdict, add_claim
from lrreport.inference.statistics import ALPHA, Estimate, estimate_share
from lrreport.inference.words import (
    count,
    count_seeds,
    quantify_difference,
    write_difference,
)
from lrreport.study.formats import Quantity, format_percent

FAMILY = (
    "All pairs of levels are one family: intervals hold for all pairs at once with 95 % (Bonferroni), and p ≤ 0.05 if and "
    "only if the interval leaves out 0. Differences are taken seed by seed where two levels ran the same seeds and pairing is "
    "declared (paired t), else by Welch's t."
)
T_TEST = "Student (1908); Welch (1947); Bonferroni intervals (Dunn, 1961)"


def require_seeds(assessment: Assessment, levels: tuple[int, ...], metric: str | None = None) -> None:
    """Raise Untestable unless each of these levels has two seeds or more that trained, with a value of the metric."""
    measurements, table = assessment.measurements, assessment.decision.table
    for i in levels:
        name = measurements.levels[i].name if len(levels) > 1 else "it"
        if not table.n_runs[i]:
            raise Untestable(f"{name} has no run")
        if not table.n[i]:
            raise Untestable(f"no seed of {measurements.levels[i].name} trained")
        n = int(assessment.scores[metric][i].notna().sum()) if metric else int(table.n[i])
        if n == 0 and metric:
            raise Untestable(f"{name} has no {measurements.metrics[metric].label}")
        if n < 2:
            raise Untestable(f"{name} has one seed, and telling a difference from chance takes two or more")


def compare(
    assessment: Assessment, level: int, than: int, metric: str
) -> tuple[Estimate, dict[str, Quantity], dict[str, str]]:
    """Return the difference of two levels on a metric (level minus than), and what a sentence says of it."""
    require_seeds(assessment, (level, than), metric)
    measured, margin = assessment.measurements.metrics[metric], assessment.measurements.find_margin(metric)
    estimate = assessment.compare_scores(level, than, metric)
    counts = count_seeds(*(int(assessment.scores[metric][i].notna().sum()) for i in (level, than)))
    evidence = quantify_difference(measured, estimate, counts, margin)
    if margin is not None:
        evidence["margin"] = write_difference(measured, margin)
    sides = {"side": "above" if estimate.mean >= 0 else "below", "metric": measured.label}
    return estimate, evidence, sides


def is_within(estimate: Estimate, margin: float | None) -> bool:
    """Return whether an interval lies wholly inside ± margin: equivalence by confidence limits (Schuirmann, 1987)."""
    return margin is not None and -margin < estimate.low and estimate.high < margin


def is_beyond(estimate: Estimate, margin: float) -> bool:
    """Return whether an interval lies wholly outside ± margin."""
    return estimate.low > margin or estimate.high < -margin


def decide_direction(estimate: Estimate, sign: int = 1) -> Verdict:
    """Return whether the interval excludes 0, and on which side, better being supported."""
    if sign * estimate.mean > 0 and (estimate.low > 0 or estimate.high < 0):
        return "supported"
    return "contradicted" if estimate.low > 0 or estimate.high < 0 else "undecided"


def _ask_direction(assessment: Assessment, level: int, than: int, metric: str, sign: int) -> Result:
    estimate, evidence, names = compare(assessment, level, than, metric)
    verdict = decide_direction(estimate, sign)
    case = names["side"]
    if verdict == "undecided":
        case = "equal" if is_within(estimate, assessment.measurements.find_margin(metric)) else "unclear"
    unit = assessment.measurements.metrics[metric].difference_unit
    return Result(case, verdict, estimate, unit, estimate.n, "seeds", evidence, names)


@add_claim(
    "higher", "level", "than", "metric",
    rule=f"Supported if the interval lies above 0, contradicted if below. {FAMILY}",
    source=T_TEST,
)  # fmt: skip
def higher(assessment: Assessment, level: int, than: int, metric: str) -> Result:
    """A level ends higher than another on a metric."""
    return _ask_direction(assessment, level, than, metric, 1)


@add_claim(
    "lower", "level", "than", "metric",
    rule=f"Supported if the interval lies below 0, contradicted if above. {FAMILY}",
    source=T_TEST,
)  # fmt: skip
def lower(assessment: Assessment, level: int, than: int, metric: str) -> Result:
    """A level ends lower than another on a metric."""
    return _ask_direction(assessment, level, than, metric, -1)


def _ask_slightly(assessment: Assessment, level: int, than: int, metric: str, sign: int) -> Result:
    margin = _require_margin(assessment, metric)
    plain = _ask_direction(assessment, level, than, metric, sign)
    estimate = plain.estimate
    assert estimate is not None
    case, verdict = plain.case, plain.verdict
    if verdict == "supported":
        close, far = is_within(estimate, margin), is_beyond(estimate, margin)
        case = f"{plain.case} {'slightly' if close else 'clearly' if far else 'somewhat'}"
        verdict = "supported" if close else "contradicted" if far else "undecided"
    return Result(case, verdict, estimate, plain.unit, plain.n, "seeds", plain.evidence, plain.names)


SLIGHTLY = f"and lies within the margin of 0; contradicted if it lies beyond the margin or on the other side. {FAMILY}"


@add_claim(
    "slightly_higher", "level", "than", "metric", rule=f"Supported if the interval lies above 0 {SLIGHTLY}", source=T_TEST
)  # fmt: skip
def slightly_higher(assessment: Assessment, level: int, than: int, metric: str) -> Result:
    """A level ends higher than another on a metric, by less than the margin."""
    return _ask_slightly(assessment, level, than, metric, 1)


@add_claim(
    "slightly_lower", "level", "than", "metric", rule=f"Supported if the interval lies below 0 {SLIGHTLY}", source=T_TEST
)  # fmt: skip
def slightly_lower(assessment: Assessment, level: int, than: int, metric: str) -> Result:
    """A level ends lower than another on a metric, by less than the margin."""
    return _ask_slightly(assessment, level, than, metric, -1)


def _require_margin(assessment: Assessment, metric: str) -> float:
    margin = assessment.measurements.find_margin(metric)
    if margin is None:
        raise Untestable(f"the study names no margin for {assessment.measurements.metrics[metric].label}")
    return margin


@add_claim(
    "practically_equal", "level", "than", "metric",
    rule=f"Supported if the interval lies within the margin of 0, contradicted if it lies beyond. {FAMILY}",
    source="Schuirmann (1987), equivalence by two one-sided tests",
)  # fmt: skip
def practically_equal(assessment: Assessment, level: int, than: int, metric: str) -> Result:
    """Two levels differ by less than the margin on a metric."""
    margin = _require_margin(assessment, metric)
    estimate, evidence, names = compare(assessment, level, than, metric)
    case = "equal" if is_within(estimate, margin) else "apart" if is_beyond(estimate, margin) else "unclear"
    verdict: Verdict = {"equal": "supported", "apart": "contradicted"}.get(case, "undecided")  # type: ignore[assignment]
    unit = assessment.measurements.metrics[metric].difference_unit
    return Result(case, verdict, estimate, unit, estimate.n, "seeds", evidence, names)


@add_claim(
    "fails_no_more_often", "level", "than",
    rule="A seed fails if it diverges or ends no better than guessing. The interval of the difference of the two shares comes "
    "from their exact intervals, each at half the error of its pair (Bonferroni over all pairs). Supported if it lies at or "
    "below 0, contradicted if above.",
    source="Clopper and Pearson (1934)",
)  # fmt: skip
def fails_no_more_often(assessment: Assessment, level: int, than: int) -> Result:
    """A level fails in no larger share of seeds than another."""
    table = assessment.decision.table
    for i in (level, than):
        if not table.n_runs[i]:
            raise Untestable(f"{assessment.measurements.levels[i].name} has no run")
    counts = {i: (int(table.n_failed[i]), int(table.n_runs[i])) for i in (level, than)}
    shares = {i: failed / n for i, (failed, n) in counts.items()}
    alpha = ALPHA / assessment.n_pairs / 2
    limits = {i: estimate_share(failed, n, alpha) for i, (failed, n) in counts.items()}
    low, high = limits[level][0] - limits[than][1], limits[level][1] - limits[than][0]
    estimate = Estimate(shares[level] - shares[than], low, high)
    verdict: Verdict = "supported" if high <= 0 else "contradicted" if low > 0 else "undecided"
    case = {"supported": "less", "contradicted": "more"}.get(verdict, "unclear" if any(shares.values()) else "none")
    evidence = {
        "failed": count(counts[level][0]),
        "runs": count(counts[level][1]),
        "than_failed": count(counts[than][0]),
        "than_runs": count(counts[than][1]),
        "low": Quantity(low, format_percent(low, 0).removesuffix(" %")),
        "high": Quantity(high, format_percent(high, 0).removesuffix(" %") + " points"),
    }
    return Result(case, verdict, estimate, "points", min(n for _, n in counts.values()), "seeds", evidence)
