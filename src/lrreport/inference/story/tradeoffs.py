"""The paragraph of trade-offs: who wins, who is ruled out, pace, failures and stability, test, looks; joined sentences."""

import math
from collections.abc import Sequence

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims import Finding
from lrreport.inference.claims.search import REASONS
from lrreport.inference.story.failing import write_failures, write_none_learns
from lrreport.inference.story.paragraph import (
    BRIEFEST,
    Paragraph,
    count_words,
    find_shown,
    is_finite,
    name_few,
    quantify_few,
    refer_to,
)
from lrreport.inference.story.winner import write_dropped, write_winner
from lrreport.inference.words import (
    count,
    name_nouns,
    quantify_levels,
    write_value,
)
from lrreport.study.formats import capitalize, count_nouns, list_words

WORTH = 1.2  # how many times as long the slower of two levels must take to be worth a sentence


def write_tradeoffs(assessment: Assessment, findings: Sequence[Finding], room: float = math.inf) -> Paragraph:
    """Return the paragraph of trade-offs: who wins, who drops out, pace, failures and stability, test, looks; joined.

    It is the fullest form of at most `room` words, else the shortest: the first step leaves out who arrives sooner, the
    second counts failures and says of the shown level alone whether it improves, the third leaves out the sizes of differences,
    the fourth the interval on test and what is long about two factors.
    """
    if assessment.decision.reason == "none learns":
        return write_none_learns(assessment)
    if assessment.decision.leader is None:
        reason = REASONS[assessment.decision.reason].format(noun=name_nouns(assessment.measurements)[0])
        return Paragraph(f"{capitalize(reason)}.")
    for brevity in range(BRIEFEST + 1):
        paragraph = _join_slots(assessment, findings, brevity)
        if count_words(paragraph.text) <= room:
            break
    return paragraph


def _join_slots(assessment: Assessment, findings: Sequence[Finding], brevity: int) -> Paragraph:
    written = {
        "winner": write_winner(assessment, brevity),
        "dropped": write_dropped(assessment, brevity),
        "pace": _write_pace(assessment, findings, brevity),
        "failures": write_failures(assessment, findings, brevity),
        "test": write_test(assessment, with_interval=brevity < BRIEFEST),
        "looks": _write_looks(assessment),
    }
    evidence = {f"{slot}_{key}": quantity for slot, part in written.items() for key, quantity in part.evidence.items()}
    return Paragraph(" ".join(part.text for part in written.values() if part.text), evidence)


def _write_pace(assessment: Assessment, findings: Sequence[Finding], brevity: int) -> Paragraph:
    """Say which of those that may be the best reach the target when, if clearly apart, and which still improve."""
    level, measurements, decision = find_shown(assessment), assessment.measurements, assessment.decision
    parts, evidence, close = [], {}, {*decision.candidates, *decision.equal, find_shown(assessment)}
    clear = [f for f in findings if f.claim == "sooner" and f.verdict in ("supported", "contradicted") and is_finite(f.effect)
             and level in (both := {f.arguments["level"], f.arguments["than"]}) and both <= close]  # fmt: skip
    widest = max(clear, key=lambda f: abs(f.effect), default=None)
    if widest is not None and _is_worth_saying(widest) and not brevity:
        first = widest.arguments["level"] == level
        rival = widest.arguments["than" if first else "level"]
        key, rival_key = ("when", "than_when") if first else ("than_when", "when")
        axis = f"{assessment.point.axis}s" if assessment.point.axis == "epoch" else assessment.point.axis
        evidence = {"target": widest.evidence["target"], "when": widest.evidence[key], "other_when": widest.evidence[rival_key],
                    **quantify_levels(measurements, {"level": level, "other": rival})}  # fmt: skip
        names = refer_to(assessment, level), measurements.levels[rival].name
        sentence = f"{capitalize(names[0])} reaches {evidence['target']} after {evidence['when']} {axis}"
        parts.append(f"{sentence}, {names[1]} after {evidence['other_when']}.")
    by_level = {
        f.arguments["level"]: f for f in findings if f.claim == "still_improving" and f.verdict != "not testable"
    }
    improving = [i for i, f in by_level.items() if f.verdict == "supported" and (brevity < 2 or i == level)]
    noun, several = name_nouns(measurements)
    if improving:
        evidence |= quantify_few(measurements, "improving", improving)
        everyone = len(improving) == len(by_level) == len(assessment.compared) > 1
        who = f"All {several}" if everyone else name_few(assessment, improving, several)
        who = refer_to(assessment, level) if improving == [level] else who
        parts.append(f"{capitalize(who)} {'is' if len(improving) == 1 else 'are'} still improving.")
    elif by_level and all(f.verdict == "contradicted" for f in by_level.values()):
        parts.append(f"No {noun} is still improving.")
    return Paragraph(" ".join(parts), evidence)


