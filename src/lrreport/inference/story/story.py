"""The story: its four parts, composed once for the page, the summary and the card."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lrreport.inference.assessment import Assessment
from lrreport.inference.sections import Section
from lrreport.inference.story.answer import write_answer
from lrreport.inference.story.next_step import NextStep, plan_next
from lrreport.inference.story.paragraph import Paragraph, count_words
from lrreport.inference.story.tradeoffs import write_test, write_tradeoffs
from lrreport.inference.words import count_levels
from lrreport.study.formats import format_count

MOST_WORDS = 123  # of the first screen; its command brings it to about 130


@dataclass(frozen=True)
class Story:
    """The first screen: parts of the kicker, the answer, the paragraph of trade-offs and the next step.

    `test` is the sentence on the test score where the paragraph has no room for its interval, else empty.
    """

    kicker: tuple[str, ...]
    answer: Paragraph
    tradeoffs: Paragraph
    next_step: NextStep
    test: Paragraph


def write_story(assessment: Assessment, sections: Iterable[Section], fixed: Sequence[str] = ()) -> Story:
    """Return the first screen of a report, from its assessment and from the sections of its findings.

    `fixed` are parts of the kicker on what does not vary. The paragraph gets the words left by the rest.
    """
    findings = [finding for section in sections for finding in section.findings]
    *question, state = write_kicker(assessment)
    kicker = (*question, *fixed, state)
    answer, step = write_answer(assessment), plan_next(assessment, findings)
    room = MOST_WORDS - count_words(*kicker, answer.text, step.title, step.text)
    tradeoffs, test = write_tradeoffs(assessment, findings, room), Paragraph("")
    if assessment.decision.leader is not None:
        full = write_test(assessment)
        test = full if full.text not in tradeoffs.text else test
    return Story(kicker, answer, tradeoffs, step, test)


def write_kicker(assessment: Assessment) -> tuple[str, ...]:
    """Return the parts of the line above the answer: title, grid, look, and whether all runs finished and trained."""
    measurements, table = assessment.measurements, assessment.decision.table
    n_runs, n_missing, n_failed = int(table.n_runs.sum()), len(measurements.list_missing()), int(table.n_failed.sum())
    seeds = [int(n) for n in dict.fromkeys(table.n_runs[table.n_runs > 0])]
    n_seeds = format_count(seeds[0]) if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}" if seeds else "0"
    grid = f"{count_levels(measurements, len(table))} × {n_seeds} {'seed' if n_seeds == '1' else 'seeds'}"
    done = f"{format_count(n_runs)} of {format_count(n_runs + n_missing)} runs finished" if n_missing else ""
    of = "them" if n_missing else f"{format_count(n_runs)} runs"
    failed = f"{format_count(n_failed)} of {of} failed" if n_failed else ""
    state = ", ".join(filter(None, [done, failed])) or (
        f"all {format_count(n_runs)} runs finished" if n_runs else "no run finished"
    )
    look = assessment.decision.look.number
    return tuple(filter(None, (measurements.title, grid, f"look {look}" if look > 1 else "", state)))
