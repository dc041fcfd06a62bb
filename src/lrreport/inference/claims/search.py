"""Claims about the whole study: did it finish, was its range wide enough, do loss and metric agree, which level to choose?"""

import math
from itertools import combinations

from lrreport.inference.assessment import Assessment
from lrreport.inference.choice import Decision
from lrreport.inference.claims.claim import Result, Untestable, Verdict, add_claim
from lrreport.inference.edges import Edge
from lrreport.inference.statistics import Estimate
from lrreport.inference.words import (
    count,
    count_levels,
    list_levels,
    name_nouns,
    quantify_levels,
    quantify_list,
    write_difference,
    write_share,
    write_value,
)
from lrreport.study.factors import Factor
from lrreport.study.formats import Quantity, count_nouns, list_words
from lrreport.study.metrics import Metric

REASONS = {  # why there is no choice, as a clause
    "no runs": "there is no run",
    "no scores": "no run has a value of the deciding metric",
    "none learns": "every seed diverged or ends no better than guessing",
    "no choice": "the study only reproduces, so nothing is chosen",
    "one level": "only one {noun} was tried",
    "one trained": "all seeds of the {noun} with the best mean failed but one",
    "one seed": "there is one seed, and telling a difference from chance takes two or more",
    "error spent": "its earlier looks spent the whole error of 5 %; a new study on fresh seeds can decide",
}
CHOICE = (
    "The highest mean of the deciding metric: best if no other may be, good enough if it lies at most the margin behind the "
    "best of those tried, else undecided. With 95 % over all looks a best one is among those that may be the best and no level "
    "lies farther behind than stated. A study that declares its first look the only one spends 5 % on it; any other spends "
    "5 % / (m (m + 1)) on look m. Fewer than three seeds choose nothing. Test values are read once and choose nothing."
)
SOURCE = "Edwards and Hsu (1983); Kim and Nelson (2001); Hong and Nelson (2007)"


@add_claim(
    "all_finished",
    rule="Supported if every planned run is there and none of them diverged.",
    source="a count of the runs",
    never=("undecided",),
)
def all_finished(assessment: Assessment) -> Result:
    """Every planned run trained to its end."""
    measurements, table = assessment.measurements, assessment.decision.table
    missing = measurements.list_missing()
    n_planned = int(table.n_runs.sum()) + len(missing)
    n_diverged = int(table.n_diverged.sum())
    if not n_planned:
        raise Untestable("there is no run")
    gone = sorted({level for level, _ in missing})
    broken = [int(i) for i in table.index[table.n_diverged > 0]]
    evidence = {"n": count(n_planned), "n_levels": count(len(table)), "n_diverged": count(n_diverged),
                "n_missing": count(len(missing)),
                **quantify_list(measurements, "diverged", broken), **quantify_list(measurements, "missing", gone)}  # fmt: skip
    problems = []
    if n_diverged:
        problems.append(f"{count_nouns(n_diverged, 'run')} diverged ({list_levels(measurements, broken)})")
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        problems.append(f"{count_nouns(len(missing), 'run')} {verb} missing ({list_levels(measurements, gone)})")
    case = "problems" if problems else "only" if n_planned == 1 else "finished"
    names = {"problems": list_words(problems) if problems else "", "levels": count_levels(measurements, len(table))}
    verdict: Verdict = "contradicted" if problems else "supported"
    return Result(case, verdict, None, "", n_planned, "runs", evidence, names)


@add_claim(
    "loss_ranks_as_accuracy",
    rule="Of the pairs of levels that differ clearly both on the deciding metric and on the loss (simultaneous intervals over "
    "all pairs): supported if the same level is better on both in each, contradicted if not in some.",
    source="Dunn (1961)",
)
def loss_ranks_as_accuracy(assessment: Assessment) -> Result:
    """The loss puts the levels into the same order as the metric that decides."""
    measurements, metric, loss = assessment.measurements, assessment.measurements.metric, assessment.loss
    if loss is None or loss.name == metric.name:
        raise Untestable("there is no second metric to compare it with" if loss else "there is no loss")
    levels = [i for i in assessment.compared if assessment.scores[loss.name][i].notna().sum() > 1]
    if len(levels) < 2:
        raise Untestable(f"there are no two {name_nouns(measurements)[1]} with two seeds or more")
    agree: list[tuple[int, int]] = []
    against: list[tuple[int, int]] = []
    on_metric, on_loss = (
        assessment.compare_all(levels, m.name) for m in (metric, loss)
    )  # signs: better, unclear, worse
    for i, j in combinations(range(len(levels)), 2):
        if on_metric[i, j] and on_loss[i, j]:
            pair = (levels[i], levels[j]) if on_metric[i, j] > 0 else (levels[j], levels[i])
            (agree if on_metric[i, j] == on_loss[i, j] else against).append(pair)
    n_pairs, n_apart = math.comb(len(levels), 2), len(agree) + len(against)
    verdict: Verdict = "contradicted" if against else "supported" if agree else "undecided"
    case = verdict if verdict != "supported" else "all" if n_apart == n_pairs else "some"
    n = int(assessment.decision.table.n[levels].min())
    evidence = {"n_pairs": count(n_pairs), "n_apart": count(n_apart), "n_against": count(len(against)), "n": count(n)}
    names = {"metric": metric.label, "loss": loss.label, "noun": name_nouns(measurements)[0],
             "nouns": name_nouns(measurements)[1], "tried": count_nouns(n_pairs, "pair"),
             "differ": "differs" if n_apart == 1 else "differ",
             "pairs": "the only pair" if n_pairs == 1 else f"all {n_pairs} pairs"}  # fmt: skip
    if against:
        better, worse = against[0]
        names |= {"better": measurements.levels[better].name, "worse": measurements.levels[worse].name,
                  "more": "" if len(against) == 1 else f", as in {len(against)} of {n_pairs} pairs"}  # fmt: skip
        evidence |= quantify_levels(measurements, {"better": better, "worse": worse})
    return Result(case, verdict, None, "", n, "seeds", evidence, names)


