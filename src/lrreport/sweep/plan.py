"""Plan the runs of a study, each with its identity and producer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lrreport.errors import LrreportError
from lrreport.project import resolve_path
from lrreport.study.metrics import SPLIT_PREFIXES
from lrreport.study.settings import RangeSetup, Training
from lrreport.study.study import PlannedRun, Study
from lrreport.sweep.builtin import BuiltinProducer
from lrreport.sweep.command import CommandProducer
from lrreport.sweep.command_logs import CommandLogs
from lrreport.sweep.notebook import NotebookProducer
from lrreport.sweep.producer import Run
from lrreport.sweep.record_log import Expected
from lrreport.sweep.values import name_settings


def plan_runs(
    study: Study,
    seeds: Mapping[int, Sequence[int]] | None = None,
    data: Mapping[str, str] | None = None,
    prepared: str = "",
    device: str | None = None,
) -> list[Run]:
    """Return the runs of a study, level by level, then its range tests; none of a study that imports its runs.

    `seeds` by level index replace the study's. `data` are digests by file name of the built-in loop's data,
    `prepared` the key of its prepared form, `device` replaces this machine's device. Raises LrreportError for a producer
    that cannot make them.
    """
    if study.import_ is not None:
        return []
    levels: dict[int, list[PlannedRun]] = {}
    for planned in study.plan(seeds):
        levels.setdefault(planned.level.index, []).append(planned)
    if not study.has_own_loop:
        return [run for planned in levels.values() for run in _plan_user_code(study, planned)]
    runs = [
        run for planned in levels.values() for run in _plan_level(study, planned, dict(data or {}), prepared, device)
    ]
    return runs + _plan_range_tests(study, dict(data or {}), prepared, device)


def label_level(study: Study, planned: PlannedRun) -> str:
    """Return the label of a level in messages: "learning rate 0.001", "batch size 32"."""
    return f"learning rate {planned.level.name}" if study.factors[0].name == "learning_rate" else planned.level.name


def _plan_level(
    study: Study, planned: Sequence[PlannedRun], data: dict[str, str], prepared: str, device: str | None
) -> list[Run]:
    """Return the runs of a level made by the built-in loop."""
    setup = study.training_of(planned[0].level)
    producer = BuiltinProducer(setup, _find_code(study, setup), prepared, device, data=data)
    identities = producer.identify([run.seed for run in planned])
    label, index = label_level(study, planned[0]), planned[0].level.index
    return [Run(label, identity, producer, index, setup.epochs) for identity in identities]


def _plan_range_tests(study: Study, data: dict[str, str], prepared: str, device: str | None) -> list[Run]:
    runs = []
    for name, setup in study.range_setups().items():
        producer = BuiltinProducer(setup, _find_code(study, setup), prepared, device, data=data)
        (identity,) = producer.identify(study.seeds.initial)
        runs.append(Run(f"the range test with {name}" if name else "the range test", identity, producer))
    return runs


def _find_code(study: Study, setup: Training | RangeSetup) -> Path | None:
    """Return the folder of the user's functions, beside the study file, if the setup uses any."""
    return study.folder if setup.import_paths() else None


def _plan_user_code(study: Study, planned: Sequence[PlannedRun]) -> list[Run]:
    """Return the runs of a level made by the user's notebook or command."""
    settings = _make_plain(planned[0].settings)
    producer = _make_producer(study, settings)
    n_epochs, identities = settings.get("epochs"), producer.identify([run.seed for run in planned])
    label, index = label_level(study, planned[0]), planned[0].level.index
    whole = n_epochs if isinstance(n_epochs, int) and not isinstance(n_epochs, bool) and n_epochs > 0 else 0
    return [Run(label, identity, producer, index, whole) for identity in identities]


def _make_plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as plain Python types, whatever subclasses the TOML parser returned."""
    plain = {bool: bool, int: int, float: float, str: str}

    def convert(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): convert(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [convert(inner) for inner in value]
        return next((make(value) for kind, make in plain.items() if isinstance(value, kind)), value)

    return {name: convert(value) for name, value in settings.items()}


def _make_producer(study: Study, settings: dict[str, Any]) -> NotebookProducer | CommandProducer:
    assert study.producer is not None
    folder, expected = study.folder or Path.cwd(), expect(study)
    if study.producer.notebook is not None:
        notebook = NotebookProducer(resolve_path(study.producer.notebook, folder), settings, expected)
        notebook.check([factor.name for factor in study.factors])
        return notebook
    assert study.producer.command is not None
    logs = _read_logs(study.producer.log, study.where)
    command = CommandProducer(study.producer.command, folder.resolve(), settings, expected, logs)
    command.list_arguments(0)
    if logs is not None:
        _check_paths(study, command, logs)
    return command


def _read_logs(log: dict[str, Any] | None, where: str) -> CommandLogs | None:
    if log is None:
        return None
    options = {name: value for name, value in log.items() if name not in ("from", "path")}
    if not isinstance(log.get("from"), str) or not isinstance(log.get("path"), str):
        raise LrreportError(
            f'{where}: producer.log: give from and path, such as {{ from = "lightning", path = "logs/{{seed}}" }}'
        )
    logs = CommandLogs(log["from"], log["path"], options)
    logs.check()
    return logs


def _check_paths(study: Study, command: CommandProducer, logs: CommandLogs) -> None:
    """Raise LrreportError if two runs of the study would write their logs to the same path."""
    seen: dict[Path, str] = {}
    for planned in study.plan():
        values = {**name_settings(planned.settings), "seed": planned.seed}
        path = logs.locate(command.folder, values).path
        name = f"{label_level(study, planned)}, seed {planned.seed}"
        if path in seen:
            raise LrreportError(
                f"{study.where}: producer.log.path = {logs.path!r}: {seen[path]} and {name} have the same path; add what "
                "differs, such as {seed}"
            )
        seen[path] = name


def expect(study: Study) -> Expected:
    """Return the metrics that a run may log, and those that the study's decision needs."""
    names = [f"{prefix}_{quantity}" for prefix in SPLIT_PREFIXES for quantity in study.quantities]
    metrics = {name: study.find_metric(name) for name in [*names, *study.metrics]}
    needed = [name for name in (study.decide.metric, study.decide.best_of) if name is not None]
    return Expected({name: metric for name, metric in metrics.items() if metric is not None}, tuple(needed))
