"""What the conclusions depend on: settings and data, and how the runs were made."""

from typing import Any

from lrreport.report.claims.levels import quantify_level
from lrreport.report.command import describe_command
from lrreport.report.formats import Quantity, count_nouns, format_count, format_setting, list_words
from lrreport.report.prose import Paragraph
from lrreport.report.results import Found
from lrreport.settings import Fixed
from lrreport.study import Study

DATASET_NAMES = {
    "fashion_mnist": "Fashion-MNIST", "sample": "the sample of Fashion-MNIST", "mnist": "MNIST", "kmnist": "KMNIST",
    "qmnist": "QMNIST", "cifar10": "CIFAR-10",
}  # fmt: skip
# Settings that have words of their own, and those that decide nothing.
TOLD = (
    "dataset",
    "model",
    "hidden_sizes",
    "optimizer",
    "batch_size",
    "epochs",
    "validation_size",
    "split_seed",
    "device",
)
OPTIMIZER_NAMES = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop"}


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
    more = [tried] if axis and place not in ("", *told) else []
    others = {
        name: value
        for level in study.levels().values()
        for name, value in level.fixed.applying().items()
        if name not in (*TOLD, axis) and value != Fixed.model_fields[name].default
    }
    more += [
        f"{name.replace('_', ' ')} {format_setting(value)}{say_where(study.levels(), name)}"
        for name, value in others.items()
    ]
    extra = f", with {list_words(more)}" if more else ""
    evidence = {
        **{f"hidden_{place}": Quantity(size, "count") for place, size in enumerate(sizes, start=1)},
        "batch_size": Quantity(study.fixed.batch_size, "count"),
        "epochs": Quantity(study.fixed.epochs, "count"),
        "train": Quantity(record.split_sizes["train"], "count"),
        "validation": Quantity(record.split_sizes["validation"], "count"),
        "seeds": Quantity(len(study.vary.seed), "count"),
    }
    evidence.pop(axis or "", None)
    for name, value in others.items():
        evidence |= quantify_level(name, value)
    text = (
        f"All this holds for {told['network']}, {told['optimizer']} and {told['batch_size']}{extra}, after {told['epochs']} on "
        f"{{train}} {name_examples(study)} of {name_dataset(study)}, compared on {{validation}} held out with "
        f"{count_nouns(len(study.vary.seed), 'seed')} a {'combination' if axis else 'rate'}. "
        "Another budget or split may rank the rates otherwise."
    )
    return Paragraph(text.format_map(evidence), evidence)


def say_where(levels: dict[Any, Study], name: str) -> str:
    """Return " (for …)", the levels at which a setting has an effect, unless it has at all of them."""
    where = [value for value, level in levels.items() if name in level.fixed.applying()]
    return "" if len(where) == len(levels) else f" (for {list_words(list(map(format_setting, where)))})"


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
