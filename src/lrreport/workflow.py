"""What each command does, from a study to what is printed; the wings meet here."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

from lrreport import FailedError, LrreportError
from lrreport.provenance import identify
from lrreport.record import RECORD, replace_file
from lrreport.report import freshness
from lrreport.report.formats import format_rate, name_level
from lrreport.settings import IMPORT_PATH, Fixed, Parameters, RangeParameters
from lrreport.study import Study
from lrreport.sweep.execute import LOG, STALL_TIMEOUT, Limits, execute
from lrreport.sweep.locks import hold
from lrreport.sweep.run import Maker, Run, Say, Sweep
from lrreport.sweep.scheduler import Address
from lrreport.sweep.store import Store, make_folder
from lrreport.sweep.worker import skip_address_grammar
from lrreport.training.check import check_setups, find_data
from lrreport.training.files import ensure_files, verify_files
from lrreport.training.transfer import keep_files, read_files

OWNER = ".study"  # in a report's folder: the path of the study's file
STAGING, SUMMARY = ".making-", freshness.SUMMARY_NOTEBOOK.name


@dataclass(frozen=True)
class Workflow:
    """A study, the folder where all that is made of it is kept, and the scheduler of a cluster that makes its runs."""

    study: Study
    outputs: Path
    scheduler: Address | None = None

    @property
    def store(self) -> Store:
        """The runs of all studies."""
        return Store(self.outputs / "runs")

    @property
    def folder(self) -> Path:
        """The folder of this study's report."""
        return self.outputs / self.study.name

    @property
    def runs(self) -> list[Run]:
        """The runs of the study, level by level, the range test of each last if it has one."""
        digests, prepared = find_data(self._setups, self.code_folder)
        runs, axis = [], self.study.vary.axis
        for value, study in self.study.levels().items():
            of_range = study.range_parameters()
            wanted: list[Parameters | RangeParameters] = [*study.runs(), *([of_range] if of_range else [])]
            name = name_level(axis, value) if axis else ""
            for one in wanted:
                identity = identify(one, digests, self.code_folder, self._find_device(one.device))
                runs.append(Run(one, identity, self.code_folder, prepared, name))
        return runs

    @property
    def code_folder(self) -> str:
        """Where a study's own modules are looked for: beside its file."""
        return str(self.study.folder) if self.study.folder and self._own_code else ""

    @property
    def _setups(self) -> tuple[Fixed, ...]:
        """The settings of each level."""
        return tuple(level.fixed for level in self.study.levels().values())

    @property
    def _own_code(self) -> list[str]:
        """The import paths of the user's own functions."""
        return list(dict.fromkeys(path for setup in self._setups for path in setup.imported().values()))

    def _find_device(self, device: str) -> str | None:
        """Return the device that the workers of a cluster must have, where this machine need not have it."""
        return device if self.scheduler is not None and device == "cuda" else None

    @property
    def lock(self) -> Path:
        """What whoever makes this report holds."""
        return self.folder / ".lock"

    def report(self, n_jobs: int | None = None, keep_going: bool = False, stall_timeout: float = STALL_TIMEOUT) -> int:
        """Make the missing runs, then the report; print the answer and the page's path. Returns the exit status.

        Another process that makes the same report is waited for, and its work is not repeated.
        """
        if self.has_work():
            self._check_place()
        make_folder(self.folder)
        self._take_folder()
        stopping = Event()
        try:
            with hold(self.lock, say):
                sweep = Sweep(self.store, self.folder / "failed", stall_timeout, stopping, self._choose_cluster())
                return self._report(sweep, n_jobs, keep_going)
        except BaseException:  # such as Ctrl-C
            stopping.set()
            raise

    def _report(self, sweep: Sweep, n_jobs: int | None, keep_going: bool) -> int:
        runs = self.runs
        failures = sweep.run_all(runs, n_jobs)
        for name, error in failures.items():
            say(f"{name} failed: {error}")
        done = [run for run in runs if run.name not in failures]
        if failures and not (keep_going and any(isinstance(run.parameters, Parameters) for run in done)):
            hint = "" if keep_going else "; --keep-going makes a report without them"
            kept = f", the others are kept{hint}" if done else ""
            say(f"{len(failures)} of {len(runs)} runs failed{kept}")
            return 1
        print(self._render(done, sweep.stopping))
        print(self.folder / freshness.PAGE)
        return 1 if failures else 0

    def _take_folder(self) -> None:
        """Note whose report the folder holds; raise LrreportError if another study's file has one there."""
        note, file = self.folder / OWNER, str(self.study.file or "")
        owner = note.read_text(encoding="utf-8") if note.exists() else ""
        if file and owner not in ("", file) and Path(owner).exists():
            raise LrreportError(
                f"{self.folder}: holds the report of {owner}; give this study another name, such as with --name"
            )
        if file and owner != file:
            replace_file(note, file.encode())

    def _check_place(self) -> None:
        """Raise LrreportError unless the runs can be made where they are to be made."""
        if self.scheduler is not None:
            self.scheduler.check()
        here = self.scheduler is None or bool(self._own_code)  # which is tried here, wherever it runs then
        if here and not IMPORT_PATH.match(self.study.fixed.dataset):
            verify_files(self.study.fixed.dataset)
        for note in check_setups(self._setups, self.code_folder).notes:
            say(note)

    def _choose_cluster(self) -> Callable[[Say], AbstractContextManager[Maker]] | None:
        """Return what opens the cluster that the user named, if there is one."""
        return None if self.scheduler is None else partial(_open_cluster, self.scheduler)

    def has_work(self) -> bool:
        """Return whether a run of the study is not kept yet."""
        return not all(self.store.has(run.identity) for run in self.runs)

    def _render(self, runs: list[Run], stopping: Event) -> str:
        """Make the report from these runs unless it is up to date; return its answer.

        Its files are made in a folder beside the old ones, and then replace them one by one, the page last.
        """
        contents = self.describe(runs)
        made_from = freshness.fingerprint(contents, [self.store.folder(run.identity) / RECORD for run in runs])
        answer = freshness.read_answer(self.folder, made_from)
        if answer is None:
            (self.folder / freshness.FINGERPRINT).unlink(missing_ok=True)  # what follows is a mixture until it ends
            replace_file(self.folder / freshness.CONTENTS, contents.encode())
            for left in self.folder.glob(f"{STAGING}*"):  # by a process that was killed: we hold the lock
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=STAGING, dir=self.folder) as staging:
                answer = self.write_report(Path(staging), stopping)
                for path in sorted(Path(staging).iterdir(), key=lambda path: path.name == freshness.PAGE):
                    if path.name != LOG:
                        path.replace(self.folder / path.name)
            replace_file(self.folder / freshness.FINGERPRINT, made_from.encode())
        return answer

    def write_report(self, staging: Path, stopping: Event) -> str:
        """Write all files of the report on what the folder's study.json says, and return its answer."""
        parameters = {"folder": str(self.folder)}
        with ThreadPoolExecutor(1) as pool:
            if sys.stderr.isatty():
                say("writing the report ...")
            try:
                executed = pool.submit(
                    execute, freshness.SUMMARY_NOTEBOOK, staging / SUMMARY, parameters, Limits(stopping)
                )
                skip_address_grammar()
                from lrreport.report.render import render_page, write_takeaways  # seconds, in which the kernel starts

                answer = write_takeaways(self.folder, staging)
                executed.result()
            except FailedError as err:
                raise FailedError(self._leave_to_open(staging, str(err))) from err
            except BaseException:
                stopping.set()
                raise
        render_page(self.folder, staging)
        return answer

    def _leave_to_open(self, staging: Path, error: str) -> str:
        """Keep the notebook of a report that failed, and return its error with the place where it is."""
        failed = self.folder / "failed"
        make_folder(failed)
        for name in (SUMMARY, LOG):
            if (staging / name).exists():
                shutil.copyfile(staging / name, failed / name)
        return f"the report failed: {error.replace(str(staging), str(failed))}"

    def describe(self, runs: list[Run]) -> str:
        """Return the text of the folder's study.json: the study, and where each run is relative to it."""
        axis, places = self.study.vary.axis, {}
        for value in self.study.levels():
            name = name_level(axis, value) if axis else ""
            folders = [(run.parameters, f"../runs/{run.identity.key}") for run in runs if run.level == name]
            places[value] = freshness.Places(
                {one.learning_rate: folder for one, folder in folders if isinstance(one, Parameters)},
                next((folder for one, folder in folders if isinstance(one, RangeParameters)), None),
            )
        return freshness.describe_contents(self.study, places)