def find_edge(assessment: Assessment, factor: str | None = None) -> tuple[Edge, Factor]:
    """Return the edge of a factor, by default of the first that has an order, and the factor."""
    factors, edges = assessment.measurements.factors, assessment.decision.edges
    chosen = next((f for f in factors if f.name == factor), None) or next((f for f in factors if f.numeric), factors[0])
    return edges[factors.index(chosen)], chosen


@add_claim(
    "edge_of_range",
    rule="Supported if a level at an end of the range may be the best and its mean is not behind that of its neighbour by the "
    "margin; contradicted if both ends are out and neither is practically as good as the best; else undecided.",
    source=SOURCE,
    optional=("factor",),
)
def edge_of_range(assessment: Assessment, factor: str | None = None) -> Result:
    """A level that may be the best lies at an end of the range tried, so better levels may lie outside."""
    measurements = assessment.measurements
    edge, varied = find_edge(assessment, factor)
    noun, several = name_nouns(measurements) if len(measurements.factors) == 1 else (varied.label, f"{varied.label}s")
    if edge.verdict == "not testable":
        reasons = {"no order": f"the values of {varied.label} have no order", "one value": f"only one {noun} was tried",
                   "no decision": REASONS.get(assessment.decision.reason, "nothing was compared").format(noun=noun)}  # fmt: skip
        raise Untestable(reasons.get(edge.reason, f"there is {edge.reason} of the range"))
    ends = [level for level, _ in edge.ends]
    sides = list(dict.fromkeys(side for _, side in edge.ends))
    steps = [varied.format(value) for value in edge.next_values]
    evidence = {
        **quantify_list(measurements, "end", ends),
        **{
            f"next_{i}": Quantity(float(value), text)
            for i, (value, text) in enumerate(zip(edge.next_values, steps, strict=True), 1)
        },
        **quantify_list(measurements, "failed", edge.failed),
        "lowest": Quantity(float(min(varied.values)), varied.format(min(varied.values))),
        "highest": Quantity(float(max(varied.values)), varied.format(max(varied.values))),
        "n": count(assessment.decision.table.n[list(assessment.compared)].min()),
    }
    failed = f" Every seed failed at {list_levels(measurements, edge.failed)}." if edge.failed else ""
    near = [i for i in ends if not assessment.decision.table.may_be_best[i]]
    names = {
        "ends": list_levels(measurements, ends) if ends else "",
        "lie": "lies" if len(ends) == 1 else "lie",
        "side": "both ends" if len(sides) == 2 else f"the {sides[0]} end" if sides else "",
        "failed": failed,
        "nouns": several,
        "range": "range" if len(measurements.factors) == 1 else f"range of {several}",
        "next": f" Next to try: {list_words(steps)}." if steps else "",
        "state": _say_state(len(ends), len(near)),
    }
    return Result(edge.verdict, edge.verdict, None, "", int(evidence["n"].value), "seeds", evidence, names)


def _say_state(n_ends: int, n_near: int) -> str:
    """Return why ends leave it undecided whether the range is wide enough; `n_near` of them are out, but close."""
    if n_near == n_ends:
        return f"{'is' if n_ends == 1 else 'are'} practically as good as the best"
    if n_near:
        return "may be the best or practically as good"
    whose = (
        "its mean is behind that of its neighbour"
        if n_ends == 1
        else "their means are behind those of their neighbours"
    )
    return f"may be the best, though {whose} by the margin or more"


