"""Executions: the runs of a level divided over starts of their producer, and summaries of failures."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lrreport.sweep.producer import Run
from lrreport.sweep.shares import share_out


@dataclass(frozen=True)
class Execution:
    """A start of a producer, which makes all seeds of a level or a share of them; `name` is a folder's name."""

    runs: tuple[Run, ...]
    name: str


def plan_executions(runs: Sequence[Run], n_slots: int) -> list[Execution]:
    """Return the executions that make these runs: a single execution per level, or several where slots would be idle."""
    groups: dict[tuple[str, int | None], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.label, run.level), []).append(run)
    shares = share_out(
        [len(group) for group in groups.values()],
        n_slots,
        [group[0].producer.most_seeds for group in groups.values()],
        [group[0].producer.start_cost for group in groups.values()],
    )
    executions, taken = [], set[str]()
    for group, sizes in zip(groups.values(), shares, strict=True):
        name = name_folder(group[0].label)
        for size in sizes:
            share, group = group[:size], group[size:]
            folder = name if len(sizes) == 1 else f"{name}_seed={share[0].identity.seed}"
            while folder in taken:  # labels that differ only in characters that a folder's name cannot have
                folder += "_"
            taken.add(folder)
            executions.append(Execution(tuple(share), folder))
    return executions


def name_folder(label: str) -> str:
    """Return the label of a level as the name of a folder: "learning rate 0.5" → "learning_rate=0.5"."""
    label = re.sub(r"\b(learning rate|batch size) ", lambda match: f"{match[1]}=", label.removeprefix("the "))
    return re.sub(r"[^\w.=+-]+", "_", label)[:60].strip("._") or "run"


def summarize_failures(runs: Sequence[Run], errors: Mapping[str, str]) -> dict[str, str]:
    """Return errors by name, merging seeds of a level with equal errors: "learning rate 0.1, seeds 0 and 1"."""
    alike: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.name in errors:
            alike.setdefault((run.label, errors[run.name]), []).append(run)
    levels = {run.label: [same for same in runs if same.label == run.label] for run in runs}
    return {_name_runs(failed, levels[label]): error for (label, error), failed in alike.items()}


def _name_runs(failed: Sequence[Run], level: Sequence[Run]) -> str:
    if len(failed) == 1 and len(level) > 1:
        return failed[0].name
    if len(failed) == len(level):
        return failed[0].label
    *head, last = [str(run.identity.seed) for run in failed]
    return f"{failed[0].label}, seeds {', '.join(head)} and {last}"
