"""The answer: which level to choose, or which to use until that can be decided."""

from lrreport.inference.assessment import Assessment
from lrreport.inference.sections import rank_levels
from lrreport.inference.story.paragraph import (
    NAMED,
    Paragraph,
    count_words,
    find_clear_gap,
    find_open_sides,
    find_thin,
    name_few,
    quantify_few,
)
from lrreport.inference.words import (
    count,
    list_levels,
    name_factor,
    name_nouns,
    quantify_levels,
    quantify_list,
    write_difference,
    write_value,
)
from lrreport.study.factors import Factor
from lrreport.study.formats import Quantity, format_count

MOST_WORDS = 14


def write_answer(assessment: Assessment) -> Paragraph:
    """Return the answer in a line of at most 14 words where names are short, by the decision.

    Where nothing can be chosen it says why, and which level to use until then.
    """
    measurements, decision = assessment.measurements, assessment.decision
    if decision.leader is None:
        text = {
            "none learns": f"No {name_nouns(measurements)[0]} learns: every run diverged or ends no better than guessing",
            "no runs": "No run has finished yet",
        }.get(decision.reason, f"No run has a {measurements.metric.label}")
        return Paragraph(text)
    return _write_choice(assessment) if decision.chosen is not None else _write_no_choice(assessment)


def _write_choice(assessment: Assessment) -> Paragraph:
    """Return the answer where a level is chosen; of long names and too many words the least useful are left out."""
    forms = ((NAMED, True), (0, True), (NAMED, False), (0, False))
    written = [_compose_choice(assessment, named, with_gap) for named, with_gap in forms]
    return next((form for form in written if count_words(form.text) <= MOST_WORDS), written[-1])


def _compose_choice(assessment: Assessment, named: int, with_gap: bool) -> Paragraph:
    """Return the answer where a level is chosen: what is as good, how much worse the next is, and where better may lie.

    Names at most `named` more levels; `with_gap` adds how much worse the next level is.
    """
    measurements, decision, table = assessment.measurements, assessment.decision, assessment.decision.table
    level = decision.chosen
    assert level is not None
    evidence = quantify_levels(measurements, {"level": level})
    parts = []
    if decision.equal:
        evidence |= quantify_few(measurements, "equal", decision.equal)
        verb = "is" if len(decision.equal) == 1 else "are"
        parts.append(f"{name_few(assessment, decision.equal, named=named)} {verb} practically as good")
    following = _compare_next(assessment, level, named, with_gap)
    parts += [following.text] if following.text else []
    evidence |= following.evidence
    sides = find_open_sides(assessment, level)
    tail = ""
    if sides:
        tail = f"; {_list_sides(measurements.factors, sides)} may be better"
    if table.n_failed[level]:
        evidence |= {"n_failed": count(table.n_failed[level]), "n_runs": count(table.n_runs[level])}
        tail += f"; {evidence['n_failed']} of {evidence['n_runs']} runs failed"
    choose = f"Choose {measurements.levels[level].name}{' for now' if sides else ''}"
    return Paragraph(
        f"{choose}{'; ' if decision.equal else ': '}{', '.join(parts)}{tail}", evidence | following.evidence
    )


def _compare_next(assessment: Assessment, level: int, named: int, with_gap: bool) -> Paragraph:
    """Return how the chosen level compares with the next, as a clause: which may be better, or how much worse that is."""
    measurements, decision, noun = assessment.measurements, assessment.decision, name_nouns(assessment.measurements)[0]
    rivals = [i for i in decision.candidates if i not in (level, *decision.equal)]
    if rivals and decision.margin is not None:
        margin = write_difference(measurements.metric, decision.margin, ())
        who = name_few(assessment, rivals, named=named)
        evidence = quantify_few(measurements, "rival", rivals) | {"margin": margin}
        return Paragraph(f"{who} may be better, by less than {margin}", evidence)
    behind = [i for i in rank_levels(assessment) if i in decision.ruled_out and i not in decision.equal]
    gap = find_clear_gap(assessment, level, behind[0]) if behind and with_gap else None
    if gap is not None and (len(behind) == 1 or not decision.equal):
        evidence, following = {"gap": write_difference(measurements.metric, gap, ())}, f"the next {noun}"
        if named:
            evidence |= quantify_levels(measurements, {"behind": behind[0]})
            following = f"{measurements.levels[behind[0]].name}{', the next,' if len(behind) > 1 else ''}"
        return Paragraph(f"{following} is {evidence['gap']} worse", evidence)
    if decision.equal:
        return Paragraph("")
    return Paragraph(f"no other {noun} may be the best" if behind else f"every other {noun} failed")


