"""Make the report of a study: make the missing runs, look, add seeds while undecided, and write the page."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from lrreport.errors import LrreportError, as_line
from lrreport.look_history import list_looks, note_look
from lrreport.preflight import check_execution, check_published_claims
from lrreport.project import choose_outputs, resolve_path
from lrreport.publish import publish_report, publish_summary, read_answer
from lrreport.record.contents import Contents, RunPlace
from lrreport.record.files import replace_file
from lrreport.record.locks import hold_lock
from lrreport.record.store import Store, make_folder
from lrreport.report import freshness
from lrreport.study.decide import Look
from lrreport.study.formats import count_nouns
from lrreport.study.settings import Training
from lrreport.study.study import Study
from lrreport.sweep.execute import STALL_TIMEOUT, Limits
from lrreport.sweep.executions import summarize_failures
from lrreport.sweep.executor import Executor, Notify
from lrreport.sweep.fork_server import ForkServer
from lrreport.sweep.notebook_cells import list_modules
from lrreport.sweep.plan import plan_runs
from lrreport.sweep.producer import Run
from lrreport.sweep.run import Sweep
from lrreport.sweep.scheduler import Address
from lrreport.training.check import find_data

if TYPE_CHECKING:
    from lrreport.inference.choice import Decision

OWNER, WANTED = ".study", "wanted.json"
SeedsByLevel = dict[int, tuple[int, ...]]


def notify(line: str) -> None:
    """Print a message to stderr, as a single line."""
    print(f"lrreport: {as_line(line)}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class ReportOptions:
    """Options of a report: runs at once, whether to continue after failed runs, and the time limit without progress.

    `confirm` scores the chosen level on fresh seeds, `summary` prints the whole summary, not only the answer.
    """

    n_jobs: int | None = None
    keep_going: bool = False
    stall_timeout: float | None = None
    confirm: bool = False
    summary: bool = False


@dataclass(frozen=True)
class Workflow:
    """A study, its outputs folder, and the scheduler of the cluster that makes its runs, if any."""

    study: Study
    outputs: Path
    scheduler: Address | None = None
    options: ReportOptions = field(default_factory=ReportOptions)

    @property
    def store(self) -> Store:
        """The runs of all studies."""
        return Store(self.outputs / "runs")

    @property
    def folder(self) -> Path:
        """The folder of this study's report."""
        return self.outputs / self.study.name

    @property
    def _setups(self) -> tuple[Training, ...]:
        return tuple(self.study.training_of(level) for level in self.study.levels) if self.study.has_own_loop else ()

    @property
    def _user_code(self) -> list[str]:
        """The import paths of the user's own functions."""
        return list(dict.fromkeys(path for setup in self._setups for path in setup.import_paths().values()))

    @property
    def _code_folder(self) -> str:
        return str(self.study.folder) if self.study.folder and self._user_code else ""

    def list_runs(self, seeds: Mapping[int, Sequence[int]] | None = None) -> list[Run]:
        """Return the runs of the study, level by level, then its range tests; `seeds` replace the study's."""
        if not self.study.has_own_loop:
            return plan_runs(self.study, seeds)
        digests, prepared = find_data(self._setups, self._code_folder)
        device = self._setups[0].device
        on_cluster = device if self.scheduler is not None and device == "cuda" else None
        return plan_runs(self.study, seeds, digests, prepared, on_cluster)

    def list_keys(self) -> list[str]:
        """Return the keys of the initial runs of every level."""
        return [run.key for run in self.list_runs()]

    def make_report(self) -> int:
        """Make the missing runs, then the report; print the answer and the page's path. Returns the exit status.

        If another process makes the same report, wait for it and reuse its runs.
        """
        self._check_before()
        make_folder(self.folder)
        self._take_folder()
        stopping = Event()
        try:
            with hold_lock(self.folder / ".lock", notify), ForkServer(_list_later) as server:
                if self.study.import_ is not None:
                    return self._finish(self._import_runs(), {}, Limits(stopping, server=server))
                limits = Limits(stopping, self.options.stall_timeout or STALL_TIMEOUT, server=server)
                return self._run_and_report(Sweep(self.store, self.folder / "failed", limits, self._choose_cluster()))
        except BaseException:  # such as Ctrl-C
            stopping.set()
            raise

    def check_claims(self) -> None:
        """Raise LrreportError for a published claim that is wrong; that takes heavy imports unless a report was made of it."""
        if self.study.published is not None and self.study.published.claim and not self._is_up_to_date():
            check_published_claims(self.study)

    def _check_before(self) -> None:
        """Raise LrreportError for what would fail later: published claims, the scheduler, data, the user's functions."""
        if self._is_up_to_date():
            return  # all of this was checked when that report was made
        check_published_claims(self.study)
        if self.study.import_ is None and not all(self.store.has(run.identity) for run in self.list_runs()):
            check_execution(self._setups, self._code_folder, self.scheduler, notify)

    def _is_up_to_date(self) -> bool:
        """Return whether the report on the initial runs is there and nothing that it was made from has changed."""
        if self.study.import_ is not None or not (self.folder / freshness.SEAL).exists():
            return False
        runs = self.list_runs()
        made = all(self.store.has(run.identity) for run in runs)
        return made and read_answer(self.folder, self.study, self.describe(runs)) is not None

    def _take_folder(self) -> None:
        """Note which study file owns the folder; raise LrreportError if another study's file does.

        A lock serialises processes that start at the same time.
        """
        note, file = self.folder / OWNER, str(self.study.file or "")
        if not file:
            return
        with hold_lock(note.with_name(f"{OWNER}.lock")):
            owner = note.read_text(encoding="utf-8") if note.exists() else ""
            if owner and owner != file and Path(owner).exists():
                raise LrreportError(
                    f"{self.folder}: holds the report of {owner}; give this study another name, such as with --name"
                )
            if owner != file:
                replace_file(note, file.encode())

    def _run_and_report(self, sweep: Sweep) -> int:
        """Make the runs of each look until the study is decided or has all its seeds, then the report."""
        seeds: SeedsByLevel = {level.index: self.study.seeds.initial for level in self.study.levels}
        failures: dict[str, str] = {}
        while True:
            runs = self.list_runs(seeds)
            self._protect(runs)
            failures = sweep.run_all(runs, self.options.n_jobs)
            if failures and not self._may_go_on(runs, failures):
                return 1
            contents = self.describe(runs, failures)
            more = self._add_seeds(contents, seeds) if self.study.seeds.n_most > len(self.study.seeds.initial) else None
            if more is None:
                break
            seeds = more
        if self.options.confirm:
            contents = self._confirm(sweep, contents, runs, failures)
        return self._finish(contents, failures, sweep.limits)

    def _may_go_on(self, runs: Sequence[Run], failures: Mapping[str, str]) -> bool:
        """Report the failed runs, and return whether to make a report without them."""
        for name, error in summarize_failures(runs, failures).items():
            notify(f"{name} failed: {error}")
        done = [run for run in runs if run.level is not None and run.name not in failures]
        if self.options.keep_going and done:
            return True
        hint = "" if self.options.keep_going else "; --keep-going makes a report without them"
        rest = f", the others are kept{hint}" if done else ""
        notify(f"{len(failures)} of {len(runs)} runs failed{rest}")
        return False

    def _protect(self, runs: Sequence[Run]) -> None:
        """Note which runs the report will be made from, so that they are not pruned meanwhile.

        Waits for a running `prune`, so that the runs that it removes are seen to be missing.
        """
        content = (json.dumps({"wanted": [run.key for run in runs]}, indent=1) + "\n").encode()
        path = self.folder / WANTED
        with hold_lock(self.store.lock_use(), notify):
            if not path.exists() or path.read_bytes() != content:
                replace_file(path, content)

    def describe(
        self, runs: Sequence[Run], failures: Mapping[str, str] | None = None, fresh: Sequence[Run] = ()
    ) -> Contents:
        """Return the contents of the report on these runs."""
        failures = failures or {}
        locations = [
            RunPlace(run.level, run.identity.seed, f"../runs/{run.key}", run in fresh)
            for run in (*runs, *fresh)
            if run.level is not None and run.identity.seed is not None and run.name not in failures
        ]
        tests = {
            run.label.removeprefix("the range test").removeprefix(" with "): f"../runs/{run.key}"
            for run in runs
            if run.level is None and run.name not in failures
        }
        return Contents(self.study, tuple(locations), tests, self._list_looks(locations), dict(failures))

    def _list_looks(self, locations: Sequence[RunPlace]) -> tuple[Look, ...]:
        """Return the looks at this study before the look at these runs, and that look if it was taken already."""
        earlier, same = list_looks(self.folder, self.study, locations)
        return earlier if same is None else (*earlier, same)

    def _add_seeds(self, contents: Contents, seeds: SeedsByLevel) -> SeedsByLevel | None:
        """Return more seeds for the levels that may still be the best; None if the study is decided or has all its seeds."""
        from lrreport.inference.looks import choose_next

        decision = self._decide(contents)
        note_look(self.folder, self.study, contents.runs, decision.look)
        n_next = choose_next(
            decision, {index: len(level_seeds) for index, level_seeds in seeds.items()}, self.study.seeds.n_most
        )
        if n_next is None:
            n = max(map(len, seeds.values()))
            end = "decided" if decision.chosen is not None else f"undecided with {count_nouns(n, 'seed')}"
            notify(f"look {decision.look.number}: {end}; no more runs")
            return None
        n_more = sum(n - len(seeds[index]) for index, n in n_next.items())
        names = [level.name for level in self.study.levels if n_next[level.index] > len(seeds[level.index])]
        notify(f"look {decision.look.number}: undecided; {count_nouns(n_more, 'run')} more, for {', '.join(names)}")
        return {index: self.study.seeds.extend(n) for index, n in n_next.items()}

    def _decide(self, contents: Contents) -> "Decision":
        """Return the decision on these runs."""
        from lrreport.report.load import assess_contents

        return assess_contents(self.folder, contents).decision

    def _confirm(self, sweep: Sweep, contents: Contents, runs: Sequence[Run], failures: dict[str, str]) -> Contents:
        """Return the contents with runs of the chosen level on seeds that took no part in the choice."""
        decision = self._decide(contents)
        if decision.chosen is None:
            notify("nothing is chosen, so there is nothing to confirm")
            return contents
        n = len(self.study.seeds.initial)
        used = {run.identity.seed for run in runs if run.level == decision.chosen}
        seeds = [seed for seed in self.study.seeds.extend(len(used) + n + self.study.seeds.n_most) if seed not in used][
            -n:
        ]
        fresh = [run for run in self.list_runs({decision.chosen: seeds}) if run.level is not None]
        self._protect([*runs, *fresh])
        failed = sweep.run_all(fresh, self.options.n_jobs)
        if failed:
            self._may_go_on(fresh, failed)
            failures |= failed
        return self.describe(runs, failures, fresh)

    def _import_runs(self) -> Contents:
        """Return the contents of a report on logs, with their runs as records in the report's folder."""
        from lrreport.imports import import_runs

        contents = import_runs(self.study, self.folder)
        return replace(contents, looks=self._list_looks(contents.runs))

    def _choose_cluster(self) -> Callable[[Notify], AbstractContextManager[Executor]] | None:
        """Return the function that opens the user's cluster, None without a scheduler."""
        return None if self.scheduler is None else partial(_open_cluster, self.scheduler)

    def _finish(self, contents: Contents, failures: Mapping[str, str], limits: Limits) -> int:
        """Make the report unless it is up to date, print its answer and path, and return the exit status."""
        answer = publish_report(self.folder, self.study, contents, limits, notify)
        if self.options.summary or os.environ.get("GITHUB_STEP_SUMMARY"):
            publish_summary(self.folder, self.options.summary)
        if not self.options.summary:
            print(answer)
        print(self.folder / freshness.PAGE)
        return 1 if failures else 0


def _list_later() -> list[str]:
    """Return the modules that the summary will import, matplotlib's backends included."""
    backends = [f"matplotlib.backends.backend_{name}" for name in ("agg", "pdf", "svg")]
    return [*list_modules(freshness.SUMMARY_NOTEBOOK), *backends]


def _open_cluster(scheduler: Address, notify: Notify) -> AbstractContextManager[Executor]:
    from lrreport.sweep.cluster import Data, open_cluster  # imports Dask
    from lrreport.training.files import ensure_files
    from lrreport.training.transfer import keep_files, read_files

    return open_cluster(scheduler, Data(ensure_files, read_files, keep_files), notify)


def find_outputs(outputs: str | None, study: Study | None) -> Path:
    """Return the folder for runs and reports, absolute: the option, or the checkout's, or outputs/ beside the study's file."""
    if outputs is not None:
        return resolve_path(outputs)
    return choose_outputs(study.file if study is not None else None).resolve()


def make_report(study: Study, outputs: Path, scheduler: Address | None, options: ReportOptions) -> int:
    """Make the missing runs of a study, then its report; return the exit status."""
    return Workflow(study, outputs, scheduler, options).make_report()
