"""Estimate from finished runs how many seeds a study needs, and what they cost."""

import math

from lrreport.errors import LrreportError
from lrreport.inference.assessment import Assessment
from lrreport.inference.statistics import MOST_PLANNED
from lrreport.record.record import KeptRecord
from lrreport.report.load import LoadedReport, assess_report
from lrreport.study.formats import count_nouns, format_number, list_words
from lrreport.study.study import Study


def describe_plan(study: Study, loaded: LoadedReport) -> str:
    """Return how many seeds bring each level that may be the best within the margin, with the 80 % range, and their cost.

    The estimate uses only the spread of the runs, not the observed differences.
    """
    assessment = assess_report(loaded)
    decision, names = assessment.decision, {level.index: level.name for level in study.levels}
    n_runs = len(loaded.kept)
    lines = [f"From {count_nouns(n_runs, 'finished run')} at {count_nouns(len(decision.compared), 'level')}:"]
    if decision.chosen is not None:
        kind = "is the best" if decision.verdict == "best" else "is good enough"
        return "\n".join([*lines, f"decided already: {names[decision.chosen]} {kind}; no more seeds are needed."])
    plan, candidates = decision.more_seeds, decision.candidates
    if plan is None:
        raise LrreportError(f"{study.where}: nothing to plan from: {_explain(assessment)}")
    who = list_words([names[index] for index in candidates])
    if math.isinf(plan.n):
        return "\n".join(
            [*lines, f"more than {MOST_PLANNED} seeds of {who} would be needed; a larger margin decides sooner."]
        )
    high = f"{plan.high:.0f}" if math.isfinite(plan.high) else f"more than {MOST_PLANNED}"
    margin = assessment.measurements.metric.format_difference(decision.margin or math.nan)
    lines.append(
        f"about {plan.n:.0f} seeds each of {who} (80 % range: {plan.low:.0f} to {high}) would show which is best, or that they "
        f"differ by less than {margin}."
    )
    have = {index: sum(level == index for level, _ in loaded.kept) for index in candidates}
    n_more = sum(max(0, int(plan.n) - n) for n in have.values())
    seconds = [spent for run in loaded.kept.values() if (spent := _find_seconds(run)) is not None]
    cost = f", about {format_number(n_more * sum(seconds) / len(seconds), 0)} CPU seconds" if seconds else ""
    lines.append(f"That is {count_nouns(n_more, 'run')} more{cost}.")
    return "\n".join(lines)


def _explain(assessment: Assessment) -> str:
    decision = assessment.decision
    if decision.margin is None:
        return "the metric that decides has no margin; set decide.margin"
    return "it takes two seeds or more of two levels that may be the best; make a pilot with --seeds 0-2"


def _find_seconds(run: KeptRecord) -> float | None:
    """Return the CPU seconds of a run's training, or its wall seconds; None where neither was recorded."""
    record = run.record
    spent = next((series.values for series in record.history if series.metric == "cpu_seconds"), None)
    if spent is not None:
        return float(sum(value for value in spent if value is not None))
    for name in ("cpu_seconds", "wall_seconds"):
        if isinstance(record.facts.get(name), int | float):
            return float(record.facts[name])
    return None
