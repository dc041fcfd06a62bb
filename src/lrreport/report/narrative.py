"""Which claims a report asks, in which order, and how they are shown."""

from dataclasses import dataclass, replace
from html import escape
from itertools import combinations

from lrreport.report.claims import VOCABULARY, Claim, ask
from lrreport.report.claims.differences import rank_rates
from lrreport.report.results import Results

DETAILED_RATES = 6  # with more, each rate is compared with the leading one only


@dataclass(frozen=True)
class Narrative:
    """Claims shown as sentences, each with its verdict, and its rule to unfold; `headings` stand before them."""

    claims: tuple[Claim, ...]
    headings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "\n".join(self._lead(place) + f"[{one.verdict}] {one.sentence}" for place, one in enumerate(self.claims))

    def _lead(self, place: int) -> str:
        return f"{self.headings[place]}: " if self.headings else ""

    def _repr_html_(self) -> str:
        items = [self._show(place, one) for place, one in enumerate(self.claims)]
        return f'<ul class="claims">\n{"".join(items)}</ul>'

    def _show(self, place: int, one: Claim) -> str:
        heading = f"<p class=\"asserted\">{escape(self.headings[place])}</p>" if self.headings else ""
        kind = one.verdict.replace(" ", "-")
        rule = f"<details><summary>Rule</summary><p>{escape(one.rule)}</p></details>" if one.rule else ""
        return (
            f'<li class="claim {kind}">{heading}<p><span class="verdict">{one.verdict}</span> '
            f"{escape(one.sentence)}</p>{rule}</li>\n"
        )


def observe_rate(results: Results, rate: float) -> Narrative:
    """Return what the results say of one rate by itself."""
    questions = ("learns", "trains_stably", "still_improving", "overfits")
    if results.study.fixed.epochs == 1:
        questions = ("learns", "trains_stably")
    if rate not in results.complete_rates:
        questions = ("trains_stably",)
    return Narrative(tuple(VOCABULARY[name](results, rate) for name in questions))


def compare_rates(results: Results) -> Narrative:
    """Return how the rates differ on validation: accuracy, loss, pace and smoothness."""
    if len(results.complete_rates) < 2:
        return Narrative(())
    order = rank_rates(results, "val_accuracy", sign=1)
    pairs = list(combinations(order, 2)) if len(order) <= DETAILED_RATES else [(order[0], rate) for rate in order[1:]]
    if len(results.study.vary.seed) == 1:
        pairs = pairs[:1]  # one seed cannot compare any two: once said is enough
    claims = [_ask_either_way(results, "higher", pair, metric="val_accuracy") for pair in pairs]
    claims += [_ask_either_way(results, "lower", pair, metric="val_loss") for pair in pairs]
    claims += [_ask_either_way(results, "sooner", pair) for pair in pairs]
    if results.study.fixed.epochs >= 3:
        claims += [_ask_either_way(results, "more_stable", pair) for pair in pairs]
    return Narrative(tuple(claims))


def _ask_either_way(results: Results, name: str, pair: tuple[float, float], **arguments: str) -> Claim:
    """Ask whether one of two rates exceeds the other; the report asserts it of the one for which it may hold."""
    a, b = pair
    asked = VOCABULARY[name](results, a, b, **arguments)
    return VOCABULARY[name](results, b, a, **arguments) if asked.verdict == "contradicted" else asked


def conclude(results: Results) -> Narrative:
    """Return the choice, and whether the range tried was wide enough."""
    return Narrative((VOCABULARY["choice"](results), VOCABULARY["edge_of_range"](results)))


def check_published(results: Results) -> Narrative:
    """Return what our results say of each claim of the earlier report that the study names."""
    if results.study.published is None:
        return Narrative(())
    published = results.study.published.claim
    claims = [ask(results, one) for one in published]
    claims = [
        replace(one, sentence=f"{one.sentence} {said.remark}".strip()) for one, said in zip(claims, published, strict=True)
    ]
    headings = tuple(f"({place}) {one.says}" for place, one in enumerate(published, start=1))
    return Narrative(tuple(claims), headings)


def ask_everything(results: Results) -> list[Claim]:
    """Return every claim of the report, in its order."""
    parts = [observe_rate(results, rate) for rate in results.rates]
    parts += [compare_rates(results), conclude(results), check_published(results)]
    return [one for part in parts for one in part.claims]
