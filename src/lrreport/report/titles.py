"""Titles of sections that state a result, headings of tables, and the words beside each level in the decision figure."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims import Finding
from lrreport.inference.measurements import Measurements
from lrreport.inference.statistics import estimate_mean
from lrreport.inference.story import NextStep
from lrreport.inference.words import list_levels, name_nouns
from lrreport.report.errors_by_class import ClassErrors
from lrreport.report.finding_view import FindingTable
from lrreport.report.load import LoadedReport
from lrreport.report.tables.settings import format_option, list_settings
from lrreport.study.formats import capitalize, count_nouns, format_count, format_percent, list_words
from lrreport.study.study import Study

QUESTIONS = {  # heading of a claim's column
    "learns": "Learns",
    "trains_stably": "Stable",
    "still_improving": "At the end",
    "levelled_off": "Levelled off",
    "overfits": "Overfitting",
    "sooner": "Pace",
    "more_stable": "Smoothness",
    "fails_no_more_often": "Failures",
}
NAMED_IN_TITLE = 3


def name_corner(assessment: Assessment) -> str:
    """Return the heading of the column that names levels: "Learning rate", "Combination"."""
    factors = assessment.measurements.factors
    return capitalize(factors[0].label) if len(factors) == 1 else "Combination"


def list_fixed(study: Study, network: str) -> list[str]:
    """Return the main fixed settings as a part of the kicker: "5 epochs, Adam, batch 64, MLP 128 × 64"."""
    fixed, parts = list_settings(study), []
    if not study.has_own_loop:
        return []
    varied = {factor.name for factor in study.factors}
    settings = study.settings_of(study.levels[0])
    if "epochs" not in varied:
        parts.append(count_nouns(int(settings["epochs"]), "epoch"))
    if not any(name.startswith("optimizer") and name == "optimizer" for name in varied):
        parts.append(format_option("optimizer", settings["optimizer"]["name"]))
    if "batch_size" not in varied:
        parts.append(f"batch {format_count(settings['batch_size'])}")
    parts += [network] if network else []
    if "schedule" in fixed:
        parts.append(f"{format_option('schedule', fixed['schedule'])} schedule")
    return [", ".join(parts)] if parts else []


def collect_notes(assessment: Assessment, findings: Sequence[Finding]) -> dict[str, dict[int, str]]:
    """Return by heading what stands beside each level in the decision figure: test, failures, stability, the last epochs."""
    measurements, table = assessment.measurements, assessment.decision.table
    notes: dict[str, dict[int, str]] = {}
    test = measurements.find_counterpart("test")
    if test is not None and test.name != measurements.decide.metric:
        means = assessment.scores[test.name].mean()
        shown = {int(i): test.format(float(mean), unit=False) for i, mean in means.items() if math.isfinite(mean)}
        if shown:
            unit = "%" if test.scale == "fraction" else test.unit
            notes[f"test{f', {unit}' if unit else ''}"] = shown
    tried = [int(i) for i in table.index[table.n_runs > 0]]
    notes["failed"] = {i: f"{table.n_failed[i]} of {table.n_runs[i]}" for i in tried}
    for claim, heading in (("trains_stably", "training"), ("still_improving", "at the end")):
        of_claim = [finding for finding in findings if finding.claim == claim]
        if any(finding.verdict != "not testable" for finding in of_claim):
            notes[heading] = {finding.arguments["level"]: finding.word for finding in of_claim}
    return notes


def title_metrics(assessment: Assessment, table: FindingTable) -> FindingTable:
    """Return a table of findings whose columns are metrics under the metrics' labels."""
    metrics = assessment.measurements.metrics
    by_heading = {name: capitalize(metric.label) for name, metric in metrics.items()}
    headings = [
        next((label for name, label in by_heading.items() if _is_column(column, name)), column)
        for column in table.columns
    ]
    return replace(table, columns=tuple(headings))


def _is_column(column: str, metric: str) -> bool:
    shown = metric.replace("_", " ")
    return column.lower() == shown or column.lower().endswith(f" {shown}")


