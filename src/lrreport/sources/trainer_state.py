"""Source "trainer_state": trainer_state.json of the Hugging Face Trainer."""

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

    The learning rate in a history is the scheduled rate; the setting is in a pickle, which is not read.
    """
    notes: list[Note] = []
    states: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for path in folder.paths:
        if path.rsplit("/", 1)[-1] == "trainer_state.json":
            state = parse_json(folder.read(path), path)
            if not isinstance(state, dict) or not isinstance(state.get("log_history"), list):
                raise refuse_file(path, "has no list log_history, so it is not the Trainer's")
            run_folder = parent(path)
            name = run_folder.rsplit("/", 1)[-1]
            states[parent(run_folder) if name.startswith("checkpoint-") else run_folder].append((path, state))
    logs = []
    for run_folder, checkpoints in states.items():
        path, state = max(checkpoints, key=lambda item: len(item[1]["log_history"]))
        for part_path, part in checkpoints:
            if part_path != path:
                _check_part(part_path, part["log_history"], path, state["log_history"], spec)
        if len(checkpoints) > 1:
            notes.append(
                Note("duplicate", "checkpoints whose history is part of a longer history", len(checkpoints) - 1)
            )
        logs.append(_read_state(state, run_folder or "run", spec, notes))
    notes.append(
        Note("guess", "learning_rate in a history is the scheduled rate and is not taken for the setting", len(logs))
    )
    return logs, notes


def _check_part(path: str, part: list[Any], longest_path: str, longest: list[Any], spec: ImportSpec) -> None:
    """Raise LrreportError where a checkpoint's history is not a prefix of the longest."""
    same = all(str(left) == str(right) for left, right in zip(part, longest, strict=False))
    if not same and spec.duplicates in ("error", "identical"):
        raise refuse_file(
            path,
            f"its history differs from that of {longest_path}, so the folder holds two runs",
            "separate them",
        )


def _read_state(state: dict[str, Any], run_folder: str, spec: ImportSpec, notes: list[Note]) -> RunLog:
    log = RunLog(run=run_folder, source=run_folder)
    log.settings = {name: state[name] for name in SETTINGS if state.get(name) is not None}
    series: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    axis = spec.axis or "step"
    for row in state["log_history"]:
        at = parse_measurement(row.get(axis)) if isinstance(row, dict) else None
        if at is None:
            notes.append(Note("excluded", f"{run_folder}: entries of log_history without {axis}"))
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
