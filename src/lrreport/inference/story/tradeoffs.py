"""The paragraph of trade-offs: who wins, who is ruled out, pace, failures and stability, test, looks; joined sentences."""

import math
from collections.abc import Sequence

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims import Finding
from lrreport.inference.claims.search import REASONS
from lrreport.inference.sections import rank_levels
from lrreport.inference.story.paragraph import (
    NAMED,
    Paragraph,
    count_words,
    find_clear_gap,
    find_thin,
    is_finite,
    name_few,
    quantify_few,
    refer_to,
)
from lrreport.inference.words import (
    count,
    count_seeds,
    name_nouns,
    quantify_levels,
    write_difference,
    write_share,
    write_value,
)
from lrreport.study.formats import Quantity, capitalize, count_nouns, list_words

VOWELS = "aeiouAEIORLFMNSX"  # letters that a label in words, or in capitals read letter by letter, takes "an" before
BRIEFEST = 4  # the shortest form of the paragraph
WORTH = 1.2  # how many times as long the slower of two levels must take to be worth a sentence


def write_tradeoffs(assessment: Assessment, findings: Sequence[Finding], room: float = math.inf) -> Paragraph:
    """Return the paragraph of trade-offs: who wins, who drops out, pace, failures and stability, test, looks; joined.

    It is the fullest form of at most `room` words, else the shortest: the first step leaves out who arrives sooner, the
    second counts failures and says of the shown level alone whether it improves, the third leaves out the sizes of differences,
    the fourth the interval on test and what is long about two factors.
    """
    if assessment.decision.reason == "none learns":
        return _write_none_learns(assessment)
    if assessment.decision.leader is None:
        reason = REASONS[assessment.decision.reason].format(noun=name_nouns(assessment.measurements)[0])
        return Paragraph(f"{capitalize(reason)}.")
    forms = (_join_slots(assessment, findings, brevity) for brevity in range(BRIEFEST + 1))
    return next((form for form in forms if count_words(form.text) <= room), _join_slots(assessment, findings, BRIEFEST))


def _join_slots(assessment: Assessment, findings: Sequence[Finding], brevity: int) -> Paragraph:
    written = {
        "winner": _write_winner(assessment, brevity),
        "dropped": _write_dropped(assessment, brevity),
        "pace": _write_pace(assessment, findings, brevity),
        "failures": _write_failures(assessment, findings, brevity),
        "test": write_test(assessment, with_interval=brevity < BRIEFEST),
        "looks": _write_looks(assessment),
    }
    evidence = {f"{slot}_{key}": quantity for slot, part in written.items() for key, quantity in part.evidence.items()}
    return Paragraph(" ".join(part.text for part in written.values() if part.text), evidence)


def _write_none_learns(assessment: Assessment) -> Paragraph:
    """Say how the runs failed where all of them did, and what guessing gives."""
    metric, table = assessment.measurements.metric, assessment.decision.table
    evidence: dict[str, Quantity] = {}
    text = capitalize(_say_how(assessment, [int(i) for i in table.index], evidence))
    if metric.chance is not None and evidence["n_guessing"].value:
        evidence["chance"] = write_value(metric, metric.chance, ())
        text += f", which gives {evidence['chance']} {metric.label}"
    return Paragraph(f"{text}.", evidence)


def _shown(assessment: Assessment) -> int:
    """Return the subject of the paragraph: the chosen level, else the leader."""
    decision = assessment.decision
    shown = decision.chosen if decision.chosen is not None else decision.leader
    assert shown is not None
    return shown


