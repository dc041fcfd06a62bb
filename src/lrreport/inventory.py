"""The commands `runs` and `prune`: list the runs in outputs/runs with the studies that use them, and remove the rest."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrreport.errors import LrreportError, as_line
from lrreport.project import find_studies
from lrreport.record.contents import CONTENTS, list_folders
from lrreport.record.locks import describe_owner, hold_lock, is_held
from lrreport.record.record import read_contents
from lrreport.record.store import Store, flatten
from lrreport.study.factors import label_setting
from lrreport.study.formats import count_nouns, format_setting
from lrreport.study.load import load_study
from lrreport.study.settings import Training
from lrreport.workflow import WANTED, Workflow, notify

UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
ALREADY_SHOWN = (
    "dataset",
    "learning_rate",
    "epochs",
    "device",
    "validation_size",
    "split_seed",
    "steps",
    "lowest",
    "highest",
    "seeds",
)


@dataclass(frozen=True)
class Entry:
    """A run in the store: its key, size in bytes, age in seconds, and its record or why that cannot be read."""

    key: str
    n_bytes: int
    age: float
    contents: dict[str, Any]
    problem: str = ""

    def describe(self) -> str:
        """Return a line on the run: its key, size, age, and what it is or why it cannot be used."""
        return f"{self.key}  {format_size(self.n_bytes):>8}  {format_age(self.age):>6}  {describe_record(self)}"


def list_entries(store: Store) -> Iterator[Entry]:
    """Yield every run in the store, in the order of their keys; only records are read, not arrays."""
    now = time.time()
    for folder in sorted(path for path in store.root.glob("[!.]*") if path.is_dir()):
        contents, problem = dict[str, Any](), ""
        try:
            contents = read_contents(folder)
        except LrreportError as err:
            problem = str(err)
        try:
            stats = [path.stat() for path in folder.iterdir()] or [folder.stat()]
        except OSError:  # it has just been removed
            continue
        age = max(0.0, now - max(stat.st_mtime for stat in stats))
        yield Entry(folder.name, sum(stat.st_size for stat in stats), age, contents, problem)


def print_runs(outputs: Path) -> int:
    """Print a line for each run in the store: its key, size, age, what it is, and which studies use it."""
    problems: list[str] = []
    entries, users = list(list_entries(Store(outputs / "runs"))), find_users(outputs, problems.append)
    for problem in problems:
        notify(problem)
    nobody = "no study that can be read" if problems else "no study"
    for entry in entries:
        used = f"  used by {', '.join(users.get(entry.key, [nobody]))}"
        print(f"{entry.describe()}{used}")
    total = format_size(sum(entry.n_bytes for entry in entries))
    print(as_line(f"{count_nouns(len(entries), 'run')}, {total}, in {outputs / 'runs'}"))
    return 0


def prune_runs(outputs: Path, confirmed: bool, ask: Callable[[str], str] = input) -> int:
    """Remove the runs that no study uses, after listing them; ask first unless `confirmed`. Returns the exit status.

    The use of runs is checked again after the answer, under a lock that keeps studies from claiming runs; a run that is
    being made is not removed.
    """
    store = Store(outputs / "runs")
    unused = _list_unused(store, outputs)
    for entry in unused:
        print(entry.describe())
    if not unused:
        print(as_line(f"Nothing to remove: every run in {store.root} is used."))
        return 0
    summary = _count(unused)
    if not confirmed and (sys.stdin is None or not sys.stdin.isatty()):
        raise LrreportError(
            f"{summary}: nothing removed, since there is no terminal to ask on; add --yes to remove them"
        )
    if not confirmed and not _agrees(ask, f"Remove {summary}? [y/N] "):
        print("Nothing removed.")
        return 0
    with hold_lock(store.lock_use(), notify):
        still_unused = {entry.key for entry in _list_unused(store, outputs)}
        removed = [entry for entry in unused if entry.key in still_unused and store.remove(entry.key)]
    n_kept = len(unused) - len(removed)
    more = (
        f"; {count_nouns(n_kept, 'run')} came into use meanwhile and {'is' if n_kept == 1 else 'are'} kept"
        if n_kept
        else ""
    )
    print(f"Removed {_count(removed)}{more}.")
    return 0


def _agrees(ask: Callable[[str], str], question: str) -> bool:
    try:
        return ask(question).strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        return False


def _list_unused(store: Store, outputs: Path) -> list[Entry]:
    for lock in sorted(outputs.glob("*/.lock")):
        if is_held(lock):
            raise LrreportError(f"{lock.parent}: this report is being made by {describe_owner(lock)}; wait for it")
    users = find_users(outputs)
    return [entry for entry in list_entries(store) if entry.key not in users]


def _count(entries: list[Entry]) -> str:
    size = format_size(sum(entry.n_bytes for entry in entries))
    return f"{count_nouns(len(entries), 'run')} that no study uses, {size}"


def find_users(outputs: Path, note: Callable[[str], object] | None = None) -> dict[str, list[str]]:
    """Return the names of studies that use each run, by key: those with a folder in `outputs`, and files in studies/.

    If a folder cannot be read, its use of runs is unknown: raises LrreportError, or passes the message to `note`.
    """
    users: dict[str, list[str]] = {}

    def add(key: str, name: str) -> None:
        if name not in users.setdefault(key, []):
            users[key].append(name)

    for path in sorted([*outputs.glob(f"*/{CONTENTS}"), *outputs.glob(f"*/{WANTED}")]):
        try:
            contents = json.loads(path.read_text(encoding="utf-8"))
            keys = (
                contents["wanted"] if path.name == WANTED else [Path(folder).name for folder in list_folders(contents)]
            )
            for key in keys:
                add(str(key), path.parent.name)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
            problem = f"{path}: cannot tell which runs it uses ({err}); make that report again, or remove its folder"
            if note is None:
                raise LrreportError(problem) from err
            note(problem)
    for path in find_studies():
        try:
            for key in Workflow(load_study(path), outputs).list_keys():
                add(key, path.stem)
        except LrreportError as err:
            notify(f"{err}; which runs this study uses is not known")
    return users


def describe_record(entry: Entry) -> str:
    """Return a short description of a run, or why it cannot be used."""
    if entry.problem:
        return f"damaged: {entry.problem}"
    identity = entry.contents.get("identity", {})
    settings = entry.contents.get("settings", identity.get("settings", identity.get("parameters", {})))
    seeds = settings.get("seeds")
    seeds = seeds if isinstance(seeds, list) and seeds else [entry.contents.get("seed")]
    parts = [str(settings["dataset"])] if "dataset" in settings else []
    if entry.contents.get("kind") == "range test":
        parts.append(f"range test, {count_nouns(len(seeds), 'seed')}, {settings['steps']} steps")
    else:
        parts += [f"learning rate {format_setting(settings['learning_rate'])}"] if "learning_rate" in settings else []
        parts.append(f"seed {seeds[0]}" if len(seeds) == 1 else count_nouns(len(seeds), "seed"))
        parts += [count_nouns(settings["epochs"], "epoch")] if isinstance(settings.get("epochs"), int) else []
    return ", ".join([*parts, *list_changed_settings(settings)])


def list_changed_settings(settings: dict[str, Any]) -> list[str]:
    """Return the settings of a run that differ from the defaults and are not shown elsewhere in its line."""
    defaults = flatten(Training().model_dump(mode="json"))
    flat = {name: value for name, value in flatten(settings).items() if value is not None}
    changed = {
        name: value
        for name, value in flat.items()
        if name.partition(".")[0] not in ALREADY_SHOWN and defaults.get(name) != value
    }
    return [f"{label_setting(name.removesuffix('.name'))} {format_setting(value)}" for name, value in changed.items()]


def format_size(n_bytes: int) -> str:
    """Return a size as "412 kB" or "3.1 MB"."""
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.0f} kB"


def format_age(seconds: float) -> str:
    """Return an age as "3 d", "5 h" or "12 min"; "new" below a minute."""
    return next((f"{seconds / size:.0f} {unit}" for size, unit in UNITS if seconds >= size), "new")
