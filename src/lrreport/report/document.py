"""The document: every part of a report in its order, built once; the page, summary.md and findings.json are its views."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lrreport.inference.assessment import Assessment
from lrreport.inference.claims import Finding
from lrreport.inference.range_test import suggest_rate
from lrreport.inference.sections import Section, ask_everything
from lrreport.inference.story import Story, write_story
from lrreport.record.files import replace_file
from lrreport.report import illustrate, paper, titles
from lrreport.report.command import write_command
from lrreport.report.errors_by_class import ClassErrors, find_errors
from lrreport.report.figures.figure import Figure
from lrreport.report.finding_view import (
    FindingTable,
    arrange_by_level,
    arrange_by_pair,
    explain_rules,
    list_sentences,
)
from lrreport.report.findings_json import describe_document
from lrreport.report.load import LoadedReport
from lrreport.report.summary import tabulate_summary, write_card, write_summary
from lrreport.report.svg import escape
from lrreport.report.table import Table
from lrreport.report.tables.provenance import tabulate_notes, tabulate_provenance, write_colophon
from lrreport.report.tables.results import frame_runs, tabulate_results
from lrreport.report.tables.settings import describe_data, describe_network, tabulate_settings
from lrreport.report.words import bind_units, explain_terms, mark_terms, write_heading, write_kicker, write_paragraph
from lrreport.study.formats import format_percent

STYLE = Path(__file__).parent / "template" / "figures.css"
MOST_ROWS, MOST_PAIRS = 12, 6  # of a table that is open at once; longer tables are folded


@dataclass(frozen=True)
class Part:
    """A part of the document as HTML and as text; both are empty where the study has nothing for it."""

    html: str
    text: str = ""

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html


def make_document(loaded: LoadedReport, assessment: Assessment) -> "Document":
    """Return the report on assessed runs, with every finding and the story composed of them."""
    sections = ask_everything(assessment)
    fixed = titles.list_fixed(loaded.study, describe_network(loaded.study))
    return Document(loaded, assessment, sections, write_story(assessment, sections, fixed))


class Document:
    """A report: each property is a part, in the order of the page."""

    def __init__(self, loaded: LoadedReport, assessment: Assessment, sections: Sequence[Section], story: Story) -> None:
        self.loaded, self.assessment, self.story = loaded, assessment, story
        self.all_sections = tuple(sections)
        self.sections = {section.key: section.findings for section in sections}
        self._terms: set[str] = set()

    # What the parts are made from, each once

    @cached_property
    def names(self) -> dict[int, str]:
        """What each level is called, by index."""
        return {level.index: level.name for level in self.assessment.measurements.levels}

    def find(self, *keys: str) -> tuple[Finding, ...]:
        """Return the findings of these sections, in order; () for a section that has none."""
        return tuple(finding for key in keys for finding in self.sections.get(key, ()))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding but those on an earlier report."""
        return self.find("search", "factors", "levels", "pairs")

    @cached_property
    def earlier(self) -> tuple[tuple[str, Finding], ...]:
        """What an earlier report said, in its words, with our finding on each claim."""
        published = self.loaded.study.published
        says = [claim.says for claim in published.claim] if published is not None else []
        return tuple(zip(says, self.find("claims"), strict=True)) if self.find("claims") else ()

    @cached_property
    def errors(self) -> ClassErrors | None:
        """Where the networks err, if predictions of classes are stored."""
        return find_errors(self.assessment, self.loaded.kept)

    @cached_property
    def notes(self) -> dict[str, dict[int, str]]:
        """The words beside each level in the decision figure, by heading."""
        return titles.collect_notes(self.assessment, self.findings)

    @cached_property
    def decision_figure(self) -> Figure | None:
        """The decision figure, or the grid of two factors."""
        return illustrate.show_decision(self.assessment, self.notes)

    @cached_property
    def command(self) -> str:
        """The command of the next step, or of the report itself where nothing is left to do."""
        changes = titles.choose_changes(self.story.next_step, self.loaded.study)
        return write_command(self.loaded.study, **changes) if changes else ""

    @cached_property
    def colophon(self) -> str:
        """How the runs were made, in a line or two."""
        return write_colophon(self.loaded, write_command(self.loaded.study))

    # The parts, in the order of the page

    @property
    def styles(self) -> Part:
        """The style sheet of figures: it serves the notebook, and moves into the head of the page."""
        return Part(f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>")

    @cached_property
    def kicker(self) -> str:
        """The question, the grid, what is fixed, and whether all runs finished, in one line."""
        return " · ".join(self.story.kicker)

    @cached_property
    def first_screen(self) -> Part:
        """The answer, what speaks for and against it, the decision figure, and what to do next."""
        answer, paragraph, step = self.story.answer.text, self.story.tradeoffs.text, self.story.next_step
        html = f'<p class="kicker">{write_kicker(self.story.kicker)}</p>\n<h1 id="answer">{bind_units(escape(answer))}</h1>\n'
        html += (
            f'<p class="trade-offs">{bind_units(mark_terms(escape(paragraph), self._terms))}</p>\n' if paragraph else ""
        )
        figure, following = self.decision_figure, self._write_next_step()
        drawn = figure.to_html() if figure is not None else ""
        html += following + drawn if figure is not None and figure.tall else drawn + following
        study = self.loaded.study
        html += write_paragraph(f"Note by {study.author or 'the author'}: {study.note}", "note") if study.note else ""
        html += write_paragraph(f"By {study.author}", "author") if study.author and not study.note else ""
        return Part(html, "\n\n".join(filter(None, [self.kicker, answer, paragraph, step.text, self.command])))

    def _write_next_step(self) -> str:
        """Return the box of the next step, with its command and a button that copies it."""
        step, command = self.story.next_step, escape(self.command)
        if not step.text:
            return ""
        button = f'<button type="button" data-copy="{command}" hidden>Copy</button>'
        shown = f'<div class="command"><code>{command}</code> {button}</div>' if command else ""
        text = f"<strong>Next: {escape(step.title)}.</strong> {mark_terms(escape(step.text), self._terms)}"
        return f'<div class="next" id="next"><p>{text}</p>{shown}</div>\n'

    @cached_property
    def differences(self) -> Part:
        """How the levels differ at the end: the table of results, and every pair on every metric."""
        pairs = [finding for finding in self.find("pairs") if "metric" in finding.arguments]
        table = titles.title_metrics(self.assessment, arrange_by_pair("pairs", pairs, self.names, {}))
        results, figure = tabulate_results(self.assessment), illustrate.show_scores(self.assessment)
        shown = results if len(results.rows) <= MOST_ROWS else _fold("Results of each level", results, printed=True)
        title, moves = titles.title_differences(self.assessment), list_sentences(self.find("factors"))
        test = write_paragraph(self.story.test.text)
        fresh = write_paragraph(titles.explain_fresh(self.loaded, self.assessment))
        return self._section("differences", title, shown, test, fresh, table, figure, moves)

    @cached_property
    def search(self) -> Part:
        """Whether the range tried is wide enough, with range tests."""
        findings = [finding for finding in self.find("search") if finding.claim != "choice"]
        parts: list[Any] = [list_sentences(findings)]
        loss = self.assessment.measurements.metrics.get("train_loss") or self.assessment.loss
        for name, curve in self.loaded.range_tests.items():
            suggestion = suggest_rate(curve.rates, curve.losses)
            tried = titles.list_rates(self.assessment.measurements)
            parts.append(illustrate.show_range_test(name, curve, tried, suggestion.rate, loss.unit if loss else ""))
            parts.append(write_paragraph(suggestion.sentence))
        return self._section("range", titles.title_search(self.assessment), *parts)

    @cached_property
    def curves(self) -> Part:
        """How they got there: curves, the table of levels and questions, pairs, the gap to training, and time."""
        course = [finding for finding in self.find("pairs") if "metric" not in finding.arguments]
        corner = titles.name_corner(self.assessment)
        by_level = arrange_by_level("levels", corner, self.find("levels"), self.names, titles.QUESTIONS)
        by_pair = arrange_by_pair("course", course, self.names, titles.QUESTIONS)
        gap = _fold("Gap between training and validation", illustrate.show_gap(self.assessment))
        pairs = by_pair if len(by_pair.rows) <= MOST_PAIRS else _fold("Pace and smoothness in pairs", by_pair)
        title, pace = titles.title_curves(self.assessment, self.find("levels")), illustrate.show_pace(self.assessment)
        return self._section("training", title, illustrate.show_curves(self.assessment), by_level, pairs, pace, gap)

    @cached_property
    def where_they_err(self) -> Part:
        """Which classes are hard, and what levels change about it."""
        errors = self.errors
        if errors is None:
            return Part("")
        rows = [
            (self.names[level], f"{first} and {second}", format_percent(share, 1))
            for level in self.names
            if level in errors.levels
            for first, second, share in [errors.confused[level]]
        ]
        caption = (
            "The two classes confused most, and the share of their test examples taken for the other: means over seeds."
        )
        table = Table(
            "confusions",
            (titles.name_corner(self.assessment), "Classes", "Confused"),
            tuple(rows),
            caption,
            n_labels=2,
        )
        title = titles.title_errors(self.assessment, errors)
        return self._section(
            "errors",
            title,
            illustrate.show_classes(self.assessment, errors),
            table if not titles.all_same(errors) else "",
        )

    def explorer(self, explorer: Any) -> Part:
        """Return the interactive explorer as a part."""
        heading = write_heading("explore", "Explore every run")
        html = f'<section class="explorer-section">\n{heading}{explorer._repr_html_()}\n</section>'
        html += '\n<p class="on-paper">The values of every run are in results.csv, beside this report.</p>'
        return Part(html, repr(explorer))

    @cached_property
    def earlier_report(self) -> Part:
        """What an earlier report said, checked: its claims and its numbers; empty where the study names none."""
        published, numbers = self.loaded.study.published, self.find("numbers")
        if published is None or not (self.earlier or numbers):
            return Part("")
        rows = tuple((says, (finding,)) for says, finding in self.earlier)
        claims = FindingTable("earlier-claims", "It says", ("Our runs",), rows, prefix="earlier-", verdicts=True)
        corner = titles.name_corner(self.assessment)
        single = [finding for finding in numbers if "than" not in finding.arguments]
        pairs = [finding for finding in numbers if "than" in finding.arguments]
        by_level = titles.title_metrics(
            self.assessment, arrange_by_level("earlier-numbers", corner, single, self.names, {})
        )
        by_pair = titles.title_metrics(self.assessment, arrange_by_pair("earlier-differences", pairs, self.names, {}))
        title = titles.title_earlier([finding for _, finding in self.earlier], numbers)
        return self._section("earlier", title, write_paragraph(published.title), claims, by_level, by_pair)

    @cached_property
    def settings(self) -> Part:
        """What varies and what is fixed, and what the data are used for."""
        seeds = list(self.assessment.measurements.planned)
        table = tabulate_settings(self.loaded.study, seeds)
        records = [run.record for run in self.loaded.kept.values()]
        sizes = records[0].description.get("split_sizes", {}) if records else {}
        pairing = titles.explain_pairing(self.assessment, splits_known={"validation", "test"} <= sizes.keys())
        sentences = " ".join([*describe_data(records, self.loaded.study), pairing]).strip()
        notes = tabulate_notes(self.loaded)
        return self._section(
            "setup", "What all this holds for", write_paragraph(sentences), notes, _fold("Settings", table)
        )

    @cached_property
    def provenance(self) -> Part:
        """How it was made: the rules, the terms, versions and digests."""
        every = [*self.findings, *self.find("claims", "numbers")]
        rules = explain_rules(every)
        table = _fold("Machine, versions and digests", tabulate_provenance(self.loaded))
        used = {*self._terms, "95 % interval"}
        return self._section("made", "How this was made", rules, explain_terms(used), table)

    def _section(self, anchor: str, title: str, *parts: "Table | FindingTable | Figure | str | None") -> Part:
        """Return a section with its heading; nothing where all its parts are empty."""
        shown = [part if isinstance(part, str) else part.to_html() for part in parts if part is not None]
        html = "".join(filter(None, shown))
        if not html:
            return Part("")
        texts = [repr(part) for part in parts if part is not None and not isinstance(part, str) and part.to_html()]
        return Part(write_heading(anchor, title) + html, "\n\n".join([title, *texts]))

    # Further outputs

    def write(self, folder: Path | str) -> Part:
        """Write the further outputs into `folder`: findings, summary, tables, the card and figures for papers.

        Without a folder nothing is written.
        """
        if not folder:
            return Part("")
        target = Path(folder)
        results = tabulate_results(self.assessment)
        texts = {
            "findings.json": json.dumps(describe_document(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            "summary.md": write_summary(self),
            "results.csv": frame_runs(self.assessment).to_csv(index=False, lineterminator="\n"),
            "table.md": results.to_markdown(),
            "table.tex": results.to_latex(),
            "card.svg": write_card(self),
        }
        for name, text in texts.items():
            replace_file(target / name, text.encode())
        drawings = paper.draw_files(self)
        for name, content in drawings.items():
            replace_file(target / name, content)
        return Part("", f"Wrote {', '.join([*texts, *drawings])}.")

    def summary_table(self) -> Table:
        """Return the table of the summary: means, intervals and differences of the leading levels."""
        return tabulate_summary(self.assessment)


def _fold(summary: str, part: "Table | FindingTable | Figure | None", printed: bool = False) -> str:
    """Return a part folded away under a summary, unfolded on paper if `printed`; nothing without content."""
    html = part.to_html() if part is not None else ""
    kind = "part printed" if printed else "part"
    return f'<details class="{kind}"><summary>{escape(summary)}</summary>{html}</details>' if html else ""