def _write_winner(assessment: Assessment, brevity: int) -> Paragraph:
    """Say where the shown level ends, how much better another may be, and what is as good."""
    measurements, decision, level = assessment.measurements, assessment.decision, _shown(assessment)
    metric, row = measurements.metric, decision.table.loc[level]
    name = measurements.levels[level].name if brevity < BRIEFEST else refer_to(assessment, level)
    noun = name_nouns(measurements)[0]
    evidence = {
        **quantify_levels(measurements, {"level": level}),
        "mean": write_value(metric, float(row["mean"])),
        "n": count(row.n),
    }
    span = ""
    if is_finite(row.low):
        evidence |= {"low": write_value(metric, row.low, (), unit=False), "high": write_value(metric, row.high, ())}
        span = f"95 % interval {evidence['low']} to {evidence['high']}, "
    reach = f"{evidence['mean']} {metric.label}"
    if metric.scale != "fraction":
        reach = f"{'an' if metric.label[0] in VOWELS else 'a'} {metric.label} of {evidence['mean']}"
    point = assessment.point.text.partition(" (")[0] if brevity else assessment.point.text
    text = f"{capitalize(point)}, {name} reaches {reach} ({span}n = {evidence['n']})."
    if decision.equal:
        evidence |= quantify_few(measurements, "equal", decision.equal)
        verb = "is" if len(decision.equal) == 1 else "are"
        means = ""
        if len(decision.equal) <= NAMED:
            for i in decision.equal:
                evidence[f"equal_mean_{i}"] = write_value(metric, float(decision.table["mean"][i]))
            means = f" ({list_words([str(evidence[f'equal_mean_{i}']) for i in decision.equal])})"
        text += f" {capitalize(name_few(assessment, decision.equal))}{means} {verb} practically as good"
        if decision.margin is not None and decision.verdict == "good enough":
            evidence["margin"] = write_difference(metric, decision.margin, ())
            if row.behind_at_most > 0:
                text += f": no {noun} is better by more than the margin, {evidence['margin']}"
        text += "."
    if decision.preferred:
        text += f" Of these, the study prefers the {measurements.decide.prefer}."
    if decision.tied and not _is_long(assessment, brevity):
        evidence |= quantify_few(measurements, "tied", sorted(decision.tied))
        tied = name_few(assessment, sorted(decision.tied), name_nouns(measurements)[1])
        text += f" {tied} share that mean."
    rivals = _write_rivals(assessment, level, brevity)
    return Paragraph(" ".join(filter(None, [text, rivals.text])), evidence | rivals.evidence)


def _write_rivals(assessment: Assessment, level: int, brevity: int) -> Paragraph:
    """Say which levels may be better than the shown level and, if nothing is chosen, which have too few seeds."""
    measurements, decision, table = assessment.measurements, assessment.decision, assessment.decision.table
    chosen = decision.chosen is not None
    thin = [] if chosen else find_thin(assessment)
    named = thin if brevity < 3 else []
    rivals = [i for i in decision.candidates if i not in (level, *named, *(decision.equal if chosen else ()))]
    if not chosen and decision.reason not in ("too close", "no margin"):
        return Paragraph("")
    metric, parts, evidence = measurements.metric, list[str](), dict[str, Quantity]()
    long = _is_long(assessment, brevity)
    if rivals:
        who = name_few(assessment, rivals, named=0 if long else NAMED)
        evidence |= quantify_few(measurements, "rival", rivals)
        if len(rivals) == 1 and not long:
            evidence["rival_mean"] = write_value(metric, float(table["mean"][rivals[0]]))
            who += f" ({evidence['rival_mean']})"
        margin = ""
        if decision.margin is not None and brevity < 3:
            evidence["margin"] = write_difference(metric, decision.margin, ())
            margin = f"{', but by less' if chosen else ' by more'} than the margin, {evidence['margin']}"
        parts.append(f"{capitalize(who)} may be better{margin}.")
    if thin and brevity < 3:
        numbers = sorted({int(table.n[i]) for i in thin})
        evidence |= quantify_few(measurements, "thin", thin) | {
            "n_low": count(numbers[0]),
            "n_high": count(numbers[-1]),
        }
        n = (
            count_nouns(numbers[0], "seed")
            if len(numbers) == 1
            else f"{evidence['n_low']} to {evidence['n_high']} seeds"
        )
        verb, them = ("has", "it") if len(thin) == 1 else ("have", "them")
        who = capitalize(name_few(assessment, thin, "more" if rivals else "others"))
        parts.append(f"{who} {verb} only {n} that trained, too few to rule {them} out.")
    elif thin and not long:
        evidence["n_thin"] = count(len(thin))
        have = "has" if len(thin) == 1 else "have"
        who = "it" if len(rivals) == 1 else f"{evidence['n_thin']} of them"
        parts[-1] = f"{parts[-1].removesuffix('.')}; {who} {have} too few seeds to tell."
    return Paragraph(" ".join(parts), evidence)