def _list_sides(factors: tuple[Factor, ...], sides: list[tuple[int, str]]) -> str:
    """Return where better levels may lie: "higher rates", "lower and higher batch sizes"."""
    texts = []
    for index in dict.fromkeys(index for index, _ in sides):
        kinds = " or ".join(sorted({side for i, side in sides if i == index}))
        texts.append(f"{kinds} {name_values(factors[index])}")
    return " or ".join(texts)


def name_values(factor: Factor) -> str:
    """Return what several values of a factor are called: "rates", "batch sizes"."""
    return "rates" if factor.label == "learning rate" else name_factor(factor.label)[1]


def _write_no_choice(assessment: Assessment) -> Paragraph:
    """Return the answer where nothing is chosen: what is lacking, and what to use until then."""
    measurements, decision, metric = assessment.measurements, assessment.decision, assessment.measurements.metric
    leader = decision.leader
    assert leader is not None
    name = measurements.levels[leader].name
    evidence = quantify_levels(measurements, {"level": leader})
    extreme = "highest" if metric.better == "higher" else "lowest"
    if decision.reason == "no choice":
        return Paragraph("The study only reproduces: nothing is chosen", evidence)
    if decision.reason == "one level":
        mean = write_value(metric, float(decision.table["mean"][leader]))
        return Paragraph(f"{name} reaches {mean} {metric.label}; no other was tried", evidence | {"mean": mean})
    if decision.reason in ("one seed", "two seeds"):
        few = "one seed is" if decision.table.n[leader] == 1 else "two seeds are"
        tied = sorted(decision.tied)
        evidence |= quantify_list(measurements, "tied", tied)
        if 1 < len(tied) <= NAMED:
            who = f"{list_levels(measurements, tied)} share the"
            return Paragraph(f"{who} {extreme} {metric.label}; {few} too few to choose", evidence)
        return Paragraph(f"{name} has the {extreme} {metric.label}, but {few} too few to choose", evidence)
    if decision.reason in ("one trained", "few trained"):
        trained, runs = (count(decision.table[key][leader]) for key in ("n", "n_runs"))
        text = f"{name} has the {extreme} {metric.label}, but only {trained} of its {runs} runs trained"
        return Paragraph(text, evidence | {"n": trained, "n_runs": runs})
    if decision.reason == "error spent":
        return Paragraph(f"Undecided: earlier looks used up the 5 % error; use {name} for now", evidence)
    return _write_undecided(assessment, name, evidence)


def _write_undecided(assessment: Assessment, name: str, evidence: dict[str, Quantity]) -> Paragraph:
    """Return between which levels it is undecided, or that too many have few seeds; `name` is the leader's."""
    measurements, decision, several = (
        assessment.measurements,
        assessment.decision,
        name_nouns(assessment.measurements)[1],
    )
    candidates = decision.candidates
    evidence |= quantify_list(measurements, "candidate", candidates) | {"n_candidates": count(len(candidates))}
    thin, n_tied = find_thin(assessment), len(decision.tied)
    if len(thin) > len(candidates) / 2:
        evidence |= {"n_thin": count(len(thin)), "n_levels": count((decision.table.n_runs > 0).sum())}
        text = f"Too few seeds to judge {evidence['n_thin']} of {evidence['n_levels']} {several}; use {name} for now"
        return Paragraph(text, evidence)
    use = ("either" if n_tied == 2 else "any") if n_tied == len(candidates) else name
    named = f"Undecided between {list_levels(measurements, candidates)}; use {use} for now"
    if len(candidates) <= NAMED + 1 and count_words(named) <= MOST_WORDS:
        return Paragraph(named, evidence)
    n = int((decision.table.n_runs > 0).sum())
    evidence["n_levels"] = count(n)
    of = f"all {format_count(n)}" if len(candidates) == n else f"{evidence['n_candidates']} of {evidence['n_levels']}"
    return Paragraph(f"Undecided between {of} {several}; use {use} for now", evidence)
