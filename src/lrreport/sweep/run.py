"""All runs of a study, in parallel, each made once; one progress bar over all of them."""

import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from filelock import Timeout
from tqdm import tqdm

from lrreport import FailedError, LrreportError
from lrreport.provenance import RANGE_NOTEBOOK, TRAINING_NOTEBOOK, Identity
from lrreport.record import PROGRESS
from lrreport.study import Parameters, RangeParameters
from lrreport.sweep.execute import LOG, STALL_TIMEOUT, Limits, execute
from lrreport.sweep.locks import hold
from lrreport.sweep.store import Store, make_folder
from lrreport.sweep.worker import describe_os_error


@dataclass(frozen=True)
class Run:
    """What to run, and what identifies it."""

    parameters: Parameters | RangeParameters
    identity: Identity
    code_folder: str = ""  # where a user's own modules are

    @property
    def name(self) -> str:
        """What the run is, for messages."""
        if isinstance(self.parameters, Parameters):
            return f"learning rate {self.parameters.learning_rate:g}"
        return "the range test"

    @property
    def n_epochs(self) -> int:
        """Epochs over all seeds; a range test has none to count."""
        return self.parameters.epochs * len(self.parameters.seeds) if isinstance(self.parameters, Parameters) else 0

    @property
    def notebook(self) -> Path:
        """The notebook to execute."""
        return TRAINING_NOTEBOOK if isinstance(self.parameters, Parameters) else RANGE_NOTEBOOK


@dataclass
class Sweep:
    """The runs of one study on this machine; `failures` is where the notebooks of failed runs are left to open.

    `stall_timeout` is how many seconds a run may show no sign of life; setting `stopping` ends all of them at once.
    """

    store: Store
    failures: Path
    stall_timeout: float = STALL_TIMEOUT
    stopping: Event = field(default_factory=Event)
    _epochs_done: dict[Path, int] = field(default_factory=dict)  # by workspace
    _said: set[str] = field(default_factory=set)

    def run_all(self, runs: Sequence[Run], n_jobs: int | None = None) -> dict[str, str]:
        """Make every run that is not kept yet, or damaged; return why, by name, for each that failed.

        `n_jobs` runs go on at once, by default one more than there are cores: equal runs seldom divide evenly
        over the cores, and the operating system then shares them out.
        """
        self.store.clear_leftovers()
        shutil.rmtree(self.failures, ignore_errors=True)
        missing = [run for run in runs if not self._is_kept(run)]
        if not missing:
            return {}
        n_cores = os.cpu_count() or 1
        n_workers = min(len(missing), n_jobs or n_cores + 1)
        limits = Limits(self.stopping, self.stall_timeout, n_threads=max(1, n_cores // n_workers))
        with ThreadPoolExecutor(n_workers) as pool:
            futures = {pool.submit(self.run, run, limits): run for run in missing}
            try:
                self._watch(list(futures), sum(run.n_epochs for run in missing))
            except BaseException:
                self.stopping.set()
                pool.shutdown(cancel_futures=True)
                raise
        errors = {run.name: future.exception() for future, run in futures.items()}
        for error in errors.values():
            if error is not None and not isinstance(error, LrreportError):
                raise error
        return {name: str(error) for name, error in errors.items() if error is not None}

    def run(self, run: Run, limits: Limits) -> None:
        """Make one run, unless somebody else has just made it, and keep it; raises FailedError, naming the cause."""
        try:
            with hold(self.store.lock(run.identity.key), self._say, self.stopping.is_set):
                if not self._is_kept(run) and not self.stopping.is_set():
                    self._make(run, limits)
        except Timeout:
            pass  # stopped while it waited for another process
        except OSError as err:
            raise FailedError(describe_os_error(err)) from err

    def _is_kept(self, run: Run) -> bool:
        """Return whether the run is kept and can be used; say so if it is damaged."""
        if not self.store.has(run.identity):
            return False
        damage = self.store.find_damage(run.identity)
        if damage:
            self._say(f"{damage.removesuffix('; make the run again')}; it is made again")
        return not damage

    def _make(self, run: Run, limits: Limits) -> None:
        workspace = self.store.make_workspace(run.identity)
        self._epochs_done[workspace] = 0
        try:
            places = {"run_dir": str(workspace), "code_folder": run.code_folder}
            execute(
                run.notebook, workspace / run.notebook.name, run.parameters.model_dump(mode="json") | places, limits
            )
            self.store.promote(workspace, run.identity)
        except FailedError as err:
            raise FailedError(self._leave_to_open(run, workspace, str(err))) from err
        finally:
            shutil.rmtree(workspace, ignore_errors=True)

    def _leave_to_open(self, run: Run, workspace: Path, error: str) -> str:
        """Keep a failed run's notebook and log, and return its error with the place where they are."""
        folder = self.failures / run.name.removeprefix("the ").replace("rate ", "rate=").replace(" ", "_")
        try:
            make_folder(folder)
            for name in (run.notebook.name, LOG):
                if (workspace / name).exists():
                    shutil.copyfile(workspace / name, folder / name)
        except (OSError, LrreportError):  # such as on a full disk
            return f"{error.partition('; see ')[0]}; its notebook could not be kept"
        return error.replace(str(workspace), str(folder))

    def _say(self, line: str) -> None:
        """Tell the user something, once."""
        if line not in self._said:
            self._said.add(line)
            tqdm.write(f"lrreport: {line}", file=sys.stderr)

    def _watch(self, futures: list[Future[None]], n_epochs: int) -> None:
        """Show one bar of epochs over all runs, on a terminal only, until every run has ended."""
        with tqdm(total=n_epochs, unit="epoch", desc="Training", disable=None, dynamic_ncols=True) as bar:
            pending = set(futures)
            while pending:
                pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED).not_done
                self._show(bar)
            bar.update(bar.total - bar.n if not any(future.exception() for future in futures) else 0)

    def _show(self, bar: "tqdm[None]") -> None:
        for workspace in list(self._epochs_done):
            with suppress(OSError):  # it is gone once its run is kept
                self._epochs_done[workspace] = (workspace / PROGRESS).stat().st_size
        bar.update(sum(self._epochs_done.values()) - bar.n)