def _is_long(assessment: Assessment, brevity: int) -> bool:
    """Return whether names of levels take more words than there is room for: those of two factors, in the shortest form."""
    return brevity == BRIEFEST and len(assessment.measurements.factors) > 1


def _write_dropped(assessment: Assessment, brevity: int) -> Paragraph:
    """Say which levels are ruled out, and how far behind the nearest of them ends where that is clear."""
    measurements, decision, level = assessment.measurements, assessment.decision, _shown(assessment)
    ruled_out = set(decision.ruled_out) - {level, *decision.equal}
    out = [i for i in rank_levels(assessment) if i in ruled_out]
    if not out:
        return Paragraph("")
    evidence = quantify_few(measurements, "out", out)
    text = f"{capitalize(name_few(assessment, out))} {'is' if len(out) == 1 else 'are'} ruled out"
    gap = find_clear_gap(assessment, level, out[0])
    if gap is None or (brevity >= 3 and len(out) > 1):
        return Paragraph(f"{text}.", evidence)
    estimate = assessment.compare_scores(level, out[0], measurements.decide.metric)
    turned, metric = estimate if estimate.mean >= 0 else estimate.negate(), measurements.metric
    evidence |= {
        "gap": write_difference(metric, gap, ()),
        "low": write_difference(metric, turned.low, (0.0,), unit=False),
        "high": write_difference(metric, metric.clip_difference(turned.high), (0.0,), unit=False),
        **quantify_levels(measurements, {"level": level, "nearest": out[0]}),
    }
    side = "below" if measurements.metric.better == "higher" else "above"
    counts = [int(decision.table.n[i]) for i in (level, out[0])]
    evidence["n"] = Quantity(float(estimate.n), count_seeds(*counts))
    n = f", n = {evidence['n']}" if len(set(counts)) > 1 else ""  # else that of the shown level, which stands before
    sized = f"{evidence['gap']} {side} ({evidence['low']} to {evidence['high']}{n})"
    nearest = "" if len(out) == 1 else f" {measurements.levels[out[0]].name}, the nearest, ends"
    return Paragraph(f"{text}{':' if nearest else ','}{nearest} {sized}.", evidence)


def _write_pace(assessment: Assessment, findings: Sequence[Finding], brevity: int) -> Paragraph:
    """Say which of those that may be the best reach the target when, if clearly apart, and which still improve."""
    level, measurements, decision = _shown(assessment), assessment.measurements, assessment.decision
    parts, evidence, close = [], {}, {*decision.candidates, *decision.equal, _shown(assessment)}
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


def _write_failures(assessment: Assessment, findings: Sequence[Finding], brevity: int) -> Paragraph:
    """Say how often the shown level fails, which further levels fail, and which train unstably without failing."""
    measurements, table, level = assessment.measurements, assessment.decision.table, _shown(assessment)
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


def write_test(assessment: Assessment, with_interval: bool = True) -> Paragraph:
    """Say what the shown level reaches on test, and whether another is clearly better there; test chooses nothing."""
    measurements, level = assessment.measurements, _shown(assessment)
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
    better = [i for i in rivals if level in several and _is_clearly_better(assessment, i, level, test.name, test.sign)]
    if better:
        evidence |= quantify_few(measurements, "better", better)
        verdict = f"; {name_few(assessment, better)} {'is' if len(better) == 1 else 'are'} clearly better"
    elif rivals:
        verdict = "; no other is clearly better"
    name = refer_to(assessment, level)
    kind = test.label if "test" in test.label else f"{test.label} on test data"
    text = f"{capitalize(kind)}, not used to choose, is {evidence['mean']} for {name}{span}{verdict}."
    return Paragraph(text, evidence)


def _is_clearly_better(assessment: Assessment, level: int, than: int, metric: str, sign: int) -> bool:
    estimate = assessment.compare_scores(level, than, metric)
    return sign * estimate.mean > 0 and (estimate.low > 0 or estimate.high < 0)


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
