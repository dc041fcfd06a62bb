"""Which claims a report asks, in which order, and how they are shown."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Protocol, get_args

from lrreport.report.claims import VOCABULARY, Claim, ask
from lrreport.report.claims.claim import Verdict, find_learning, list_rates, quantify_rates
from lrreport.report.claims.differences import SHOWN_RATES, choose_pairs, rank_rates
from lrreport.report.claims.levels import best_combination, best_rate_moves, compare_tuned, quantify_level, say_absent
from lrreport.report.command import describe_command
from lrreport.report.formats import Quantity, capitalize, count_nouns, format_count, format_rate, list_words
from lrreport.report.results import Found, Levels, Results, by_level
from lrreport.report.stats import find_steepest_rate
from lrreport.study import Study

LISTED_RUNS = 6  # missing ones, that a sentence names
RANGE_AGREEMENT = 10  # seeds whose steepest rates lie further apart suggest nothing
DATASET_NAMES = {
    "fashion_mnist": "Fashion-MNIST", "sample": "the sample of Fashion-MNIST", "mnist": "MNIST", "kmnist": "KMNIST",
    "qmnist": "QMNIST", "cifar10": "CIFAR-10",
}  # fmt: skip
OPTIMIZER_NAMES = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop"}


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
    marked = {value: _mark_level(levels, value, part) for value, part in parts.items()}
    return Chapter(tuple(Folded(capitalize(levels.name(value)), part) for value, part in marked.items()))


def _mark_level(levels: Levels, value: Any, part: Shown) -> Told:
    if isinstance(part, Chapter):
        return Chapter(tuple(_mark_level(levels, value, one) for one in part.parts))
    assert isinstance(part, Narrative)
    name = levels.name(value)
    title = f"{part.title} with {name}" if part.title else capitalize(name)
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


def answer(found: Found) -> Paragraph:
    """Return the conclusion, and first of all which runs are missing."""
    if isinstance(found, Levels):
        return _answer_across(found)
    missing = f"Without {list_rates(found.missing)}, whose run is missing: " if found.missing else ""
    chosen = VOCABULARY["choice"](found)
    evidence = chosen.evidence | quantify_rates("missing", found.missing)
    return Paragraph(f"{missing}{chosen.sentence}", evidence, style="answer")


def _answer_across(found: Levels) -> Paragraph:
    chosen, moves = best_combination(found), best_rate_moves(found, brief=True)
    text, evidence = chosen.sentence, chosen.evidence
    if moves.verdict != "not testable":
        text = f"{moves.sentence} {text}"
        evidence = evidence | {f"moves_{name}": quantity for name, quantity in moves.evidence.items()}
    if found.missing:
        names, quoted = _name_missing(found)
        text, evidence = f"Without {names}: {text}", evidence | quoted
    return Paragraph(text, evidence, style="answer")


def _name_missing(found: Levels) -> tuple[str, dict[str, Quantity]]:
    """Return which runs are missing, and the numbers in that."""
    if len(found.missing) > LISTED_RUNS:
        return f"{len(found.missing)} runs that are missing", {"n_missing": Quantity(len(found.missing), "count")}
    names = [f"{format_rate(rate)} with {found.name(value)}" for value, rate in found.missing]
    evidence: dict[str, Quantity] = {}
    for place, (value, rate) in enumerate(found.missing, start=1):
        evidence |= quantify_level(f"missing_value_{place}", value) | {f"missing_{place}": Quantity(rate, "rate")}
    return f"{list_words(names)}, whose {'run is' if len(names) == 1 else 'runs are'} missing", evidence


@by_level(fold_levels)
def observe_rates(results: Results) -> Told:
    """Return what the results say of each rate by itself; of very many, of those that are best on validation."""
    if len(results.rates) <= SHOWN_RATES:
        return Chapter(tuple(observe_rate(results, rate) for rate in results.rates))
    best = rank_rates(results, "val_accuracy", sign=1)[:SHOWN_RATES]
    rest = f"The other {count_nouns(len(results.rates) - len(best), 'learning rate')} are in the tables."
    return Chapter(
        (*(observe_rate(results, rate) for rate in best), Narrative((), title="Other learning rates", empty=rest))
    )


def observe_rate(results: Results, rate: float) -> Narrative:
    """Return what the results say of one rate by itself."""
    questions: tuple[str, ...] = ("learns", "trains_stably", "still_improving", "overfits")
    if results.study.fixed.epochs == 1:
        questions = ("learns", "trains_stably")
    if rate not in find_learning(results):
        questions = ("learns", "trains_stably")
    if rate not in results.complete_rates:
        questions = ("trains_stably",)
    claims = tuple(VOCABULARY[name](results, rate) for name in questions)
    return Narrative(claims, title=f"Learning rate {format_rate(rate)}")


def suggest_range(found: Found) -> Chapter | None:
    """Return the rate that the study's range test suggests, and how far its seeds agree; None for a study without one."""
    return Chapter(tuple(suggest_by_level(found).values())) if found.range_tests else None


