"""Which claims a report asks, and in which order: sections of findings."""

from dataclasses import dataclass
from itertools import combinations

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims import Finding, ask, ask_published
from lrreport.inference.claims.curves import FEWEST_POINTS
from lrreport.inference.published import check_differences, check_numbers

DETAILED = 6  # with more levels, each is compared with the leader only
SHOWN = 12  # with more levels, findings on single levels cover only the best


@dataclass(frozen=True)
class Section:
    """Findings that belong together: `key` is "search", "levels", "pairs", "factors", "numbers" or "claims"."""

    key: str
    title: str
    findings: tuple[Finding, ...]


def ask_everything(assessment: Assessment) -> list[Section]:
    """Return every finding of a report by section; a section without findings is left out."""
    published = assessment.measurements.published
    sections = [
        Section("search", "The search", _ask_search(assessment)),
        Section("factors", "From one value to another", _ask_factors(assessment)),
        Section("levels", "Each level", _ask_levels(assessment)),
        Section("pairs", "Differences", _ask_pairs(assessment)),
        Section(
            "numbers",
            published.title if published else "",
            (*check_numbers(assessment), *check_differences(assessment)),
        ),
        Section("claims", published.title if published else "", _ask_claims(assessment)),
    ]
    return [section for section in sections if section.findings]


def list_levels_to_ask(assessment: Assessment) -> list[int]:
    """Return the levels with findings on each alone: all in the study's order, or the best SHOWN of more."""
    with_runs = [int(i) for i in assessment.decision.table.index[assessment.decision.table.n_runs > 0]]
    return with_runs if len(with_runs) <= SHOWN else rank_levels(assessment)[:SHOWN]


def rank_levels(assessment: Assessment) -> list[int]:
    """Return the levels that are compared, best mean first."""
    means = assessment.measurements.metric.sign * assessment.decision.table["mean"]
    return sorted(assessment.compared, key=lambda i: (-float(means[i]), i))


def choose_pairs(assessment: Assessment) -> list[tuple[int, int]]:
    """Return the pairs of levels that a report compares, the better first; of many levels those of the leader."""
    table = assessment.decision.table
    order = [i for i in rank_levels(assessment) if table.n[i] > 1]
    return list(combinations(order, 2)) if len(order) <= DETAILED else [(order[0], i) for i in order[1:SHOWN]]


def _ask_search(assessment: Assessment) -> tuple[Finding, ...]:
    edges = [ask("edge_of_range", assessment, factor=f.name) for f in assessment.measurements.factors if f.numeric]
    findings = [ask("choice", assessment), ask("all_finished", assessment), *edges]
    if (
        assessment.loss is not None
        and assessment.loss.name != assessment.measurements.decide.metric
        and choose_pairs(assessment)
    ):
        findings.append(ask("loss_ranks_as_accuracy", assessment))
    return tuple(findings)


def _ask_factors(assessment: Assessment) -> tuple[Finding, ...]:
    if len(assessment.measurements.factors) < 2:
        return ()
    values = [value for value, part in assessment.decision.within.items() if part.compared]
    pairs = (
        list(combinations(values, 2)) if len(values) <= DETAILED else [(values[0], value) for value in values[1:SHOWN]]
    )
    tuned = [ask("higher_when_tuned", assessment, value=a, than_value=b) for a, b in pairs]
    return ask("best_rate_moves", assessment), *tuned


def _ask_levels(assessment: Assessment) -> tuple[Finding, ...]:
    metric, table = assessment.measurements.metric, assessment.decision.table
    curve = assessment.curves.get((assessment.loss or metric).name)
    n_points = 0 if curve is None else int((curve.index > 0).sum())
    findings = []
    for level in list_levels_to_ask(assessment):
        trained = bool(table.n[level])
        questions = ["learns"] if metric.chance is not None else []
        questions += ["trains_stably"] if assessment.rises is not None or table.n_failed[level] else []
        questions += ["still_improving"] if trained and n_points >= FEWEST_POINTS else []
        questions += ["overfits"] if trained and n_points >= 2 else []
        findings += [ask(name, assessment, level=level) for name in questions]
    return tuple(findings)


def _ask_pairs(assessment: Assessment) -> tuple[Finding, ...]:
    measurements, metric = assessment.measurements, assessment.measurements.metric
    test = measurements.find_counterpart("test")
    metrics = dict.fromkeys(m.name for m in (metric, assessment.loss, test) if m is not None)
    findings = []
    for better, worse in choose_pairs(assessment):
        pair = {"level": better, "than": worse}
        for name in metrics:
            if assessment.scores[name][[better, worse]].notna().sum().min() > 1:
                higher = measurements.metrics[name].better == "higher"
                findings.append(ask("higher" if higher else "lower", assessment, **pair, metric=name))
        findings += [ask("sooner", assessment, **pair)] if assessment.arrivals is not None else []
        findings += [ask("more_stable", assessment, **pair)] if assessment.rises is not None else []
        if assessment.decision.table.n_failed[[better, worse]].any():
            findings.append(ask("fails_no_more_often", assessment, **pair))
    return tuple(findings)


def _ask_claims(assessment: Assessment) -> tuple[Finding, ...]:
    published = assessment.measurements.published
    return tuple(ask_published(assessment, claim) for claim in published.claim) if published else ()