def _is_worth_saying(finding: Finding) -> bool:
    """Return whether the slower of two levels takes a fifth longer or more; less is clear at times, but of no use."""
    times = sorted(finding.evidence[key].value for key in ("when", "than_when"))
    return times[1] >= WORTH * times[0]


def write_test(assessment: Assessment, with_interval: bool = True) -> Paragraph:
    """Say what the shown level reaches on test, and whether another is clearly better there; test chooses nothing."""
    measurements, level = assessment.measurements, find_shown(assessment)
    test = measurements.find_counterpart("test")
    if measurements.metric.split == "test":
        compares = len(assessment.compared) > 1 and assessment.decision.reason != "no choice"
        return Paragraph("The comparison uses test values, so no independent score is left." if compares else "")
    if test is None or not assessment.scores[test.name][level].notna().any():
        return Paragraph("")
    estimate, n_examples = assessment.estimate_score(level, test.name, max(1, len(assessment.compared)))
    evidence = {"mean": write_value(test, estimate.mean), **quantify_levels(measurements, {"level": level})}
    span = ""
    if is_finite(estimate.low) and with_interval:
        evidence |= {
            "low": write_value(test, test.clip(estimate.low), (), unit=False),
            "high": write_value(test, test.clip(estimate.high), ()),
            "n": count(estimate.n),
            "n_examples": count(n_examples),
        }
        n = f"n = {evidence['n']} × {evidence['n_examples']}, new seeds and examples"
        span = f" ({evidence['low']} to {evidence['high']}, {n if n_examples else f'n = {estimate.n}, new seeds'})"
    verdict = ""
    several = [i for i in assessment.compared if assessment.scores[test.name][i].notna().sum() > 1]
    rivals = [i for i in several if i != level]
    better = []
    if level in several:
        signs = assessment.compare_all([*rivals, level], test.name)[:, -1]
        better = [rival for rival, sign in zip(rivals, signs, strict=False) if sign == 1]
    if better:
        evidence |= quantify_few(measurements, "better", better)
        verdict = f"; {name_few(assessment, better)} {'is' if len(better) == 1 else 'are'} clearly better"
    elif rivals:
        verdict = "; no other is clearly better"
    name = refer_to(assessment, level)
    kind = test.label if "test" in test.label else f"{test.label} on test data"
    text = f"{capitalize(kind)}, not used to choose, is {evidence['mean']} for {name}{span}{verdict}."
    return Paragraph(text, evidence)


def _write_looks(assessment: Assessment) -> Paragraph:
    """Say how many looks were taken, what was dropped when and with how many seeds, and how many runs that saved."""
    measurements, look, n_runs = assessment.measurements, assessment.decision.look, assessment.decision.table.n_runs
    earlier = [past for past in measurements.looks if past.number < look.number]
    if not earlier:
        return Paragraph("")
    parts, evidence, before = [], {"look": count(look.number)}, set[int]()
    for past in earlier:
        new = [i for i in past.dropped if i not in before]
        before |= set(past.dropped)
        if new:
            n = max(past.n_seeds[i] for i in new)
            evidence |= quantify_few(measurements, f"dropped_{past.number}", new) | {f"n_{past.number}": count(n)}
            parts.append(f"{name_few(assessment, new)} at look {past.number} with {count_nouns(n, 'seed')}")
    dropped = f"; dropped before: {list_words(parts)}" if parts else ""
    if n_saved := sum(int(n_runs.max() - n_runs[i]) for i in before):
        evidence |= {"saved": count(n_saved), "all": count(n_runs.max() * (n_runs > 0).sum())}
        dropped += f", which saved {evidence['saved']} of {evidence['all']} runs"
    return Paragraph(f"This is look {look.number} at a growing study{dropped}.", evidence)
