"""How the explorer describes metrics, axes, factors and runs."""

from collections.abc import Iterable, Mapping
from typing import Any

from lrreport.inference.measurements import Measurements
from lrreport.record.record import KeptRecord
from lrreport.report.explorer.curves import Clock, Records, Runs
from lrreport.study.factors import label_setting
from lrreport.study.formats import capitalize, format_setting
from lrreport.study.metrics import Metric

ACRONYMS = {"cpu": "CPU", "gpu": "GPU"}
DIGITS = 12  # of a digest that tell two apart


def describe_metric(metric: Metric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "label": capitalize(metric.label),
        "unit": metric.unit,
        "scale": metric.scale,
        "digits": metric.digits,
        "better": metric.better,
        "low": metric.low,
        "high": metric.high,
    }


def describe_step_loss(measurements: Measurements) -> dict[str, Any]:
    loss = measurements.find_counterpart("train", "loss") or measurements.find_loss()
    label = {"label": "Training loss of each step", "name": "step_loss"}
    if loss is None:
        return {"unit": "", "scale": "number", "digits": 4, "better": "lower", **label}
    return describe_metric(loss) | label


def describe_axis(axis: str, clock: Clock | None) -> dict[str, str]:
    labels = {"epoch": "Epochs", "step": "Steps", "samples": "Samples", "seconds": "Seconds"}
    titles = {"epoch": "Epoch", "step": "Step", "samples": "Samples seen", "seconds": "Seconds"}
    title = titles[axis]
    if axis == "seconds" and clock is not None:
        label = capitalize(clock.metric.label)
        title = label if "second" in label else f"{label} (s)"
    return {"name": axis, "label": labels[axis], "title": title}


def describe_factor(factor: Any) -> dict[str, Any]:
    return {
        "label": capitalize(factor.label),
        "log": factor.is_log,
        "values": [factor.format(value) for value in factor.values],
        "names": [factor.name_value(value) for value in factor.values],
        "at": [float(value) for value in factor.values] if factor.numeric else None,
    }


def describe_runs(runs: Runs, records: Records) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return the entries that the records of all runs share, and the rest by run; both empty without records."""
    if any(run not in records for run in runs.keys) or not runs.keys:
        return {}, []
    each = [describe_record(records[run]) for run in runs.keys]
    common = {name: text for name, text in each[0].items() if all(settings.get(name) == text for settings in each)}
    return common, [{name: text for name, text in settings.items() if name not in common} for settings in each]


def describe_record(run: KeptRecord) -> dict[str, str]:
    """Return the settings, facts and digests of a run as text, under names that a reader can tell apart."""
    record = run.record
    facts = {name_fact(path): value for path, value in flatten(record.facts)}
    identity = record.identity
    digests = {f"code of {name}": digest[:DIGITS] for name, digest in identity.producer.items() if digest}
    digests |= {f"data in {name}": digest[:DIGITS] for name, digest in identity.data.items() if digest}
    versions = {f"version of {name}": version for name, version in identity.versions.items()}
    return {
        **describe_settings(record.settings),
        **{name: show_fact(value) for name, value in facts.items()},
        **{name: str(text) for name, text in {**digests, **versions}.items()},
    }


def describe_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return nested settings as text by label; where two have the same label, by the words of their path."""
    paths = list(flatten(settings))
    labels = [label_setting(path) for path, _ in paths]
    described = {}
    for (path, value), label in zip(paths, labels, strict=True):
        head, _, last = path.rpartition(".")
        if last == "name":
            label = head.replace("_", " ")
        elif labels.count(label) > 1:
            label = path.replace(".", " ").replace("_", " ")
        described[label] = format_setting(value)
    return described


def flatten(settings: Mapping[str, Any], head: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the path and value of each entry of nested tables: ("optimizer.name", "adam")."""
    for name, value in settings.items():
        path = f"{head}.{name}" if head else str(name)
        if isinstance(value, Mapping):
            yield from flatten(value, path)
        elif not (isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value)):
            yield path, value


def name_fact(path: str) -> str:
    """Return what a fact is called: "cpu_seconds" → "CPU seconds", "packages.torch" → "version of torch"."""
    head, _, last = path.partition(".")
    if head == "packages" and last:
        return f"version of {last}"
    return " ".join(ACRONYMS.get(word, word) for word in path.replace(".", " ").replace("_", " ").split())


def show_fact(value: Any) -> str:
    """Return a fact about a run as text; a number with a fraction has four significant digits."""
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:.4g}"
    return format_setting(value)