def suggest_by_level(found: Found) -> dict[str, Paragraph]:
    """Return what each range test suggests, by the name of its level."""
    suggestions = {}
    for name, curves in found.range_tests.items():
        one = suggest_rate(curves.rates, curves.losses)
        text = f"{capitalize(name)}: {one.text}" if name else one.text
        suggestions[name] = Paragraph(text, one.evidence)
    return suggestions


def suggest_rate(rates: Any, losses: Any) -> Paragraph:
    """Return the rate that a range test suggests, given the rate of each step and the losses (n_seeds, n_steps)."""
    found = [find_steepest_rate(rates, one) for one in losses]
    fell = sorted(rate for rate in found if not math.isnan(rate))
    evidence = {
        "first": Quantity(float(rates[0]), "rate"),
        "last": Quantity(float(rates[-1]), "rate"),
        "n": Quantity(len(found), "count"),
        "n_still": Quantity(len(found) - len(fell), "count"),
        "agreement": Quantity(RANGE_AGREEMENT, "count"),
    }
    if fell:
        evidence |= {"lowest": _quantify_roughly(fell[0]), "highest": _quantify_roughly(fell[-1])}
    text = "A range test from {first} to {last}, one step at each rate, "
    if len(fell) < len(found):
        seeds = count_nouns(len(found) - len(fell), "seed")
        text += f"makes no suggestion: for {seeds} the loss never fell clearly (n = {{n}})."
    elif fell[-1] > RANGE_AGREEMENT * fell[0]:
        text += (
            "makes no suggestion: the loss falls fastest between {lowest} and {highest}, and its seeds disagree by more than "
            "a factor of {agreement} (n = {n})."
        )
    else:
        evidence["suggestion"] = _quantify_roughly(math.exp(sum(map(math.log, fell)) / len(fell)))
        text += (
            "suggests about {suggestion}: there the loss falls fastest, from seed to seed between {lowest} and {highest} "
            "(n = {n})."
        )
    return Paragraph(text.format_map(evidence), evidence)


def _quantify_roughly(rate: float) -> Quantity:
    return Quantity(float(f"{rate:.1g}"), "rate")


def check_search(found: Found) -> Told:
    """Return whether every run finished, and whether the best rate lies inside the range tried."""
    if isinstance(found, Results):
        return _check_search(found)
    absent = [Narrative((say_absent(found, value),), capitalize(found.name(value))) for value in found.absent]
    return Chapter((_check_search(found), *absent))


@by_level(head_levels)
def _check_search(results: Results) -> Told:
    return Narrative((VOCABULARY["all_finished"](results), VOCABULARY["edge_of_range"](results)))


def compare_rates(found: Found) -> Told:
    """Return how the rates differ on validation: pace, smoothness, accuracy, loss, and whether these two agree.

    Of several levels, first how they compare with one another.
    """
    if isinstance(found, Results):
        return _compare_rates(found)
    across = Narrative((best_rate_moves(found), *compare_tuned(found)), title=f"From one {found.axis} to another")
    return Chapter((across, _compare_rates(found)))


