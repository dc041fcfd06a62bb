"""The first screen in words: kicker, answer, a paragraph of trade-offs and the next step, from findings by a fixed plan."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims import Finding
from lrreport.inference.claims.search import REASONS, find_edge
from lrreport.inference.edges import list_next
from lrreport.inference.measurements import Measurements
from lrreport.inference.sections import Section, rank_levels
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
from lrreport.study.formats import Quantity, capitalize, count_nouns, format_count, list_words

NAMED = 2  # levels that the answer names; of more it says how many


@dataclass(frozen=True)
class Paragraph:
    """Text with the numbers that it quotes."""

    text: str
    evidence: dict[str, Quantity] = field(default_factory=dict)


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


@dataclass(frozen=True)
class Story:
    """The first screen: parts of the kicker, the answer, the paragraph of trade-offs and the next step."""

    kicker: tuple[str, ...]
    answer: Paragraph
    tradeoffs: Paragraph
    next_step: NextStep


def write_story(assessment: Assessment, sections: Iterable[Section]) -> Story:
    """Return the first screen of a report, from its assessment and from the sections of its findings."""
    findings = [finding for section in sections for finding in section.findings]
    return Story(
        write_kicker(assessment),
        write_answer(assessment),
        write_tradeoffs(assessment, findings),
        plan_next(assessment, findings),
    )


def write_kicker(assessment: Assessment) -> tuple[str, ...]:
    """Return the parts of the line above the answer: title, grid, look, and whether all runs finished."""
    measurements, table = assessment.measurements, assessment.decision.table
    n_runs, n_missing = int(table.n_runs.sum()), len(measurements.list_missing())
    seeds = [int(n) for n in dict.fromkeys(table.n_runs[table.n_runs > 0])]
    n_seeds = format_count(seeds[0]) if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}" if seeds else "0"
    grid = f"{count_levels(measurements, len(table))} × {n_seeds} {'seed' if n_seeds == '1' else 'seeds'}"
    done = f"{n_runs} of {n_runs + n_missing} runs finished" if n_missing else f"all {n_runs} runs finished"
    if n_diverged := int(table.n_diverged.sum()):
        done = f"{done}, {n_diverged} diverged" if n_missing else f"{n_diverged} of {n_runs} runs diverged"
    look = assessment.decision.look.number
    return tuple(filter(None, (measurements.title, grid, f"look {look}" if look > 1 else "", done)))


def _name_few(assessment: Assessment, levels: Sequence[int], noun: str = "others") -> str:
    """Return one or two levels by name, and more as a number: "0.001 and 0.003", "4 others"; the figure names them."""
    measurements = assessment.measurements
    return list_levels(measurements, levels) if len(levels) <= NAMED else f"{format_count(len(levels))} {noun}"


def _quantify_few(measurements: Measurements, key: str, levels: Sequence[int]) -> dict[str, Quantity]:
    """Return what `_name_few` may quote of these levels as evidence: their values and how many there are."""
    return quantify_list(measurements, key, levels) | {f"n_{key}": count(len(levels))}


def find_clear_gap(assessment: Assessment, level: int, than: int) -> float | None:
    """Return how far a level is ahead of another on the deciding metric, None unless their simultaneous interval leaves out 0."""
    metric = assessment.measurements.metric
    estimate = assessment.compare_scores(level, than, metric.name)
    clear = estimate.low > 0 or estimate.high < 0
    return metric.sign * estimate.mean if clear and metric.sign * estimate.mean > 0 else None


def write_answer(assessment: Assessment) -> Paragraph:
    """Return the answer in one line of at most 14 words where names are short, by the decision."""
    measurements, decision = assessment.measurements, assessment.decision
    metric, table, (one, several) = measurements.metric, decision.table, name_nouns(measurements)
    if decision.leader is None:
        text = {
            "none learns": f"No {one} learns: every seed diverged or ends no better than guessing",
            "no runs": "No run is there yet",
        }.get(decision.reason, f"No run has a {metric.label}")
        return Paragraph(text)
    leader, name = decision.leader, measurements.levels[decision.leader].name
    evidence = {
        **quantify_levels(measurements, {"level": leader}),
        "mean": write_value(metric, float(table["mean"][leader])),
    }
    if decision.chosen is None:
        text, more = _write_no_choice(assessment, name, several)
        return Paragraph(text, evidence | more)
    chosen = decision.chosen
    parts, evidence = [], evidence | quantify_levels(measurements, {"level": chosen})
    if table.n_failed[chosen]:
        evidence |= {"n_failed": count(table.n_failed[chosen]), "n_runs": count(table.n_runs[chosen])}
    if decision.equal:
        evidence |= _quantify_few(measurements, "equal", decision.equal)
        verb = "is" if len(decision.equal) == 1 else "are"
        parts.append(f"{_name_few(assessment, decision.equal)} {verb} practically as good")
    behind = [i for i in rank_levels(assessment) if i in decision.ruled_out and i not in decision.equal]
    gap = find_clear_gap(assessment, chosen, behind[0]) if behind else None
    if gap is not None and not table.n_failed[chosen] and (len(behind) == 1 or not decision.equal):
        evidence |= {"gap": write_difference(metric, gap, ()), **quantify_levels(measurements, {"behind": behind[0]})}
        next_best = measurements.levels[behind[0]].name
        parts.append(f"{next_best}{', the next,' if len(behind) > 1 else ''} is {evidence['gap']} worse")
    elif not decision.equal and behind:
        parts.append(f"no other {one} may be the best")
    elif not decision.equal and decision.verdict == "good enough":
        evidence["at_most"] = write_difference(metric, float(table.behind_at_most[chosen]), (decision.margin or 0.0,))
        parts.append(f"at most {evidence['at_most']} behind the best tried")
    elif not behind and not decision.equal:
        parts.append(f"every other {one} failed")
    head = f"Choose {measurements.levels[chosen].name}{'; ' if decision.equal else ': '}{', '.join(parts)}"
    if table.n_failed[chosen]:
        head += f"; {evidence['n_failed']} of {evidence['n_runs']} seeds failed"
    return Paragraph(head, evidence)


def _write_no_choice(assessment: Assessment, name: str, several: str) -> tuple[str, dict[str, Quantity]]:
    """Return the answer where nothing is chosen: what is highest, and what is lacking."""
    measurements, decision = assessment.measurements, assessment.decision
    metric, candidates = measurements.metric, decision.candidates
    extreme = "highest" if metric.better == "higher" else "lowest"
    if decision.reason == "one level":
        mean = write_value(metric, float(decision.table["mean"][decision.leader]))
        return f"{name} reaches {mean} {metric.label}; there is nothing to compare it with", {"mean": mean}
    if decision.reason in ("one seed", "two seeds"):
        n = int(decision.table.n[decision.leader])
        few = "one seed is" if n == 1 else "two seeds are"
        tied = list_levels(measurements, sorted(decision.tied)) if 1 < len(decision.tied) <= NAMED else ""
        subject = f"{tied} share the {extreme} mean:" if tied else f"{name} is {extreme}, but"
        return f"{subject} {few} too few to choose", quantify_list(measurements, "tied", sorted(decision.tied))
    if decision.reason in ("one trained", "few trained"):
        trained, runs = (count(decision.table[key][decision.leader]) for key in ("n", "n_runs"))
        return f"{name} is {extreme}, but only {trained} of {runs} seeds trained", {"n": trained, "n_runs": runs}
    if decision.reason == "error spent":
        return "Undecided: the earlier looks spent the whole error of 5 %", {}
    evidence = quantify_list(measurements, "candidate", candidates) | {"n_candidates": count(len(candidates))}
    among = (
        list_levels(measurements, candidates, "or")
        if len(candidates) <= NAMED + 1
        else f"{format_count(len(candidates))} {several}"
    )
    if len(candidates) <= NAMED + 1:
        return f"Undecided between {list_levels(measurements, candidates)}: {_say_lack(decision.reason)}", evidence
    return f"Undecided: {among} may be the best, {name} is {extreme}", evidence


def _say_lack(reason: str) -> str:
    return "the study names no margin" if reason == "no margin" else "more seeds are needed"


def write_tradeoffs(assessment: Assessment, findings: list[Finding]) -> Paragraph:
    """Return the paragraph of trade-offs: who wins, who drops out, pace, failures and stability, test, looks; joined."""
    slots = (_write_winner, _write_dropped, _write_pace, _write_failures, _write_test, _write_looks)
    if assessment.decision.leader is None:
        reason = REASONS[assessment.decision.reason].format(noun=name_nouns(assessment.measurements)[0])
        return Paragraph(f"{capitalize(reason)}.")
    written = [slot(assessment, findings) for slot in slots]
    evidence = {f"{slot.__name__.removeprefix('_write_')}_{key}": one for slot, part in zip(slots, written, strict=True)
                for key, one in part.evidence.items()}  # fmt: skip
    return Paragraph(" ".join(part.text for part in written if part.text), evidence)


def _shown(assessment: Assessment) -> int:
    """Return the level that the paragraph is about: the chosen one, else the leader."""
    decision = assessment.decision
    shown = decision.chosen if decision.chosen is not None else decision.leader
    assert shown is not None
    return shown


def _write_winner(assessment: Assessment, findings: list[Finding]) -> Paragraph:
    """Say where the chosen level ends, how far behind the best it may lie, and what is as good."""
    measurements, decision, level = assessment.measurements, assessment.decision, _shown(assessment)
    metric, row, name = measurements.metric, decision.table.loc[level], measurements.levels[level].name
    evidence = {
        **quantify_levels(measurements, {"level": level}),
        "mean": write_value(metric, float(row["mean"])),
        "n": count(row.n),
    }
    span = ""
    if not math.isnan(row.low):
        evidence |= {"low": write_value(metric, row.low, (), unit=False), "high": write_value(metric, row.high, ())}
        span = f"95 % interval {evidence['low']} to {evidence['high']}, "
    text = f"{capitalize(assessment.point.text)} {name} reaches {evidence['mean']} {metric.label} ({span}n = {evidence['n']})"
    if decision.margin is not None and (decision.chosen is not None or decision.reason == "too close"):
        evidence["margin"] = write_difference(metric, decision.margin, ())
        evidence["at_most"] = write_difference(metric, float(row.behind_at_most), (decision.margin,))
        if row.behind_at_most > 0:
            relation = "less" if row.behind_at_most <= decision.margin else "more"
            text += f", at most {evidence['at_most']} behind the best tried, {relation} than the {evidence['margin']} that count"
    text += "."
    for i in decision.equal if len(decision.equal) <= NAMED else ():
        evidence |= quantify_levels(measurements, {f"equal_{i}": i})
        evidence[f"equal_mean_{i}"] = write_value(metric, float(decision.table["mean"][i]))
        text += f" {measurements.levels[i].name} reaches {evidence[f'equal_mean_{i}']}."
    if len(decision.equal) > NAMED:
        evidence |= _quantify_few(measurements, "equal", decision.equal)
        text += f" {capitalize(_name_few(assessment, decision.equal))} are practically as good."
    if decision.preferred:
        text += f" Of these, the study prefers the {measurements.decide.prefer}."
    if decision.tied:
        evidence |= quantify_list(measurements, "tied", sorted(decision.tied))
        text += f" {list_levels(measurements, sorted(decision.tied))} share the same mean."
    rivals = [i for i in decision.candidates if i != level and i not in decision.equal]
    if rivals and decision.chosen is None and decision.reason in ("too close", "no margin"):
        evidence |= _quantify_few(measurements, "rival", rivals)
        text += f" {_name_few(assessment, rivals)} may be the best as well."
    return Paragraph(text, evidence)


def _write_dropped(assessment: Assessment, findings: list[Finding]) -> Paragraph:
    """Say which levels are out, and how far behind the nearest of them ends."""
    measurements, decision, level = assessment.measurements, assessment.decision, _shown(assessment)
    out = [i for i in rank_levels(assessment) if i in decision.ruled_out and i not in (level, *decision.equal)]
    if not out:
        return Paragraph("")
    evidence, side = (
        _quantify_few(measurements, "out", out),
        "below" if measurements.metric.better == "higher" else "above",
    )
    gap = find_clear_gap(assessment, level, out[0])
    if gap is None:
        verb = "is" if len(out) == 1 else "are"
        return Paragraph(f"{_name_few(assessment, out)} {verb} out: no better than another.", evidence)
    estimate = assessment.compare_scores(level, out[0], measurements.decide.metric)
    turned = estimate if estimate.mean >= 0 else estimate.negate()
    evidence |= {
        "gap": write_difference(measurements.metric, gap, ()),
        "low": write_difference(measurements.metric, turned.low, (0.0,), unit=False),
        "high": write_difference(measurements.metric, turned.high, (0.0,)),
    }
    evidence |= quantify_levels(measurements, {"level": level})
    name = measurements.levels[level].name
    sized = f"{evidence['gap']} {side} {name} ({evidence['low']} to {evidence['high']})"
    if len(out) == 1:
        return Paragraph(f"{measurements.levels[out[0]].name} ends {sized}.", evidence)
    return Paragraph(
        f"{_name_few(assessment, out)} are out; {measurements.levels[out[0]].name}, the nearest, ends {sized}.",
        evidence,
    )


def _write_pace(assessment: Assessment, findings: list[Finding]) -> Paragraph:
    """Say which levels reach the target when, if some differ clearly, and which are still improving."""
    measurements, level = assessment.measurements, _shown(assessment)
    parts, evidence = [], {}
    clear = [
        f
        for f in findings
        if f.claim == "sooner"
        and f.verdict in ("supported", "contradicted")
        and not math.isnan(f.effect)
        and level in (f.arguments["level"], f.arguments["than"])
    ]
    widest = max(clear, key=lambda f: abs(f.effect), default=None)
    if widest is not None and _is_worth_saying(widest):
        other = widest.arguments["than"] if widest.arguments["level"] == level else widest.arguments["level"]
        own, its = ("when", "than_when") if widest.arguments["level"] == level else ("than_when", "when")
        axis = f"{assessment.point.axis}s" if assessment.point.axis == "epoch" else assessment.point.axis
        evidence = {"target": widest.evidence["target"], "when": widest.evidence[own], "other_when": widest.evidence[its],
                    **quantify_levels(measurements, {"other": other})}  # fmt: skip
        name, first = measurements.levels[other].name, evidence["when"].value <= evidence["other_when"].value
        later = (
            f"that take {name} {evidence['other_when']}"
            if first
            else f"that {name} reaches after {evidence['other_when']}"
        )
        own_name = measurements.levels[level].name
        parts.append(f"{own_name} needs {evidence['when']} {axis} for the {evidence['target']} {later}.")
    asked = {f.arguments["level"]: f for f in findings if f.claim == "still_improving" and f.verdict != "not testable"}
    improving = [level for level, f in asked.items() if f.verdict == "supported"]
    if improving:
        evidence |= _quantify_few(measurements, "improving", improving)
        every = len(improving) == len(asked) > 1
        several = name_nouns(measurements)[1]
        who = f"All {several} asked about" if every else _name_few(assessment, improving, several)
        parts.append(f"{who} still {'improves' if len(improving) == 1 else 'improve'} at the end.")
    elif asked and all(f.verdict == "contradicted" for f in asked.values()):
        parts.append(f"No {name_nouns(measurements)[0]} is still improving at the end.")
    return Paragraph(" ".join(parts), evidence)


def _is_worth_saying(finding: Finding) -> bool:
    """Return whether the slower of two levels takes a fifth longer or more; less is clear at times, but of no use."""
    times = sorted(finding.evidence[key].value for key in ("when", "than_when"))
    return times[1] >= 1.2 * times[0]


def _write_failures(assessment: Assessment, findings: list[Finding]) -> Paragraph:
    """Say how often the shown level fails, which others do, and which do not train stably for another reason."""
    measurements, table, level = assessment.measurements, assessment.decision.table, _shown(assessment)
    row = table.loc[level]
    evidence = {"failed_low": write_share(float(row.failed_low), unit=False), "failed_high": write_share(float(row.failed_high)),
                "n": count(row.n_runs), "n_failed": count(row.n_failed)}  # fmt: skip
    failing = [int(i) for i in table.index[table.n_failed > 0] if i != level]
    if row.n_failed or failing:
        name = measurements.levels[level].name
        text = f"No seed of {evidence['n']} of {name} failed: up to {evidence['failed_high']} may."
        if row.n_failed:
            span = f"{evidence['failed_low']} to {evidence['failed_high']}"
            text = f"{evidence['n_failed']} of {evidence['n']} seeds of {name} failed: {span} may."
        evidence |= quantify_levels(measurements, {"level": level})
    else:
        text = f"No seed failed; up to {evidence['failed_high']} may."
    whole = [i for i in failing if table.n_failed[i] == table.n_runs[i]]
    partly = [i for i in failing if i not in whole]
    if whole:
        evidence |= _quantify_few(measurements, "whole", whole)
        text += f" Every seed failed at {_name_few(assessment, whole)}."
    if partly:
        evidence |= _quantify_few(measurements, "partly", partly)
        text += f" Some seeds failed at {_name_few(assessment, partly)}."
    unstable = {f.arguments["level"]: f for f in findings if f.claim == "trains_stably" and f.verdict == "contradicted"}
    rough = {level: f for level, f in unstable.items() if "rise" in f.evidence}
    if rough:
        levels = list(rough)
        largest = max(rough.values(), key=lambda f: f.effect)
        evidence |= _quantify_few(measurements, "rough", levels) | {"rise": largest.evidence["rise"]}
        assert assessment.loss is not None
        amount = f"up to {evidence['rise']}" if len(rough) > 1 else f"{evidence['rise']}"
        text += f" {_name_few(assessment, levels)} {'is' if len(levels) == 1 else 'are'} unstable: the "
        text += f"{assessment.loss.label} rises by {amount} between evaluations, on average."
    return Paragraph(text, evidence)


def _write_test(assessment: Assessment, findings: list[Finding]) -> Paragraph:
    """Say what the shown level reaches on test, and whether the order there is the same; test chooses nothing."""
    measurements, level = assessment.measurements, _shown(assessment)
    test = measurements.find_counterpart("test")
    if test is None or not assessment.scores[test.name][level].notna().any() or test.name == measurements.decide.metric:
        return Paragraph("")
    estimate, covers = assessment.estimate_score(level, test.name, max(1, len(assessment.compared)))
    evidence = {"mean": write_value(test, estimate.mean)}
    span = ""
    if not math.isnan(estimate.low):
        evidence |= {
            "low": write_value(test, test.clip(estimate.low), (), unit=False),
            "high": write_value(test, test.clip(estimate.high), ()),
        }
        span = f" ({evidence['low']} to {evidence['high']} over {covers})"
    others = [i for i in assessment.compared if i != level and assessment.scores[test.name][i].notna().sum() > 1]
    better = (
        [i for i in others if _is_clearly_better(assessment, i, level, test.name, test.sign)]
        if assessment.scores[test.name][level].notna().sum() > 1
        else []
    )
    verdict = ""
    if better:
        evidence |= quantify_list(measurements, "better", better)
        verdict = f"; {list_levels(measurements, better)} {'is' if len(better) == 1 else 'are'} clearly better there"
    elif others:
        verdict = f"; no other {name_nouns(measurements)[0]} is clearly better there"
    evidence |= quantify_levels(measurements, {"level": level})
    name = measurements.levels[level].name
    return Paragraph(f"On test, which chooses nothing, {name} reaches {evidence['mean']}{span}{verdict}.", evidence)


def _is_clearly_better(assessment: Assessment, level: int, than: int, metric: str, sign: int) -> bool:
    estimate = assessment.compare_scores(level, than, metric)
    return sign * estimate.mean > 0 and (estimate.low > 0 or estimate.high < 0)


def _write_looks(assessment: Assessment, findings: list[Finding]) -> Paragraph:
    """Say how many looks were taken, and what was dropped when and with how many seeds."""
    measurements, look = assessment.measurements, assessment.decision.look
    earlier = [one for one in measurements.looks if one.number < look.number]
    if not earlier:
        return Paragraph("")
    parts, evidence, before = [], {"look": count(look.number)}, set()
    for one in earlier:
        new = [i for i in one.dropped if i not in before]
        before |= set(one.dropped)
        if new:
            n = max(one.n_seeds[i] for i in new)
            evidence |= quantify_list(measurements, f"dropped_{one.number}", new) | {f"n_{one.number}": count(n)}
            parts.append(f"{list_levels(measurements, new)} at look {one.number} with {count_nouns(n, 'seed')}")
    dropped = f" Dropped before: {list_words(parts)}." if parts else " No level was dropped before."
    return Paragraph(f"This is look {look.number} at the study.{dropped}", evidence)


def plan_next(assessment: Assessment, findings: list[Finding]) -> NextStep:
    """Return the next step: seeds where there are too few, a wider range, more seeds until decided, more epochs, or none."""
    measurements, decision = assessment.measurements, assessment.decision
    (one, _), first = name_nouns(measurements), measurements.factors[0]
    if decision.reason in ("one seed", "two seeds", "one trained", "few trained"):
        plan = decision.more_seeds
        n = max(5, int(plan.n) if plan is not None and math.isfinite(plan.n) else 5)
        return NextStep("seeds", "Too few seeds", f"Run {n} seeds of each {one}.", n_seeds=n, evidence={"n": count(n)})
    if decision.leader is None or decision.reason == "one level":
        values = (
            [*list_next(first, "lowest", 1), *list_next(first, "highest", 1)]
            if first.numeric and len(first.values) > 1
            else []
        )
        if decision.reason == "one level" and first.numeric:
            value = float(first.values[0])
            values = [float(f"{value / 3:.1g}"), float(f"{value * 3:.1g}")]
        texts = [first.format(value) for value in values]
        text = f"Try {list_words(texts)}." if values else f"Try another {one}."
        title = "Only one was tried" if decision.reason == "one level" else "Nothing learned"
        return NextStep("range", title, text, first.name, tuple(values), evidence=_quantify_values(texts, values))
    for factor in measurements.factors:
        edge, varied = find_edge(assessment, factor.name)
        if varied is factor and edge.verdict == "supported":
            texts = [factor.format(value) for value in edge.next_values]
            sides = [side for _, side in edge.ends]
            if len(set(sides)) == len(sides):
                named = [f"{measurements.levels[level].name}, the {side}" for level, side in edge.ends]
                ends = f"{', and '.join(named)} {factor.label} tried,"
            else:
                ends = list_levels(measurements, [level for level, _ in edge.ends])
                ends += f", at an end of the {factor.label}s tried,"
            tries = f" Try {list_words(texts)}." if texts else ""
            evidence = _quantify_values(texts, edge.next_values) | quantify_list(
                measurements, "end", [i for i, _ in edge.ends]
            )
            text = f"{ends} may be the best.{tries}"
            return NextStep("range", "The range is too narrow", text, factor.name, edge.next_values, evidence=evidence)
    if decision.chosen is None:
        return _plan_seeds(assessment)
    improving = [
        f
        for f in findings
        if f.claim == "still_improving" and f.verdict == "supported" and f.arguments["level"] == decision.chosen
    ]
    if improving:
        budget = improving[0].evidence["budget"]
        more = 2 * budget.value
        evidence = {
            "epochs": Quantity(more, format_count(more)),
            **quantify_levels(measurements, {"level": decision.chosen}),
        }
        axis = assessment.curves[(assessment.loss or measurements.metric).name].index.name
        unit = f"{axis}s" if axis in ("epoch", "step") else f"{axis}"
        text = f"{measurements.levels[decision.chosen].name} is still improving at the end. Try {evidence['epochs']} {unit}."
        return NextStep("epochs", "Training may be too short", text, values=(more,), evidence=evidence)
    inside = ", inside the range tried" if any(edge.verdict == "contradicted" for edge in decision.edges) else ""
    return NextStep("none", "Nothing", f"The choice is made{inside}.")


def _quantify_values(texts: list[str], values: Iterable[Any]) -> dict[str, Quantity]:
    return {
        f"value_{i}": Quantity(float(value), text)
        for i, (text, value) in enumerate(zip(texts, values, strict=True), start=1)
    }


def _plan_seeds(assessment: Assessment) -> NextStep:
    """Return how many seeds would decide, for the levels that may be the best; the others need none."""
    measurements, decision = assessment.measurements, assessment.decision
    plan, candidates = decision.more_seeds, decision.candidates
    evidence = quantify_list(measurements, "candidate", candidates)
    who = list_levels(measurements, candidates)
    if decision.reason == "error spent":
        return NextStep("seeds", "The error is spent", "Decide with fresh seeds in a new study.")
    if plan is None:
        return NextStep(
            "seeds", "Not decided", f"Name a margin in the study, or run more seeds of {who}.", evidence=evidence
        )
    if math.isinf(plan.n):
        text = (
            f"More than 500 seeds of {who} would be needed to come within the margin; a larger margin decides sooner."
        )
        return NextStep("seeds", "Too noisy to decide", text, evidence=evidence | {"most": Quantity(500.0, "500")})
    evidence |= {"n": count(plan.n), "low": count(plan.low), "high": Quantity(plan.high, format_count(plan.high))}
    span = f"{evidence['low']} to {evidence['high']}" if math.isfinite(plan.high) else f"{evidence['low']} or more"
    text = f"About {evidence['n']} seeds of {who} would decide (80 % range: {span})."
    return NextStep("seeds", "Not decided", text, n_seeds=int(plan.n), evidence=evidence)
