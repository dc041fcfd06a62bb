"""How often levels fail in the paragraph of trade-offs, and which train unstably without failing."""

from collections.abc import Sequence

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims import Finding
from lrreport.inference.story.paragraph import NAMED, Paragraph, find_shown, name_few, quantify_few, refer_to
from lrreport.inference.words import count, name_nouns, quantify_levels, write_share, write_value
from lrreport.study.formats import Quantity, capitalize


def write_none_learns(assessment: Assessment) -> Paragraph:
    """Say how the runs failed where all of them did, and what guessing gives."""
    metric, table = assessment.measurements.metric, assessment.decision.table
    evidence: dict[str, Quantity] = {}
    text = capitalize(_say_how(assessment, [int(i) for i in table.index], evidence))
    if metric.chance is not None and evidence["n_guessing"].value:
        evidence["chance"] = write_value(metric, metric.chance, ())
        text += f", which gives {evidence['chance']} {metric.label}"
    return Paragraph(f"{text}.", evidence)


def write_failures(assessment: Assessment, findings: Sequence[Finding], brevity: int) -> Paragraph:
    """Say how often the shown level fails, which further levels fail, and which train unstably without failing."""
    measurements, table, level = assessment.measurements, assessment.decision.table, find_shown(assessment)
    row, name = table.loc[level], refer_to(assessment, level)
    parts, evidence = list[str](), {"n": count(row.n_runs), "n_failed": count(row.n_failed)}
    failing = [int(i) for i in table.index[table.n_failed > 0] if i != level]
    if row.n_failed:
        evidence |= quantify_levels(measurements, {"level": level}) | {
            "failed_low": write_share(float(row.failed_low), unit=False),
            "failed_high": write_share(float(row.failed_high)),
        }
        span = f"{evidence['failed_low']} to {evidence['failed_high']}"
        parts.append(f"{evidence['n_failed']} of {evidence['n']} runs of {name} failed (95 % interval {span}).")
    elif not failing and brevity < 2:
        parts.append("No run failed.")
    elif failing and brevity < 2:
        evidence |= quantify_levels(measurements, {"level": level})
        parts.append(f"No run of {name} failed.")
    if failing and brevity < 2:
        parts += _name_failing(assessment, failing, evidence)
    elif failing:
        none = "" if row.n_failed else f", none at {name}"
        parts.append(f"{_count_failing(assessment, failing, evidence)}{none}.")
    rough = _write_rough(assessment, findings)
    return Paragraph(" ".join(filter(None, [*parts, rough.text])), evidence | rough.evidence)


def _name_failing(assessment: Assessment, failing: Sequence[int], evidence: dict[str, Quantity]) -> list[str]:
    """Return which levels besides failed in every run and how, and which in some; add their counts to `evidence`."""
    measurements, parts = assessment.measurements, list[str]()
    whole, partly, several = _split_failing(assessment, failing)
    if whole:
        evidence |= quantify_few(measurements, "whole", whole)
        how = _say_how(assessment, whole, evidence)
        parts.append(f"Every run at {name_few(assessment, whole, several)} failed: {how}.")
    if partly:
        evidence |= quantify_few(measurements, "partly", partly)
        parts.append(f"Some runs at {name_few(assessment, partly, several)} failed.")
    return parts


def _count_failing(assessment: Assessment, failing: Sequence[int], evidence: dict[str, Quantity]) -> str:
    """Return as `_name_failing` does, in fewer words: "Every run failed at 0.3, some at 2 others"."""
    whole, partly, several = _split_failing(assessment, failing)
    named = NAMED if len(assessment.measurements.factors) == 1 else 0
    parts = list[str]()
    for key, levels, how_many in (
        ("whole", whole, "every run failed"),
        ("partly", partly, "some" if whole else "some runs failed"),
    ):
        if levels:
            evidence |= quantify_few(assessment.measurements, key, levels)
            parts.append(f"{how_many} at {name_few(assessment, levels, 'others' if parts else several, named)}")
    return capitalize(", ".join(parts))


def _split_failing(assessment: Assessment, failing: Sequence[int]) -> tuple[list[int], list[int], str]:
    table = assessment.decision.table
    whole = [i for i in failing if table.n_failed[i] == table.n_runs[i]]
    return whole, [i for i in failing if i not in whole], f"other {name_nouns(assessment.measurements)[1]}"


def _say_how(assessment: Assessment, levels: Sequence[int], evidence: dict[str, Quantity]) -> str:
    """Return how the runs of these levels failed: diverged, or no better than guessing."""
    table = assessment.decision.table.loc[list(levels)]
    n_diverged, n_failed = int(table.n_diverged.sum()), int(table.n_failed.sum())
    evidence |= {"n_diverged": count(n_diverged), "n_guessing": count(n_failed - n_diverged)}
    if not n_diverged:
        return "all end no better than guessing"
    if n_diverged == n_failed:
        return "all diverged"
    return f"{evidence['n_diverged']} diverged, {evidence['n_guessing']} end no better than guessing"


def _write_rough(assessment: Assessment, findings: Sequence[Finding]) -> Paragraph:
    """Say which levels train unstably though they did not fail, and by how much their loss rises."""
    measurements = assessment.measurements
    unstable = {f.arguments["level"]: f for f in findings if f.claim == "trains_stably" and f.verdict == "contradicted"}
    rough = {i: f for i, f in unstable.items() if "rise" in f.evidence}
    if not rough or assessment.loss is None:
        return Paragraph("")
    largest = max(rough.values(), key=lambda f: f.effect)
    evidence = quantify_few(measurements, "rough", list(rough)) | {"rise": largest.evidence["rise"]}
    amount = f"up to {evidence['rise']}" if len(rough) > 1 else f"{evidence['rise']}"
    who = f"{name_few(assessment, list(rough))} {'is' if len(rough) == 1 else 'are'} unstable"
    return Paragraph(f"{who}: the {assessment.loss.label} rises by {amount} between evaluations, on average.", evidence)
