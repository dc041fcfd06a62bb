"""How what is told is shown: claims with verdict, rule and evidence; paragraphs; chapters, of which some unfold."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Protocol, get_args

from lrreport.report.claims import Claim
from lrreport.report.claims.claim import Verdict
from lrreport.report.formats import Quantity, capitalize, count_nouns
from lrreport.report.results import Levels


@dataclass(frozen=True)
class Narrative:
    """Claims shown as sentences, each with its verdict, and its rule and evidence to unfold; or why there are none.

    `asserted` are the words of an earlier report, one for each claim.
    """

    claims: tuple[Claim, ...]
    title: str = ""
    asserted: tuple[str, ...] = ()
    empty: str = ""

    def __repr__(self) -> str:
        asserted = self.asserted or ("",) * len(self.claims)
        lines = [
            f"{said} [{_name_verdict(one)}] {one.sentence}".strip()
            for said, one in zip(asserted, self.claims, strict=True)
        ]
        return "\n".join([*filter(None, [self.title]), *(lines or [self.empty])])

    def _repr_html_(self) -> str:
        title = f"<h3>{escape(self.title)}</h3>\n" if self.title else ""
        if not self.claims:
            return f"{title}<p>{escape(self.empty)}</p>" if self.empty else title
        asserted = self.asserted or ("",) * len(self.claims)
        items = "".join(_show_claim(one, said) for one, said in zip(self.claims, asserted, strict=True))
        return f'{title}<ul class="claims">\n{items}</ul>'


def typeset(text: str) -> str:
    """Return a text as HTML, with no line broken between a number and its unit or sign."""
    text = escape(text)
    for phrase in (" %", " points", " nats", "n = ", "p = ", "p &lt; ", "p &gt; "):
        text = text.replace(phrase, phrase.replace(" ", "&nbsp;"))
    return text


def _show_claim(one: Claim, asserted: str) -> str:
    said = f'<p class="asserted">{typeset(asserted)}</p>' if asserted else ""
    rule = f"<p>{typeset(one.rule)}</p>" if one.rule else ""
    behind = rule + _show_evidence(one.evidence)
    unfold = f"<details><summary>Rule and evidence</summary>{behind}</details>" if behind else ""
    verdict = f'<span class="verdict">{typeset(_name_verdict(one))}</span>'
    kind = one.verdict.replace(" ", "-")
    return f'<li class="claim {kind}">{said}<p>{verdict} {typeset(one.sentence)}</p>{unfold}</li>\n'


def _show_evidence(evidence: dict[str, Quantity]) -> str:
    """Return the numbers that a sentence is made of, each under its name in findings.json."""
    pairs = (
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{typeset(str(quantity).removeprefix('= '))}</dd></div>"
        for name, quantity in evidence.items()
    )
    return f"<dl>{''.join(pairs)}</dl>" if evidence else ""


def _name_verdict(one: Claim) -> str:
    """Return a verdict with the claim that it is about, since a sentence alone may state the opposite of its claim."""
    return f"“{one.name.replace('_', ' ')}”: {one.verdict}"


class Shown(Protocol):
    """What a notebook and a page can show."""

    def _repr_html_(self) -> str: ...


@dataclass(frozen=True)
class Chapter:
    """Narratives, or what else can be shown, one after the other."""

    parts: tuple[Shown, ...]

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All claims of its parts."""
        return tuple(
            one for part in self.parts if isinstance(part, Narrative | Chapter | Folded) for one in part.claims
        )

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self.parts))

    def _repr_html_(self) -> str:
        return "\n".join(part._repr_html_() for part in self.parts)


@dataclass(frozen=True)
class Folded:
    """What is told of one level, to unfold under its title."""

    title: str
    told: Narrative | Chapter

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All claims in it."""
        return self.told.claims

    def __repr__(self) -> str:
        return f"{self.title}\n\n{self.told!r}"

    def _repr_html_(self) -> str:
        counts = [(kind, sum(one.verdict == kind for one in self.claims)) for kind in get_args(Verdict)]
        said = ", ".join(f"{count} {kind}" for kind, count in counts if count)
        n = f" <span>{count_nouns(len(self.claims), 'claim')}: {said}</span>" if self.claims else ""
        title = f"<summary>{escape(self.title)}{n}</summary>"
        return f'<details class="level">{title}\n{self.told._repr_html_()}\n</details>'


Told = Narrative | Chapter


def head_levels(levels: Levels, parts: Mapping[Any, Told]) -> Told:
    """Return what is told of each level one after the other, titled and its claims marked with the level."""
    return Chapter(tuple(_mark_level(levels, value, part) for value, part in parts.items()))


def fold_levels(levels: Levels, parts: Mapping[Any, Told]) -> Told:
    """Return what is told of each level, to unfold one by one, its claims marked with the level."""
    marked = {value: _mark_level(levels, value, part, titled=False) for value, part in parts.items()}
    return Chapter(tuple(Folded(capitalize(levels.name(value)), part) for value, part in marked.items()))


def _mark_level(levels: Levels, value: Any, part: Shown, titled: bool = True) -> Told:
    """Mark claims with a level, and name it in the title, unless that is not `titled` and stands under one that does."""
    if isinstance(part, Chapter):
        return Chapter(tuple(_mark_level(levels, value, one, titled) for one in part.parts))
    assert isinstance(part, Narrative)
    name = levels.name(value)
    title = (f"{part.title} with {name}" if part.title else capitalize(name)) if titled else part.title
    marked = {str(levels.study.vary.axis): value}
    return replace(
        part, title=title, claims=tuple(replace(one, arguments=marked | one.arguments) for one in part.claims)
    )


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of its own; `style` is its class in the page, `evidence` holds the numbers that it quotes."""

    text: str
    evidence: dict[str, Quantity]
    style: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the paragraph as plain data."""
        return {"text": self.text, "evidence": {key: quantity.to_json() for key, quantity in self.evidence.items()}}

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<p class="{self.style}">{typeset(self.text)}</p>' if self.style else f"<p>{typeset(self.text)}</p>"