@by_level(fold_levels)
def _compare_rates(results: Results) -> Told:
    pairs = choose_pairs(results)
    if not pairs:
        return Narrative(
            (), empty="There are no two rates that trained to the end and learnt, so nothing can be compared."
        )
    if len(results.study.vary.seed) == 1:
        pairs = pairs[:1]  # one seed cannot compare any two: once said is enough
    several = results.study.fixed.epochs > 1
    claims = [_ask_either_way(results, "sooner", pair) for pair in pairs if several]
    claims += [_ask_either_way(results, "more_stable", pair) for pair in pairs if several]
    claims += [_ask_either_way(results, "higher", pair, metric="val_accuracy") for pair in pairs]
    claims += [_ask_either_way(results, "lower", pair, metric="val_loss") for pair in pairs]
    return Narrative((*claims, VOCABULARY["loss_ranks_as_accuracy"](results)))


def _ask_either_way(results: Results, name: str, pair: tuple[float, float], **arguments: str) -> Claim:
    """Ask whether one of two rates exceeds the other; the report asserts it of the one for which it may hold."""
    a, b = pair
    asked = VOCABULARY[name](results, a, b, **arguments)
    return VOCABULARY[name](results, b, a, **arguments) if asked.verdict == "contradicted" else asked


def conclude(found: Found) -> Told:
    """Return the choice; of several levels, that of a combination first."""
    if isinstance(found, Results):
        return _choose(found)
    return Chapter((Narrative((best_combination(found),)), _choose(found)))


@by_level(head_levels)
def _choose(results: Results) -> Told:
    return Narrative((VOCABULARY["choice"](results),))


def state_conditions(found: Found) -> Paragraph:
    """Return what the conclusions depend on."""
    study, record, axis = found.study, next(iter(found.named_records.values())), found.study.vary.axis
    tried = f"the values of {str(axis).replace('_', ' ')} tried"
    own_model = "model" in study.fixed.imported()
    sizes = () if own_model or axis in ("model", "hidden_sizes") else study.fixed.hidden_sizes
    network = f"the network of {study.fixed.model}" if own_model else "one linear layer"
    if sizes:
        network = f"one network, {' × '.join(map(format_count, sizes))} hidden units"
    told = {
        "network": network,
        "optimizer": OPTIMIZER_NAMES.get(study.fixed.optimizer, study.fixed.optimizer),
        "batch_size": "batches of {batch_size}",
        "epochs": count_nouns(study.fixed.epochs, "epoch"),
    }
    place = {"model": "network", "hidden_sizes": "network", "epochs": ""}.get(axis or "", axis or "")
    told |= {place: tried} if place in told else {}
    told |= {"epochs": "the numbers of epochs tried"} if axis == "epochs" else {}
    more = f", with {tried}" if axis and place not in ("", *told) else ""
    evidence = {
        **{f"hidden_{place}": Quantity(size, "count") for place, size in enumerate(sizes, start=1)},
        "batch_size": Quantity(study.fixed.batch_size, "count"),
        "epochs": Quantity(study.fixed.epochs, "count"),
        "train": Quantity(record.split_sizes["train"], "count"),
        "validation": Quantity(record.split_sizes["validation"], "count"),
        "seeds": Quantity(len(study.vary.seed), "count"),
    }
    evidence.pop(axis or "", None)
    text = (
        f"All this holds for {told['network']}, {told['optimizer']} and {told['batch_size']}{more}, after {told['epochs']} on "
        f"{{train}} {name_examples(study)} of {name_dataset(study)}, compared on {{validation}} held out with "
        f"{count_nouns(len(study.vary.seed), 'seed')} a {'combination' if axis else 'rate'}. "
        "Another budget or split may rank the rates otherwise."
    )
    return Paragraph(text.format_map(evidence), evidence)


