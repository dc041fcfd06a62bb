"""Terms of the report, explained once each, and elements of HTML that every section uses."""

import re
from collections.abc import Sequence

from lrreport.report.svg import escape

TERMS = {
    "points": "Percentage points: the difference of two percentages.",
    "nats": "The unit of a cross-entropy with natural logarithms; 0.69 nats is the loss of a coin flip.",
    "95 % interval": "A range that would contain the true value in 95 % of studies like this one.",
    "practically equal": "The whole interval of the difference lies inside the margin that counts as small.",
    "practically as good": "Behind the best of those tried by less than the margin that counts as small, with 95 %.",
    "may be the best": "No other level beats it clearly; with 95 %, a best one is among those that may be.",
    "ruled out": "Some other level beats it: it is no better than that one.",
    "margin": "The largest difference that counts as small, fixed before the runs.",
    "new seeds and examples": "The interval holds for repetitions with other seeds, scored on other examples of the same kind.",
    "new seeds": "The interval holds for repetitions with other seeds, scored on the same examples.",
    "seeds": "Repetitions with their own initial weights, batch order and validation examples.",
}


def bind_units(html: str) -> str:
    """Return HTML in which no line breaks between a number and its unit, or inside "n = 5"."""
    html = re.sub(r"(?<=\d) (?=%|(?:points|nats|epochs|seeds)\b)", "&nbsp;", html)
    return (
        html.replace(" · ", "&nbsp;· ")
        .replace(" × ", "&nbsp;×&nbsp;")
        .replace("n = ", "n&nbsp;=&nbsp;")
        .replace("p = ", "p&nbsp;=&nbsp;")
        .replace("p &lt; ", "p&nbsp;&lt;&nbsp;")
    )


def mark_terms(html: str, seen: set[str]) -> str:
    """Return HTML whose first use of each term, if not in `seen`, opens its explanation; what was used is added to `seen`."""
    for term in sorted(TERMS, key=len, reverse=True):
        if term in seen:
            continue
        pattern = re.compile(rf"(\(?)(?<![\w>-]){re.escape(term)}(?![\w-])(?![^<]*</button>)(?![^<]*>)")
        target = f'popovertarget="term-{slug(term)}" title="{escape(TERMS[term])}"'
        button = f'<button type="button" class="term" {target}>{term}</button>'
        match = pattern.search(html)
        if match is not None:
            html = html[: match.start()] + _glue(match[1], button) + html[match.end() :]
            seen.add(term)
    return html


def _glue(before: str, html: str) -> str:
    """Return an element that no line break separates from what stands before it."""
    return f'<span class="glued">{before}{html}</span>' if before else html


def explain_terms(terms: set[str]) -> str:
    """Return the explanations of the terms used: for a tap on them, and as a list that is printed."""
    if not terms:
        return ""
    ordered = [term for term in TERMS if term in terms]
    popovers = "".join(
        f'<div popover id="term-{slug(term)}"><p><strong>{term}</strong>: {escape(TERMS[term])}</p></div>'
        for term in ordered
    )
    items = "".join(f"<dt>{term}</dt><dd>{escape(TERMS[term])}</dd>" for term in ordered)
    return f'{popovers}<details class="more terms-box"><summary>Terms</summary><dl class="terms">{items}</dl></details>'


def slug(text: str) -> str:
    """Return a text as part of an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def write_heading(anchor: str, title: str) -> str:
    """Return the heading of a section with its anchor."""
    return f'<h2 id="{anchor}">{escape(title)} <a class="anchor" href="#{anchor}">¶</a></h2>\n'


def write_kicker(parts: Sequence[str]) -> str:
    """Return the parts of the line above the answer; a line breaks between them, inside the first alone."""
    shown = [bind_units(escape(part)) for part in parts]
    return " ".join(
        f'<span class="part">{text}</span>' for text in [*(f"{part}&nbsp;·" for part in shown[:-1]), shown[-1]]
    )


def write_paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph; nothing for an empty text."""
    return f"<p{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{escape(text)}</p>\n" if text else ""
