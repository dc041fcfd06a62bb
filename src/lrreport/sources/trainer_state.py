"""Source "trainer_state": what the Hugging Face Trainer keeps in trainer_state.json."""

from collections import defaultdict
from typing import Any

from lrreport.sources.folder import Folder, parent
from lrreport.sources.logs import Note, RunLog
from lrreport.sources.refusal import refuse_file
from lrreport.sources.spec import ImportSpec
from lrreport.sources.values import parse_json, parse_measurement

SCHEDULED = ("learning_rate", "grad_norm", "epoch", "step", "total_flos")  # never metrics
SETTINGS = ("num_train_epochs", "train_batch_size", "max_steps")


def find(folder: Folder) -> int:
    """Return how many such files there are."""
    return sum(path.rsplit("/", 1)[-1] == "trainer_state.json" for path in folder.paths)


def read(folder: Folder, spec: ImportSpec) -> tuple[list[RunLog], list[Note]]:
    """Return a run per output folder, from the longest of the histories in it and its checkpoints.

    The learning rate in a history is the scheduled one; the setting stands in a pickle, which is not read.
    """
    notes: list[Note] = []
    states: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for path in folder.paths:
        if path.rsplit("/", 1)[-1] == "trainer_state.json":
            state = parse_json(folder.read(path), path)
            if not isinstance(state, dict) or not isinstance(state.get("log_history"), list):
                raise refuse_file(path, "has no list log_history, so it is not the Trainer's")
            place = parent(path)
            name = place.rsplit("/", 1)[-1]
            states[parent(place) if name.startswith("checkpoint-") else place].append((path, state))
    logs = []
    for place, found in states.items():
        path, state = max(found, key=lambda item: len(item[1]["log_history"]))
        for other, shorter in found:
            if other != path:
                _check_part(other, shorter["log_history"], path, state["log_history"], spec)
        if len(found) > 1:
            notes.append(Note("duplicate", "checkpoints whose history is part of a longer one", len(found) - 1))
        logs.append(_read_state(state, place or "run", spec, notes))
    notes.append(
        Note("guess", "learning_rate in a history is the scheduled rate and is not taken for the setting", len(logs))
    )
    return logs, notes


def _check_part(path: str, part: list[Any], longest_path: str, longest: list[Any], spec: ImportSpec) -> None:
    """Raise LrreportError where a checkpoint's history is not the beginning of the longest one."""
    same = all(str(left) == str(right) for left, right in zip(part, longest, strict=False))
    if not same and spec.duplicates in ("error", "identical"):
        raise refuse_file(
            path,
            f"its history differs from that of {longest_path}, so these are two runs in one folder",
            "separate them",
        )


def _read_state(state: dict[str, Any], place: str, spec: ImportSpec, notes: list[Note]) -> RunLog:
    log = RunLog(run=place, source=place)
    log.settings = {name: state[name] for name in SETTINGS if state.get(name) is not None}
    series: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    axis = spec.axis or "step"
    for row in state["log_history"]:
        at = parse_measurement(row.get(axis)) if isinstance(row, dict) else None
        if at is None:
            notes.append(Note("excluded", f"{place}: entries of log_history without {axis}"))
            continue
        if "train_runtime" in row:
            log.seconds = parse_measurement(row["train_runtime"]) or log.seconds
            notes.append(Note("excluded", "last entries of log_history, which hold means over the whole training"))
            continue
        for name, cell in row.items():
            value = parse_measurement(cell)
            if name not in SCHEDULED and value is not None:
                series[name][0].append(at)
                series[name][1].append(value)
    for name, (steps, values) in series.items():
        log.add(name, axis, steps, values)
    done, planned = parse_measurement(state.get("global_step")), parse_measurement(state.get("max_steps"))
    if done is not None and planned:
        log.status = "completed" if done >= planned else "stopped"
        log.reason = "" if done >= planned else f"ends at step {done:,.0f} of {planned:,.0f}"
    return log