def describe_choice(assessment: Assessment, decision: Decision) -> tuple[str, dict[str, Quantity], dict[str, str]]:
    """Return the case of a choice's phrase, its evidence and its names; raise Untestable where nothing can be chosen."""
    if decision.leader is None or decision.verdict == "not testable":
        raise _explain_no_choice(assessment, decision)
    measurements, metric, table = assessment.measurements, assessment.measurements.metric, decision.table
    shown = decision.chosen if decision.chosen is not None else decision.leader
    candidates, tied = decision.candidates, sorted(decision.tied)
    n, n_failed = int(table.n_runs[shown]), int(table.n_failed[shown])
    bound, at_most = _bound_others(metric, float(table.behind_at_most[shown]), decision.margin)
    evidence = {
        "mean": write_value(metric, float(table["mean"][shown])),
        "n": count(table.n[shown]),
        "n_levels": count(len(decision.compared)),
        "n_runs": count(n),
        "n_failed": count(n_failed),
        "failed_low": write_share(float(table.failed_low[shown]), unit=False),
        "failed_high": write_share(float(table.failed_high[shown])),
        **quantify_levels(measurements, {"level": shown}),
        **quantify_list(measurements, "equal", decision.equal),
        **quantify_list(measurements, "candidate", candidates),
        **quantify_list(measurements, "tied", tied),
        **at_most,
    }
    if decision.margin is not None:
        evidence["margin"] = write_difference(metric, decision.margin, ())
    verb = "is" if len(decision.equal) == 1 else "are"
    names = _name_decision(assessment) | {
        "level": measurements.levels[shown].name,
        "candidates": list_levels(measurements, candidates, "or"),
        "equal": f" {list_levels(measurements, decision.equal)} {verb} practically as good." if decision.equal else "",
        "preferred": f" Of those, the study prefers the {measurements.decide.prefer}." if decision.preferred else "",
        "failures": say_failures(n, n_failed, evidence),
        "tied": f" {list_levels(measurements, tied)} share that mean exactly." if tied else "",
        "bound": bound,
    }
    return decision.reason or decision.verdict, evidence, names


def _name_decision(assessment: Assessment) -> dict[str, str]:
    metric, (noun, several) = assessment.measurements.metric, name_nouns(assessment.measurements)
    extreme = "highest" if metric.better == "higher" else "lowest"
    return {"metric": metric.label, "point": assessment.point.text, "noun": noun, "nouns": several, "extreme": extreme}


def _explain_no_choice(assessment: Assessment, decision: Decision) -> Untestable:
    """Return why nothing can be chosen; of a single seed or level, with its mean."""
    measurements, metric, leader = assessment.measurements, assessment.measurements.metric, decision.leader
    names = _name_decision(assessment)
    reason = REASONS[decision.reason].format(noun=names["noun"])
    if leader is None or decision.reason not in ("one seed", "one level"):
        return Untestable(reason)
    tied, mean = sorted(decision.tied), write_value(metric, float(decision.table["mean"][leader]))
    evidence = {"mean": mean, **quantify_list(measurements, "level", tied or [leader])}
    name = measurements.levels[leader].name
    if decision.reason == "one level":
        return Untestable(f"{reason}; {name} has a {metric.label} of {mean}", evidence)
    who = f"{list_levels(measurements, tied)} share" if len(tied) > 1 else f"{name} has"
    return Untestable(f"{reason}; {who} the {names['extreme']} {metric.label}, {mean}", evidence)


def _bound_others(metric: Metric, at_most: float, margin: float | None) -> tuple[str, dict[str, Quantity]]:
    """Return how much better another level may be than the shown level, as a clause and as evidence."""
    if not math.isfinite(at_most):
        return "", {}
    if metric.low is not None and metric.high is not None and at_most >= metric.high - metric.low:
        return ", but another may be any amount better", {"at_most": Quantity(at_most, "no limit")}
    written = write_difference(metric, at_most, () if margin is None else (margin,))
    return f", but another may be up to {written} better", {"at_most": written}


def say_failures(n: int, n_failed: int, evidence: dict[str, Quantity]) -> str:
    """Return a sentence on how many runs failed, and with what rate they may."""
    if not n_failed:
        return f" All of its {n} runs trained (failure rates up to {evidence['failed_high']} remain possible)."
    return f" {n_failed} of its {n} runs failed (95 % interval {evidence['failed_low']} to {evidence['failed_high']})."


@add_claim("choice", rule=CHOICE, source=SOURCE, never=("contradicted",))
def choice(assessment: Assessment) -> Result:
    """A level is the choice: the best, or good enough."""
    decision = assessment.decision
    case, evidence, names = describe_choice(assessment, decision)
    verdict: Verdict = "supported" if decision.chosen is not None else "undecided"
    shown = decision.chosen if decision.chosen is not None else decision.leader
    at_most = float(decision.table.behind_at_most[shown])
    behind = min(at_most, max(0.0, _gap_to_leader(assessment, shown)))
    estimate = Estimate(behind, 0.0, at_most) if math.isfinite(at_most) else None
    unit = assessment.measurements.metric.difference_unit
    return Result(case, verdict, estimate, unit, int(evidence["n"].value), "seeds", evidence, names)


def _gap_to_leader(assessment: Assessment, level: int | None) -> float:
    means = assessment.measurements.metric.sign * assessment.decision.table["mean"]
    return float(means[assessment.decision.leader] - means[level])