def title_differences(assessment: Assessment) -> str:
    """Return what the comparison at the end comes to."""
    measurements, decision = assessment.measurements, assessment.decision
    noun, several = name_nouns(measurements)
    if len(decision.compared) < 2:
        return (
            f"What {measurements.levels[decision.compared[0]].name} reaches"
            if decision.compared
            else f"No {noun} learned"
        )
    leading = sorted({*decision.equal, *([decision.chosen] if decision.chosen is not None else [])})
    n_out = len(decision.ruled_out)
    out = f"{n_out} of {len(decision.compared)} {several} {'is' if n_out == 1 else 'are'} ruled out"
    if decision.verdict == "best":
        return f"{measurements.levels[decision.chosen or 0].name} is ahead of every other {noun}"
    if decision.verdict == "good enough" and 1 < len(leading) <= NAMED_IN_TITLE:
        return f"{list_levels(measurements, leading)} are practically equal" + (f"; {out}" if n_out else "")
    if decision.verdict == "good enough" and len(leading) > 1:
        return f"{format_count(len(leading))} {several} are practically as good as the best" + (
            f"; {out}" if n_out else ""
        )
    n = len(decision.candidates)
    if n > 1 and decision.reason not in ("one seed", "two seeds", "no choice"):
        return f"{format_count(n)} of {int((decision.table.n_runs > 0).sum())} {several} may be the best"
    return f"How the {several} compare"


def title_search(assessment: Assessment) -> str:
    """Return whether the range tried is wide enough: "0.001 is the highest rate tried: look further"."""
    measurements, (noun, _) = assessment.measurements, name_nouns(assessment.measurements)
    edges = [edge for edge in assessment.decision.edges if edge.verdict != "not testable"]
    for edge in edges:
        if edge.verdict == "supported" and edge.ends:
            level, side = edge.ends[0]
            if len(measurements.factors) > 1:
                factor = next(factor for factor in measurements.factors if factor.name == edge.factor)
                value = factor.name_value(measurements.levels[level].values[factor.name])
                named = "" if value.startswith(factor.label) else f" {factor.label}"
                return f"{capitalize(value)} is the {side}{named} tried: look further"
            return f"{measurements.levels[level].name} is the {side} {noun} tried: look further"
    if edges and all(edge.verdict == "contradicted" for edge in edges):
        return "The range tried is wide enough"
    return "Whether the range tried is wide enough is unclear" if edges else "The runs"


def title_curves(assessment: Assessment, findings: Sequence[Finding]) -> str:
    """Return what the course of training comes to: who still improves, who is unstable."""
    measurements, (_, several) = assessment.measurements, name_nouns(assessment.measurements)
    judged = [finding for finding in findings if finding.claim == "still_improving"]
    improving = [finding.arguments["level"] for finding in judged if finding.verdict == "supported"]
    rough = [
        finding.arguments["level"]
        for finding in findings
        if finding.claim == "trains_stably" and finding.verdict == "contradicted"
    ]
    parts = []
    if improving and len(improving) == len(judged) > 1:
        parts.append(f"all {several} are still improving at the end")
    elif improving:
        parts.append(f"{_name(measurements, improving, several)} {_is(improving)} still improving at the end")
    elif judged and all(finding.verdict == "contradicted" for finding in judged):
        parts.append("all have levelled off" if len(judged) > 1 else "training has levelled off")
    if rough:
        parts.append(f"{_name(measurements, rough, several)} {_is(rough)} unstable")
    return capitalize("; ".join(parts)) if parts else "How training went"


def _name(measurements: Measurements, levels: Sequence[int], several: str) -> str:
    return list_levels(measurements, levels) if len(levels) <= NAMED_IN_TITLE else f"{len(levels)} {several}"


def _is(levels: Sequence[int]) -> str:
    return "is" if len(levels) == 1 else "are"


def all_same(errors: ClassErrors) -> bool:
    """Return whether every level confuses the same two classes most."""
    return len({errors.confused[level][:2] for level in errors.levels}) == 1


