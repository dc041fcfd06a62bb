"""What is kept in outputs/runs and which study uses it: the commands that list and prune."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lrreport.errors import LrreportError
from lrreport.record import RunRecord
from lrreport.report.formats import count_nouns, format_rate, name_level
from lrreport.report.freshness import CONTENTS, list_folders
from lrreport.settings import Fixed
from lrreport.study import AXES, REPOSITORY, load_study
from lrreport.sweep.locks import describe_owner, is_held
from lrreport.sweep.store import KeptRun, Store
from lrreport.workflow import Workflow

UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def print_runs(outputs: Path) -> int:
    """Print a line for each run kept: its key, size, age, what it is, and which studies use it."""
    runs = list(Store(outputs / "runs").list_runs())
    users = find_users(outputs)
    for run in runs:
        used = f"  used by {', '.join(users[run.key])}" if run.key in users else "  used by no study"
        print(f"{describe_run(run)}{used}")
    print(f"{count_nouns(len(runs), 'run')}, {format_size(sum(run.n_bytes for run in runs))}, in {outputs / 'runs'}")
    return 0


def prune_runs(outputs: Path, confirmed: bool, ask: Callable[[str], str] = input) -> int:
    """Remove the runs that no study uses, after saying which; ask first unless `confirmed`. Returns the exit status."""
    store, users = Store(outputs / "runs"), find_users(outputs)
    for lock in sorted(outputs.glob("*/.lock")):
        if is_held(lock):
            raise LrreportError(f"{lock.parent}: this report is being made by {describe_owner(lock)}; wait for it")
    unused = [run for run in store.list_runs() if run.key not in users]
    for run in unused:
        print(describe_run(run))
    found = f"{count_nouns(len(unused), 'run')} that no study uses, {format_size(sum(run.n_bytes for run in unused))}"
    if not unused:
        print(f"Nothing to remove: every run in {store.root} is used.")
        return 0
    if not confirmed and not sys.stdin.isatty():
        raise LrreportError(f"{found}: nothing removed, since nobody can be asked here; add --yes to remove them")
    if not confirmed and ask(f"Remove {found}? [y/N] ").strip().lower() not in ("y", "yes"):
        print("Nothing removed.")
        return 0
    store.remove(run.key for run in unused)
    print(f"Removed {found}.")
    return 0


def find_users(outputs: Path) -> dict[str, list[str]]:
    """Return by key of a run which studies use it: those with a report in `outputs`, and the files in studies/.

    Raises LrreportError if one of them cannot be read, since nobody can then say what it uses.
    """
    users: dict[str, list[str]] = {}
    for path in sorted(outputs.glob(f"*/{CONTENTS}")):
        try:
            contents = json.loads(path.read_text(encoding="utf-8"))
            places = list_folders(contents)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
            raise LrreportError(f"{path}: cannot tell which runs it uses ({err}); make that report again") from err
        for place in places:
            users.setdefault(Path(place).name, []).append(path.parent.name)
    for path in sorted((REPOSITORY / "studies").glob("*.toml")):
        for run in Workflow(load_study(path), outputs).runs:
            names = users.setdefault(run.identity.key, [])
            if path.stem not in names:
                names.append(path.stem)
    return users


def describe_run(run: KeptRun) -> str:
    """Return a line on a run: its key, size, age, and what it is or why it cannot be used."""
    return f"{run.key}  {format_size(run.n_bytes):>8}  {format_age(run.age):>6}  {describe_record(run)}"


def describe_record(run: KeptRun) -> str:
    """Return what a run is in a few words, or why it cannot be used."""
    if run.record is None:
        return f"damaged: {run.problem}"
    parameters = run.record.identity.parameters
    seeds = count_nouns(len(parameters["seeds"]), "seed")
    if isinstance(run.record, RunRecord):
        epochs = count_nouns(parameters["epochs"], "epoch")
        what = f"learning rate {format_rate(run.record.learning_rate)}, {seeds}, {epochs}"
    else:
        what = f"range test, {seeds}, {parameters['steps']} steps"
    return ", ".join([parameters["dataset"], what, *list_own_settings(parameters)])


def list_own_settings(parameters: dict[str, Any]) -> list[str]:
    """Return the settings of a run that are not the default ones: what tells it from others of its rate."""
    defaults = Fixed().model_dump(mode="json")
    own = (name for name in AXES if name != "epochs" and parameters.get(name, defaults[name]) != defaults[name])
    return [name_level(name, parameters[name]) for name in own]


def format_size(n_bytes: int) -> str:
    """Return a size as "412 kB" or "3.1 MB"."""
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.0f} kB"


def format_age(seconds: float) -> str:
    """Return an age as "3 d", "5 h" or "12 min"; what is younger than a minute is "new"."""
    return next((f"{seconds / size:.0f} {unit}" for size, unit in UNITS if seconds >= size), "new")
