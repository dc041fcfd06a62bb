"""The next step: a wider range, more seeds, more epochs, or nothing."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims import Finding
from lrreport.inference.edges import Edge, list_next
from lrreport.inference.statistics import MOST_PLANNED
from lrreport.inference.story.answer import name_values
from lrreport.inference.story.paragraph import NAMED, find_thin, name_few, quantify_few
from lrreport.inference.words import count, list_levels, name_nouns, quantify_levels
from lrreport.study.factors import Factor
from lrreport.study.formats import Quantity, capitalize, format_count, list_words

FEW, ENOUGH = 6, 5  # candidates named; seeds to run where there are too few to choose


@dataclass(frozen=True)
class NextStep:
    """What to do next, in words without a command, and with which values: of a factor, or a number of seeds or epochs."""

    kind: Literal["range", "seeds", "epochs", "none"]
    title: str
    text: str
    factor: str | None = None
    values: tuple[Any, ...] = ()
    n_seeds: int | None = None
    evidence: dict[str, Quantity] = field(default_factory=dict)


def plan_next(assessment: Assessment, findings: Sequence[Finding]) -> NextStep:
    """Return the next step: seeds where there are too few, a wider range, more seeds until decided, more epochs, or none.

    A wider range comes first where the chosen or leading level lies at an end. Where only rivals lie there,
    because of too few seeds, more seeds come first.
    """
    measurements, decision = assessment.measurements, assessment.decision
    if decision.reason in ("one seed", "two seeds", "one trained", "few trained"):
        plan, noun = decision.more_seeds, name_nouns(measurements)[0]
        if decision.reason in ("one seed", "two seeds"):
            plan = None  # the spread of two seeds does not say how many decide
        n = max(ENOUGH, int(plan.n) if plan is not None and math.isfinite(plan.n) else ENOUGH)
        text = f"Run {n} seeds of each {noun}; a choice needs three or more that train."
        return NextStep("seeds", "more seeds", text, n_seeds=n, evidence={"n": count(n)})
    if decision.reason in ("no runs", "no scores"):
        return NextStep("seeds", "run the study", f"Until then there is no {measurements.metric.label} to compare.")
    if decision.reason == "no choice":
        return NextStep("none", "nothing to run", "The study only reproduces.")
    if decision.leader is None or decision.reason == "one level":
        return _try_others(assessment)
    thin = find_thin(assessment)
    if decision.chosen is None and len(thin) > len(decision.candidates) / 2:
        return _add_seeds(assessment, thin)
    shown = decision.chosen if decision.chosen is not None else decision.leader
    pairs = zip(measurements.factors, decision.edges, strict=True)
    open_edges = [(factor, edge) for factor, edge in pairs if edge.verdict == "supported" and edge.next_values]
    open_edges.sort(key=lambda pair: shown not in [level for level, _ in pair[1].ends])
    if open_edges and (decision.chosen is not None or shown in [level for level, _ in open_edges[0][1].ends]):
        return _widen(assessment, *open_edges[0])
    if decision.chosen is None:
        return _plan_seeds(assessment, *open_edges[:1])
    for finding in findings:
        concerns_choice = finding.claim == "still_improving" and finding.arguments["level"] == decision.chosen
        if concerns_choice and finding.verdict == "supported":
            return _train_longer(assessment, decision.chosen, finding)
    inside = any(edge.verdict == "contradicted" for edge in decision.edges)
    text = "The choice lies inside the range tried." if inside else "No further run is needed for this choice."
    return NextStep("none", "nothing to run", text)


def _add_seeds(assessment: Assessment, thin: Sequence[int]) -> NextStep:
    """Return more seeds for levels with too few to be ruled out."""
    measurements, several = assessment.measurements, name_nouns(assessment.measurements)[1]
    who = f"{capitalize(name_few(assessment, thin, several))} {'has' if len(thin) == 1 else 'have'}"
    n = int(assessment.decision.table.n[assessment.decision.leader])
    text = f"{who} too few seeds to be ruled out. Run {n} seeds of those whose mean is near the best."
    return NextStep("seeds", "more seeds", text, evidence=quantify_few(measurements, "thin", thin) | {"n": count(n)})


def _try_others(assessment: Assessment) -> NextStep:
    """Return values on both sides of the range tried, where a single level was tried or none learned."""
    measurements, first = assessment.measurements, assessment.measurements.factors[0]
    values: list[Any] = []
    if first.numeric and len(first.values) > 1:
        values = [*list_next(first, "lowest", 1), *list_next(first, "highest", 1)]
    elif first.numeric:
        values = [float(f"{float(first.values[0]) * factor:.1g}") for factor in (1 / 3, 3)]
    texts = [first.format(value) for value in values]
    text = f"Try {list_words(texts)}." if values else f"Try another {name_nouns(measurements)[0]}."
    title = f"other {name_values(first)}"
    return NextStep("range", title, text, first.name, tuple(values), evidence=_quantify_values(texts, values))


def _widen(assessment: Assessment, factor: Factor, edge: Edge) -> NextStep:
    """Return the values to try beyond the ends that may be the best."""
    measurements, decision, noun = assessment.measurements, assessment.decision, name_values(factor)
    sides = list(dict.fromkeys(side for _, side in edge.ends))
    kinds = ["higher" if side == "highest" else "lower" for side in sides]
    levels = [level for level, _ in edge.ends]
    ends = _name_ends(assessment, factor, edge)
    texts = [factor.format(value) for value in edge.next_values]
    state = "is the only one that trained" if len(decision.compared) == 1 else "may be the best"
    where = "" if factor.name == "learning_rate" else f" as {factor.name} in the study"
    text = f"{capitalize(ends)} {state}. Try {list_words(texts)}{where}."
    evidence = _quantify_values(texts, edge.next_values) | quantify_few(measurements, "end", levels)
    plan = decision.more_seeds
    if plan is not None:
        evidence["n"] = count(min(plan.n, MOST_PLANNED))
        would = f"About {evidence['n']} seeds each would"
        if math.isinf(plan.n):
            would = f"More than {evidence['n']} seeds each would be needed to"
        text += f" {would} decide between those tried."
    title = f"{kinds[0]} {noun}" if len(kinds) == 1 else "a wider range"
    return NextStep("range", title, text, factor.name, edge.next_values, evidence=evidence)


def _name_ends(assessment: Assessment, factor: Factor, edge: Edge) -> str:
    """Return the ends of the range that may be the best: "0.1, the highest rate tried,"; of two factors the values alone."""
    measurements, noun = assessment.measurements, name_values(factor)
    sides = list(dict.fromkeys(side for _, side in edge.ends))
    levels = [level for level, _ in edge.ends]
    singular = "rate" if noun == "rates" else factor.label
    if len(measurements.factors) > 1:
        values = {side: measurements.levels[level].values[factor.name] for level, side in edge.ends}
        first = factor.name_value(values[sides[0]])
        of = f" {singular}" if first == factor.format(values[sides[0]]) else ""  # else its name says what it is
        ends = [f"{first}, the {sides[0]}{of} tried,"]
        return " and ".join(ends + [f"{factor.format(values[side])}, the {side}," for side in sides[1:]])
    if len(levels) > NAMED:
        return f"{format_count(len(levels))} {name_nouns(measurements)[1]} at an end of the {noun} tried"
    if len(sides) == len(edge.ends):
        return " and ".join(f"{measurements.levels[i].name}, the {side} {singular} tried," for i, side in edge.ends)
    return f"{list_levels(measurements, levels)}, the {list_words([*sides])} {singular} tried,"


def _train_longer(assessment: Assessment, level: int, finding: Finding) -> NextStep:
    more = 2 * finding.evidence["budget"].value
    axis = assessment.curves[(assessment.loss or assessment.measurements.metric).name].index.name
    evidence = {
        "epochs": Quantity(more, format_count(more)),
        **quantify_levels(assessment.measurements, {"level": level}),
    }
    unit = f"{axis}s" if axis in ("epoch", "step") else f"{axis}"
    text = (
        f"{assessment.measurements.levels[level].name} is still improving at the end. Try {evidence['epochs']} {unit}."
    )
    return NextStep("epochs", "longer training", text, values=(more,), evidence=evidence)


def _quantify_values(texts: Sequence[str], values: Iterable[Any]) -> dict[str, Quantity]:
    pairs = enumerate(zip(texts, values, strict=True), start=1)
    return {f"value_{i}": Quantity(float(value), text) for i, (text, value) in pairs}


def _plan_seeds(assessment: Assessment, open_edge: tuple[Factor, Edge] | None = None) -> NextStep:
    """Return how many seeds would decide, for the levels that may be the best; the rest need none.

    `open_edge` is a factor whose range may be too narrow, which is worth a try after that.
    """
    step = _count_seeds(assessment)
    if open_edge is None or not step.evidence:
        return step
    factor, edge = open_edge
    texts = [factor.format(value) for value in edge.next_values]
    sides = dict.fromkeys("higher" if side == "highest" else "lower" for _, side in edge.ends)
    text = f"{step.text} Also try {list_words([*sides])} {name_values(factor)}: {list_words(texts)}."
    return replace(step, text=text, evidence=step.evidence | _quantify_values(texts, edge.next_values))


def _count_seeds(assessment: Assessment) -> NextStep:
    measurements, decision = assessment.measurements, assessment.decision
    plan, candidates, (noun, several) = decision.more_seeds, decision.candidates, name_nouns(measurements)
    who = list_levels(measurements, candidates)
    if len(candidates) > FEW or len(measurements.factors) > 1:
        who = f"these {len(candidates)} {several}"
    evidence = quantify_few(measurements, "candidate", candidates)
    if decision.reason == "error spent":
        text = "The looks so far used the whole error of 5 %; fresh seeds in a new study can decide."
        return NextStep("seeds", "a new study", text)
    if decision.margin is None:
        text = f"Name in the study the difference that counts as small, or run more seeds of {who}."
        return NextStep("seeds", "name a margin", text, evidence=evidence)
    if plan is None:
        return NextStep("seeds", "more seeds", f"Run more seeds of {who}.", evidence=evidence)
    if math.isinf(plan.n):
        evidence["most"] = count(MOST_PLANNED)
        text = (
            f"More than {MOST_PLANNED} seeds would be needed to decide between {who}; a larger margin decides sooner."
        )
        return NextStep("seeds", "a larger margin", text, evidence=evidence)
    now = int(decision.table.n_runs[list(candidates)].max())
    evidence |= {"n": count(plan.n), "low": count(plan.low), "high": Quantity(plan.high, format_count(plan.high))}
    span = f"{evidence['low']} to {evidence['high']}" if math.isfinite(plan.high) else f"{evidence['low']} or more"
    evidence["now"] = count(now)
    text = (
        f"About {evidence['n']} seeds per {noun} (now {evidence['now']}; 80 % range {span}) would decide between {who}."
    )
    return NextStep("seeds", "more seeds", text, n_seeds=int(plan.n), evidence=evidence)