def title_errors(assessment: Assessment, errors: ClassErrors) -> str:
    """Return which classes are confused most: "T-shirt and shirt are confused most, at every rate"."""
    first, second, share = errors.confused[errors.base]
    noun, _ = name_nouns(assessment.measurements)
    text = f"{capitalize(first)} and {second} are confused most"
    if len(errors.levels) > 1 and all_same(errors):
        shares = sorted(errors.confused[level][2] for level in errors.levels)
        low, high = (format_percent(value, 1).removesuffix(" %") for value in (shares[0], shares[-1]))
        span = f"{low} %" if low == high else f"{low} to {high} %"
        return f"{text}, at every {noun} ({span} of their examples)"
    return (
        f"{text} at {assessment.measurements.levels[errors.base].name} ({format_percent(share, 1)} of their examples)"
    )


def title_earlier(claims: Sequence[Finding], numbers: Sequence[Finding]) -> str:
    """Return what became of an earlier report's claims and numbers, as counts."""
    parts = []
    if claims:
        supported = sum(finding.verdict == "supported" for finding in claims)
        parts.append(f"{supported} of its {count_nouns(len(claims), 'claim')} supported")
    if numbers:
        reproduced = sum(finding.verdict == "supported" for finding in numbers)
        parts.append(f"{reproduced} of its {count_nouns(len(numbers), 'number')} reproduced")
    return f"An earlier report, checked: {list_words(parts)}"


def explain_pairing(assessment: Assessment, splits_known: bool = False) -> str:
    """Return how levels are compared and what chooses; not the latter if the sizes of splits are stated with their use."""
    measurements, (_, several) = assessment.measurements, name_nouns(assessment.measurements)
    sentences = []
    if measurements.paired and len(assessment.compared) > 1:
        sentences.append(
            f"With the same seed, all {several} start from the same weights and see the same batches, so we compare them seed "
            "by seed."
        )
    if measurements.find_counterpart("test") and measurements.metric.split == "validation" and not splits_known:
        sentences.append(f"{capitalize(measurements.metric.label)} chooses; test is reported once and chooses nothing.")
    return " ".join(sentences)


def explain_fresh(loaded: LoadedReport, assessment: Assessment) -> str:
    """Return what the chosen level reaches on seeds that took no part in the choice; an empty text without such runs."""
    if not loaded.fresh:
        return ""
    measurements = assessment.measurements
    metric = measurements.find_counterpart("test") or measurements.metric
    level = next(iter(loaded.fresh))[0]
    scores = [run.record.final[metric.name] for run in loaded.fresh.values() if metric.name in run.record.final]
    n_lost = len(loaded.fresh) - len(scores)
    lost = f" {count_nouns(n_lost, 'fresh seed')} failed." if n_lost else ""
    if not scores:
        return lost.strip()
    estimate, name = estimate_mean(scores), measurements.levels[level].name
    text = f"On {count_nouns(len(scores), 'fresh seed')}, {name} reaches {metric.format(estimate.mean)} {metric.label}"
    if math.isfinite(estimate.low):
        low, high = (metric.format(metric.clip(end)) for end in (estimate.low, estimate.high))
        text += f" (95 % interval {low} to {high}, new seeds)"
    return f"{text}; they took no part in the choice.{lost}"


def choose_changes(step: NextStep, study: Study) -> dict[str, Any]:
    """Return the values that the command of a next step changes; {} where no command can make it."""
    if study.import_ is not None:
        return {}
    if step.kind == "range" and step.values and step.factor == "learning_rate":
        factor = next(factor for factor in study.factors if factor.name == step.factor)
        values = sorted({*factor.values, *map(float, step.values)})
        descending = len(factor.values) < 2 or factor.values[0] > factor.values[-1]
        return {"learning_rate": values[::-1] if descending else values}
    if step.kind == "seeds" and step.n_seeds:
        n_now = len(study.seeds.initial)
        return {
            "most_seeds" if n_now >= 3 else "seeds": step.n_seeds
            if n_now >= 3
            else list(study.seeds.extend(step.n_seeds))
        }
    if step.kind == "epochs" and step.values and study.has_own_loop:
        return {"epochs": int(step.values[0])}
    return {}


def list_rates(measurements: Measurements) -> list[float]:
    """Return the learning rates that were tried, wherever they stand among the factors."""
    rates = {float(level.values["learning_rate"]) for level in measurements.levels if "learning_rate" in level.values}
    return sorted(rates)
