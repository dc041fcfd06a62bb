"""How findings are shown: a word and a size in a table's cell, which opens the sentence and its evidence."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lrreport.inference.claims.claim import Finding
from lrreport.report.svg import escape
from lrreport.report.table import wrap_table
from lrreport.report.words import bind_units
from lrreport.study.formats import capitalize

ARGUMENTS = ("factor", "level", "than", "metric", "value", "than_value", "by")


def identify_finding(finding: Finding) -> str:
    """Return the anchor of a finding: its claim and its arguments, "still_improving-2"."""
    parts = [str(finding.arguments[key]) for key in ARGUMENTS if key in finding.arguments]
    return "-".join([finding.claim, *(re.sub(r"[^A-Za-z0-9_.]+", "_", part) for part in parts)])


def name_claim(claim: str) -> str:
    """Return what a claim is called in a heading: "still_improving" → "Still improving"."""
    return capitalize(claim.replace("_", " "))


def show_finding(finding: Finding, sized: bool = True, prefix: str = "", word: str = "") -> str:
    """Return the word and the size of a finding as a button that opens its sentence, without any script.

    `prefix` begins its anchor where the same finding stands in two tables; `word` replaces the finding's word.
    """
    anchor = f"{prefix}{identify_finding(finding)}"
    size = f' <span class="size">{bind_units(escape(finding.size))}</span>' if finding.size and sized else ""
    button = (
        f'<button type="button" class="finding {finding.tone}" popovertarget="{anchor}">'
        f'<span class="word">{escape(word or finding.word)}</span>{size}</button>'
    )
    return f"{button}{_show_details(finding, anchor)}"


def _show_details(finding: Finding, anchor: str) -> str:
    evidence = "".join(
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(quantity.text)}</dd></div>"
        for name, quantity in finding.evidence.items()
    )
    numbers = f"<dl>{evidence}</dl>" if evidence else ""
    rule = f'<a href="#rule-{finding.claim}">rule</a>'
    sentence = f'{bind_units(escape(finding.sentence))} <a class="anchor" href="#{anchor}">¶</a>'
    return (
        f'<div popover id="{anchor}"><p>{sentence}</p>{numbers}'
        f'<p class="rule">{escape(capitalize(finding.verdict))} by its {rule}.</p></div>'
    )


@dataclass(frozen=True)
class FindingTable:
    """Findings as a table: what each row is about down, what is asked across; a cell may be empty."""

    name: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Finding | None, ...]], ...]
    caption: str = ""
    prefix: str = ""  # of the findings' anchors
    verdicts: bool = False  # whether the verdict has a separate column

    def __repr__(self) -> str:
        return "\n".join(finding.sentence for finding in self.list_findings())

    def list_findings(self) -> list[Finding]:
        """Return the findings, row by row."""
        return [finding for _, cells in self.rows for finding in cells if finding is not None]

    def to_html(self) -> str:
        """Return the table as HTML; nothing without rows."""
        if not self.rows:
            return ""
        columns = (*self.columns, "Verdict") if self.verdicts else self.columns
        heads = "".join(f'<th scope="col">{escape(text)}</th>' for text in (self.corner, *columns))
        body = "".join(
            f'<tr><th scope="row">{escape(name)}</th>' + "".join(map(self._show, cells)) + "</tr>\n"
            for name, cells in self.rows
        )
        caption = f"<caption>{escape(self.caption)}</caption>\n" if self.caption else ""
        table = wrap_table(
            self.name,
            f"{caption}<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody>",
            len(self.columns) + 1,
            len(self.rows),
        )
        return table.replace('<div class="table', '<div class="findings table', 1)

    def _show(self, finding: Finding | None) -> str:
        if finding is None:
            return "<td></td>"
        shown = show_finding(finding, sized=not self.verdicts, prefix=self.prefix)
        verdict = f"<td>{escape(capitalize(finding.verdict))}</td>" if self.verdicts else ""
        return f"<td>{shown}</td>{verdict}"


def arrange_by_level(
    name: str, corner: str, findings: Iterable[Finding], names: Mapping[int, str], titles: Mapping[str, str]
) -> FindingTable:
    """Return findings on single levels as a table, levels down and claims across, separately for each metric."""
    cells: dict[tuple[int, str], Finding] = {}
    for finding in findings:
        metric = finding.arguments.get("metric", "")
        cells[finding.arguments["level"], f"{finding.claim} {metric}".strip()] = finding
    columns = list(dict.fromkeys(column for _, column in cells))
    levels = [level for level in names if any(level == index for index, _ in cells)]
    rows = tuple((names[level], tuple(cells.get((level, column)) for column in columns)) for level in levels)
    return FindingTable(name, corner, tuple(titles.get(claim, name_claim(claim)) for claim in columns), rows)


def arrange_by_pair(
    name: str, findings: Iterable[Finding], names: Mapping[int, str], titles: Mapping[str, str]
) -> FindingTable:
    """Return findings about two levels each as a table, pairs down and claims or metrics across."""
    cells: dict[tuple[tuple[int, int], str], Finding] = {}
    for finding in findings:
        pair = (finding.arguments["level"], finding.arguments["than"])
        pair = pair if (pair[1], pair[0]) not in {listed for listed, _ in cells} else (pair[1], pair[0])
        cells[pair, str(finding.arguments.get("metric", finding.claim))] = finding
    columns = list(dict.fromkeys(column for _, column in cells))
    pairs = list(dict.fromkeys(pair for pair, _ in cells))
    shared = {first for first, _ in pairs}
    alone = len(shared) == 1 and len(pairs) > 1  # all pairs share a level, which the corner names
    corner = f"{names[next(iter(shared))]} and" if alone else "Pair"
    rows = tuple(
        (
            names[pair[1]] if alone else f"{names[pair[0]]} and {names[pair[1]]}",
            tuple(cells.get((pair, column)) for column in columns),
        )
        for pair in pairs
    )
    return FindingTable(name, corner, tuple(titles.get(claim, name_claim(claim)) for claim in columns), rows)


def list_sentences(findings: Sequence[Finding]) -> str:
    """Return findings as a list of their words, each followed by its sentence; if not testable, by its question."""
    if not findings:
        return ""
    words = [name_claim(finding.claim) if finding.verdict == "not testable" else "" for finding in findings]
    items = "".join(
        f"<li>{show_finding(finding, sized=False, word=word)} · {bind_units(escape(finding.sentence))}</li>"
        for finding, word in zip(findings, words, strict=True)
    )
    return f'<ul class="findings-list">{items}</ul>'


def explain_rules(findings: Iterable[Finding]) -> str:
    """Return the rule of each claim that was asked, once, folded under "How to read"."""
    rules = {finding.claim: finding.rule for finding in findings}
    if not rules:
        return ""
    items = "".join(
        f'<dt id="rule-{claim}">{escape(name_claim(claim))}</dt><dd>{escape(rule)}</dd>'
        for claim, rule in rules.items()
    )
    return f'<details class="more"><summary>How to read: the rules</summary><dl class="rules">{items}</dl></details>'