def name_dataset(study: Study) -> str:
    """Return what a study's data is called in a sentence."""
    return DATASET_NAMES.get(study.fixed.dataset, study.fixed.dataset)


def name_examples(study: Study) -> str:
    """Return what one of a study's examples is called, in the plural."""
    return "images" if study.fixed.dataset in DATASET_NAMES else "examples"


def describe_data(results: Found) -> Paragraph:
    """Return how many images there are, and whether any occurs more than once."""
    record = next(iter(results.named_records.values()))
    equal = {f"equal in {name}": count for name, count in record.equal_images.items()}
    evidence = {name: Quantity(count, "count") for name, count in (record.split_sizes | equal).items()}
    noun = name_examples(results.study)
    text = (
        f"The network learns from {{train}} {noun}, {{validation}} compare the rates and {{test}} test it at the end."
    )
    text = text.format_map(evidence)
    if record.equal_images:
        text += f" Compared byte by byte, {_say_equal(record.equal_images, noun)}."
    return Paragraph(text, evidence)


def _say_equal(counts: dict[str, int], nouns: str) -> str:
    noun = nouns.removesuffix("s")
    within = {name: count for name, count in counts.items() if count and " and " not in name}
    between = {name: count for name, count in counts.items() if count and " and " in name}
    if not within and not between:
        return "no two of them are equal, neither within a split nor between splits"
    found = [f"{count_nouns(count, noun)} of {name} {_repeat(count)} another of it" for name, count in within.items()]
    for name, count in between.items():
        first, _, second = name.partition(" and ")
        found.append(f"{count_nouns(count, noun)} of {second} {_repeat(count)} one of {first}")
    return list_words(found)


def _repeat(count: int) -> str:
    return "repeats" if count == 1 else "repeat"


def check_published(results: Found) -> Narrative:
    """Return what our results say of each claim of the earlier report that the study names."""
    if results.study.published is None or isinstance(results, Levels):
        return Narrative(())
    published = results.study.published.claim
    claims = [ask(results, one) for one in published]
    claims = [
        replace(one, sentence=f"{one.sentence} {said.remark}".strip())
        for one, said in zip(claims, published, strict=True)
    ]
    asserted = tuple(f"({place}) {one.says}" for place, one in enumerate(published, start=1))
    return Narrative(tuple(claims), title=results.study.published.title, asserted=asserted)


def write_colophon(results: Found) -> str:
    """Return how the runs were made, in a few lines, from their records: commit, versions, data and command."""
    records = results.named_records.values()
    every = [record.facts for record in records]
    commits = {f"{str(facts.get('commit'))[:7]}{' with changes' if facts.get('dirty') else ''}" for facts in every}
    versions = sorted({f"{name} {version}" for facts in every for name, version in facts.get("packages", {}).items()})
    pythons = sorted({f"Python {facts['python']}" for facts in every if "python" in facts})
    data = {name: digest for record in records for name, digest in record.identity.data.items()}
    parts = [
        f"Runs made at commit {list_words(sorted(commits))}",
        f"with {list_words([*pythons, *versions])}" if versions else "",
        f"from {name_dataset(results.study)} "
        f"(SHA-256 {list_words([f'{digest[:12]}… of {name}' for name, digest in data.items()])})"
        if data
        else "",
    ]
    command = describe_command(results.study)
    again = f" The command that makes it all again: {command}" if command else ""
    return f"{', '.join(filter(None, parts))}.{again}"


def ask_everything(found: Found) -> list[Claim]:
    """Return every claim of the report, in its order."""
    parts = (check_search(found), observe_rates(found), compare_rates(found), conclude(found), check_published(found))
    return [one for part in parts for one in part.claims]


def write_paragraphs(found: Found) -> dict[str, Paragraph]:
    """Return every paragraph of the report that is no claim, by what it is about."""
    paragraphs = {"answer": answer(found), "data": describe_data(found)}
    for name, one in suggest_by_level(found).items():
        paragraphs[f"range_test with {name}" if name else "range_test"] = one
    return paragraphs | {"conditions": state_conditions(found)}