def _open_cluster(scheduler: Address, say: Say) -> AbstractContextManager[Maker]:
    from lrreport.sweep.cluster import Data, open_cluster  # imports Dask

    return open_cluster(scheduler, Data(ensure_files, read_files, keep_files), say)


def print_pdf(work: Workflow) -> None:
    """Print the report of a study to a PDF beside it, and say where it is."""
    from lrreport.print_pdf import print_page

    print(print_page(work.folder / freshness.PAGE))


def check_published(study: Study, place: str) -> None:
    """Raise LrreportError, which begins with `place`, for a published claim that cannot be asked of the study."""
    if study.published is not None:
        from lrreport.report.claims import check_claim

        for claim in study.published.claim:
            try:
                check_claim(claim, study.vary.learning_rate)
            except LrreportError as err:
                raise LrreportError(f"{place}: {err}") from err


def print_status(work: Workflow) -> int:
    """Print a line for each run of the study: fresh, missing, stale and why, or damaged and how."""
    runs = work.runs
    names = [", ".join(filter(None, [name_run(run.parameters), run.level])) for run in runs]
    for name, state in zip(names, work.store.inspect([run.identity for run in runs]), strict=True):
        reason = f" ({state.reason})" if state.reason else ""
        print(f"{name:<{max(10, *map(len, names))}} {state.status}{reason}")
    return 0


def name_run(parameters: Parameters | RangeParameters) -> str:
    """Return how a run is called in a list: its learning rate, or what else it is."""
    return format_rate(parameters.learning_rate) if isinstance(parameters, Parameters) else "range test"


def say(line: str) -> None:
    """Print a message where it does not mix with results."""
    print(f"lrreport: {line}", file=sys.stderr, flush=True)


def fetch_data(study: Study) -> int:
    """Find, fetch and verify the study's data files, and print where they are."""
    if IMPORT_PATH.match(study.fixed.dataset):
        print(f"{study.fixed.dataset}: made by a function of your own, so there is nothing to fetch")
        return 0
    paths = verify_files(study.fixed.dataset)
    print(f"{study.fixed.dataset}: {len(paths)} files verified in {next(iter(paths.values())).parent}")
    return 0


def use_data_root(folder: Path) -> None:
    """Let this process and the kernels that it starts keep the data in `folder`."""
    os.environ["LRREPORT_DATA"] = str(folder.resolve())
