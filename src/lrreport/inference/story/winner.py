"""Who wins in the paragraph of trade-offs: where the shown level ends, what may be better, and what is ruled out."""

from collections.abc import Sequence

from lrreport.inference.assessment import Assessment
from lrreport.inference.sections import rank_levels
from lrreport.inference.story.paragraph import (
    BRIEFEST,
    NAMED,
    Paragraph,
    find_clear_gap,
    find_shown,
    find_thin,
    is_finite,
    name_few,
    quantify_few,
    refer_to,
)
from lrreport.inference.words import count, count_seeds, name_nouns, quantify_levels, write_difference, write_value
from lrreport.study.formats import Quantity, capitalize, count_nouns, list_words

VOWELS = "aeiouAEIORLFMNSX"  # letters that a label in words, or in capitals read letter by letter, takes "an" before


def write_winner(assessment: Assessment, brevity: int) -> Paragraph:
    """Say where the shown level ends, how much better another may be, and what is as good."""
    measurements, decision, level = assessment.measurements, assessment.decision, find_shown(assessment)
    metric, row = measurements.metric, decision.table.loc[level]
    name = measurements.levels[level].name if brevity < BRIEFEST else refer_to(assessment, level)
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
    equal = _write_equal(assessment, level)
    text, evidence = text + equal.text, evidence | equal.evidence
    if decision.preferred:
        text += f" Of these, the study prefers the {measurements.decide.prefer}."
    if decision.tied and not _is_long(assessment, brevity):
        evidence |= quantify_few(measurements, "tied", sorted(decision.tied))
        tied = name_few(assessment, sorted(decision.tied), name_nouns(measurements)[1])
        text += f" {tied} share that mean."
    rivals = _write_rivals(assessment, level, brevity)
    return Paragraph(" ".join(filter(None, [text, rivals.text])), evidence | rivals.evidence)


def _write_equal(assessment: Assessment, level: int) -> Paragraph:
    """Say which levels are practically as good as the shown level, with their means where they are few."""
    measurements, decision, metric = assessment.measurements, assessment.decision, assessment.measurements.metric
    if not decision.equal:
        return Paragraph("")
    evidence, means = quantify_few(measurements, "equal", decision.equal), ""
    if len(decision.equal) <= NAMED:
        written = {i: write_value(metric, float(decision.table["mean"][i])) for i in decision.equal}
        evidence |= {f"equal_mean_{i}": quantity for i, quantity in written.items()}
        means = f" ({list_words([str(quantity) for quantity in written.values()])})"
    verb = "is" if len(decision.equal) == 1 else "are"
    text = f" {capitalize(name_few(assessment, decision.equal))}{means} {verb} practically as good"
    if decision.margin is not None and decision.verdict == "good enough":
        evidence["margin"] = write_difference(metric, decision.margin, ())
        if decision.table.behind_at_most[level] > 0:
            noun = name_nouns(measurements)[0]
            text += f": no {noun} is better by more than the margin, {evidence['margin']}"
    return Paragraph(f"{text}.", evidence)


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
        few = _write_thin(assessment, thin, "more" if rivals else "others")
        parts.append(few.text)
        evidence |= few.evidence
    elif thin and not long:
        evidence["n_thin"] = count(len(thin))
        have = "has" if len(thin) == 1 else "have"
        who = "it" if len(rivals) == 1 else f"{evidence['n_thin']} of them"
        parts[-1] = f"{parts[-1].removesuffix('.')}; {who} {have} too few seeds to tell."
    return Paragraph(" ".join(parts), evidence)


def _write_thin(assessment: Assessment, thin: Sequence[int], noun: str) -> Paragraph:
    """Say that levels have too few seeds to be ruled out; `noun` is what several are called."""
    n_seeds = sorted({int(assessment.decision.table.n[i]) for i in thin})
    evidence = quantify_few(assessment.measurements, "thin", thin)
    evidence |= {"n_low": count(n_seeds[0]), "n_high": count(n_seeds[-1])}
    n = f"{evidence['n_low']} to {evidence['n_high']} seeds" if len(n_seeds) > 1 else count_nouns(n_seeds[0], "seed")
    verb, them = ("has", "it") if len(thin) == 1 else ("have", "them")
    who = capitalize(name_few(assessment, thin, noun))
    return Paragraph(f"{who} {verb} only {n} that trained, too few to rule {them} out.", evidence)


def _is_long(assessment: Assessment, brevity: int) -> bool:
    """Return whether names of levels take more words than there is room for: those of two factors, in the shortest form."""
    return brevity == BRIEFEST and len(assessment.measurements.factors) > 1


def write_dropped(assessment: Assessment, brevity: int) -> Paragraph:
    """Say which levels are ruled out, and how far behind the nearest of them ends where that is clear."""
    measurements, decision, level = assessment.measurements, assessment.decision, find_shown(assessment)
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
