"""All runs of a study, in parallel, each made once, here or on a cluster; one progress bar over all of them."""

import os
import shutil
import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Protocol

from filelock import Timeout
from tqdm import tqdm

from lrreport import FailedError, LrreportError
from lrreport.provenance import RANGE_NOTEBOOK, TRAINING_NOTEBOOK, Identity
from lrreport.record import PROGRESS
from lrreport.settings import Parameters, RangeParameters
from lrreport.sweep.execute import LOG, STALL_TIMEOUT, Limits, execute
from lrreport.sweep.locks import hold
from lrreport.sweep.store import Store, make_folder
from lrreport.sweep.worker import describe_os_error

MOST_AT_ONCE = 800  # each holds a thread and the open file of its lock, of which a process may usually have 1,024


@dataclass(frozen=True)
class Run:
    """What to run, and what identifies it; `level` is what its value of the study's second axis is called."""

    parameters: Parameters | RangeParameters
    identity: Identity
    code_folder: str = ""  # where a user's own modules are
    prepared: str = ""  # the key of data that all runs share
    level: str = ""

    @property
    def name(self) -> str:
        """What the run is, for messages."""
        name = "the range test"
        if isinstance(self.parameters, Parameters):
            name = f"learning rate {self.parameters.learning_rate:g}"
        return f"{name} with {self.level}" if self.level else name

    @property
    def n_epochs(self) -> int:
        """Epochs over all seeds; a range test has none to count."""
        return self.parameters.epochs * len(self.parameters.seeds) if isinstance(self.parameters, Parameters) else 0

    @property
    def notebook(self) -> Path:
        """The notebook to execute."""
        return TRAINING_NOTEBOOK if isinstance(self.parameters, Parameters) else RANGE_NOTEBOOK


class LostError(FailedError):
    """What makes the runs is gone, so no other of them can be made either."""


class Maker(Protocol):
    """Makes runs, on this machine or elsewhere."""

    def count_at_once(self) -> int:
        """Return how many runs to have under way now."""

    def make(self, run: Run, workspace: Path, limits: Limits) -> None:
        """Leave the finished run in its workspace, or raise FailedError; epochs done are marked there on the way."""


@dataclass(frozen=True)
class Local:
    """Makes runs on this machine, each in a process of its own, so many at once."""

    n_jobs: int

    def count_at_once(self) -> int:
        """Return how many runs to have under way."""
        return self.n_jobs

    def make(self, run: Run, workspace: Path, limits: Limits) -> None:
        """Execute the run's notebook in its workspace; raises FailedError, naming the cause."""
        limits = replace(limits, n_threads=max(1, (os.cpu_count() or 1) // self.n_jobs))
        parameters = run.parameters.model_dump(mode="json") | {
            "run_dir": str(workspace),
            "code_folder": run.code_folder,
            "prepared": run.prepared,
        }
        execute(run.notebook, workspace / run.notebook.name, parameters, limits)


Say = Callable[[str], None]


@dataclass
class Sweep:
    """The runs of one study; `failures` is where the notebooks of failed runs are left to open.

    `stall_timeout` is how many seconds a run may show no sign of life; setting `stopping` ends all of them at once.
    `open_cluster` opens what makes the runs instead of this machine.
    """

    store: Store
    failures: Path
    stall_timeout: float = STALL_TIMEOUT
    stopping: Event = field(default_factory=Event)
    open_cluster: Callable[[Say], AbstractContextManager[Maker]] | None = None
    _workspaces: dict[str, Path] = field(default_factory=dict)  # of the runs under way, by key
    _epochs_done: dict[str, int] = field(default_factory=dict)  # by key, too
    _n_epochs_ended: int = 0  # of the runs that have ended
    _said: set[str] = field(default_factory=set)

    def run_all(self, runs: Sequence[Run], n_jobs: int | None = None) -> dict[str, str]:
        """Make every run that is not kept yet, or damaged; return why, by name, for each that failed.

        On this machine `n_jobs` go on at once, by default one more than there are cores: equal runs seldom divide
        evenly over the cores, and the operating system then shares them out. Raises LostError if the cluster is lost.
        """
        self.store.clear_leftovers()
        shutil.rmtree(self.failures, ignore_errors=True)
        missing = [run for run in runs if not self._is_kept(run)]
        if not missing:
            return {}
        n_jobs = min(len(missing), n_jobs or (os.cpu_count() or 1) + 1)
        maker = self.open_cluster(self._say) if self.open_cluster else nullcontext(Local(n_jobs))
        with maker as opened, ThreadPoolExecutor(MOST_AT_ONCE) as pool:
            try:
                return self._run_missing(missing, opened, pool)
            except BaseException:
                self.stopping.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _run_missing(self, missing: list[Run], maker: Maker, pool: Executor) -> dict[str, str]:
        """Make these runs, as many at once as the maker wants; return why, by name, for each that failed."""
        limits = Limits(self.stopping, self.stall_timeout)
        waiting, under_way, failures = deque(missing), dict[Future[None], Run](), dict[str, str]()
        with self._open_bar(sum(run.n_epochs for run in missing)) as bar:
            while waiting or under_way:
                while waiting and len(under_way) < min(MOST_AT_ONCE, maker.count_at_once()):
                    run = waiting.popleft()
                    under_way[pool.submit(self.run, run, maker, limits)] = run
                for future in wait(under_way, timeout=0.2, return_when=FIRST_COMPLETED).done:
                    run, error = under_way.pop(future), future.exception()
                    if isinstance(error, LostError) or not isinstance(error, LrreportError | None):
                        raise error
                    failures |= {run.name: str(error)} if error else {}
                    self._count_ended(run, failed=error is not None)
                self._show(bar)
        return {run.name: failures[run.name] for run in missing if run.name in failures}

    def run(self, run: Run, maker: Maker, limits: Limits) -> None:
        """Make one run, unless somebody else has just made it, and keep it; raises FailedError, naming the cause."""
        try:
            with hold(self.store.lock(run.identity.key), self._say, self.stopping.is_set):
                if not self._is_kept(run) and not self.stopping.is_set():
                    self._make(run, maker, limits)
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

    def _make(self, run: Run, maker: Maker, limits: Limits) -> None:
        workspace = self.store.make_workspace(run.identity)
        self._workspaces[run.identity.key] = workspace
        try:
            maker.make(run, workspace, limits)
            self.store.promote(workspace, run.identity)
        except LostError:
            raise
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

    def _open_bar(self, n_epochs: int) -> "tqdm[None]":
        """Return a bar of epochs over all runs, shown on a terminal only."""
        return tqdm(total=n_epochs, unit="epoch", desc="Training", disable=None, dynamic_ncols=True)

    def _show(self, bar: "tqdm[None]") -> None:
        """Move the bar to the epochs that the runs have marked in their workspaces."""
        for key, workspace in list(self._workspaces.items()):
            with suppress(OSError):  # it is gone once its run is kept
                self._epochs_done[key] = (workspace / PROGRESS).stat().st_size
        bar.update(self._n_epochs_ended + sum(self._epochs_done.values()) - bar.n)

    def _count_ended(self, run: Run, failed: bool) -> None:
        """Count the epochs of a run that has ended: all of them if it is kept, else those that it did."""
        self._workspaces.pop(run.identity.key, None)
        n_done = self._epochs_done.pop(run.identity.key, 0)
        self._n_epochs_ended += n_done if failed else run.n_epochs
