"""What a study varies and what is fixed: the table of settings, and sentences on network and data."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lrreport.record.record import RunRecord
from lrreport.report.table import Table
from lrreport.study.factors import OPTION_LABELS, Factor, FrozenTable, label_setting
from lrreport.study.formats import capitalize, count_nouns, format_count, format_setting, list_words
from lrreport.study.settings import MLP, Training
from lrreport.study.study import Study

LISTED = 12  # values that a table lists singly
DATASET_NAMES = {
    "fashion_mnist": "Fashion-MNIST", "sample": "a sample of Fashion-MNIST", "mnist": "MNIST", "kmnist": "KMNIST",
    "qmnist": "QMNIST", "cifar10": "CIFAR-10",
}  # fmt: skip


def list_settings(study: Study) -> dict[str, Any]:
    """Return the settings that are fixed and not at their defaults, by path; of a producer of the user's, all of them."""
    varied = {factor.name for factor in study.factors}
    if not study.has_own_loop:
        return {
            name: value for name, value in flatten(study.settings_of(study.levels[0])).items() if name not in varied
        }
    defaults = flatten(Training().model_dump(mode="json", exclude_none=True))
    every = [flatten(study.settings_of(level)) for level in study.levels]
    common = {}
    for name in dict.fromkeys(name for row in every for name in row):
        values = {str(row.get(name)): row.get(name) for row in every if name in row}
        if name not in varied and len(values) == 1 and not any(name.startswith(f"{setting}.") for setting in varied):
            value = next(iter(values.values()))
            if defaults.get(name) != value or name in ("dataset", "epochs", "batch_size"):
                common[name] = value
    return common


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by path; the name in a table stands under the path of the table."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        path = prefix if name == "name" and prefix else f"{prefix}.{name}" if prefix else name
        flat |= flatten(value, path) if isinstance(value, Mapping) else {path: value}
    return flat


def tabulate_settings(study: Study, seeds: Sequence[int | str]) -> Table:
    """Return what the study varies, the seeds that every level should have, and what is fixed and not at its default."""
    rows = []
    for factor in study.factors:
        values = [_explain_value(factor, value) for value in factor.values]
        if len(values) > LISTED:
            values = [f"{format_count(len(values))} values, {values[0]} to {values[-1]}"]
        rows.append((capitalize(factor.label), list_words(values), "varied" if len(factor.values) > 1 else "fixed"))
    shown = [str(seed) for seed in seeds] or ["different in each level"]
    listed = list_words(shown) if len(shown) <= LISTED else f"{format_count(len(shown))}, {shown[0]} to {shown[-1]}"
    rows.append(("Seeds", listed, "repeats"))
    for name, value in list_settings(study).items():
        rows.append((capitalize(label_setting(name)), format_option(name, value), "fixed"))
    caption = "What varies and what is fixed; settings at their defaults are left out." if study.has_own_loop else ""
    return Table("settings", ("Setting", "Value", "Role"), tuple(rows), caption, n_labels=3)


def _explain_value(factor: Factor, value: Any) -> str:
    """Return a value of a factor as reports name it, and behind a label what that stands for."""
    text = factor.format(value)
    plain = value.spell_out() if isinstance(value, FrozenTable) else text
    return text if text == plain else f"{text} ({plain})"


def format_option(name: str, value: Any) -> str:
    """Return the value of a setting as a reader sees it: "Adam", "Fashion-MNIST", "128 × 64"."""
    if name == "dataset":
        return DATASET_NAMES.get(str(value), str(value))
    if name == "input_range":
        return " to ".join(f"{limit:g}" for limit in value)
    if isinstance(value, str):
        return OPTION_LABELS.get(value, value.replace("_", " ") if ":" not in value else value)
    return format_setting(value)


def describe_network(study: Study) -> str:
    """Return the network of our loop in a few words: "MLP 128 × 64"; an empty text for another producer's."""
    if not study.has_own_loop or any(factor.name.startswith("model") for factor in study.factors):
        return ""
    model = study.training_of(study.levels[0]).model
    if isinstance(model, MLP):
        return f"MLP {format_setting(model.hidden_sizes)}" if model.hidden_sizes else "one linear layer"
    return str(model.name)


def describe_data(records: Iterable[RunRecord], study: Study) -> list[str]:
    """Return sentences on what the examples are used for and whether any occurs twice, as far as the records say."""
    record = next(iter(records), None)
    if record is None:
        return []
    sizes, sentences = record.description.get("split_sizes", {}), []
    noun = (
        "images"
        if study.has_own_loop and study.settings_of(study.levels[0]).get("dataset") in DATASET_NAMES
        else "examples"
    )
    train, validation, test = (sizes.get(name) for name in ("train", "validation", "test"))
    if train:
        text = f"Training uses {format_count(train)} {noun}."
        if validation and test:
            text += f" {format_count(validation)} others (validation) choose;"
            text += f" {format_count(test)} more (test) are scored once, at the end."
        elif validation:
            text += f" {format_count(validation)} others (validation) choose."
        elif test:
            text += f" {format_count(test)} others (test) are scored once, at the end."
        sentences.append(text)
    equal = record.description.get("equal_images", {})
    if equal:
        sentences.append(_describe_equal(equal, noun))
    if record.description.get("n_parameters"):
        sentences.append(f"The network has {format_count(record.description['n_parameters'])} parameters.")
    return sentences


def _describe_equal(counts: Mapping[str, int], noun: str) -> str:
    overlaps = {name: count for name, count in counts.items() if count}
    singular = noun.removesuffix("s")
    if not overlaps:
        return f"No {singular} occurs twice, within a split or across splits (compared byte by byte)."
    parts = []
    for name, count in overlaps.items():
        first, _, second = name.partition(" and ")
        verb = "repeats" if count == 1 else "repeat"
        parts.append(
            f"{count_nouns(count, singular)} of {second} {verb} one of {first}"
            if second
            else f"{count_nouns(count, singular)} of {first} {verb} another of it"
        )
    return f"{capitalize(list_words(parts))} (compared byte by byte)."
