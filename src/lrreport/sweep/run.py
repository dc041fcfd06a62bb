"""Make all runs of a study in parallel, each once, here or on a cluster, with a progress bar over all of them."""

import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from lrreport.errors import FailedError, LrreportError
from lrreport.record.locks import hold_lock
from lrreport.record.record import RECORD
from lrreport.record.store import Store, make_folder
from lrreport.sweep.environment import count_cores
from lrreport.sweep.execute import Limits
from lrreport.sweep.executions import Execution, plan_executions
from lrreport.sweep.executor import Executor, LocalExecutor, LostError, Notify
from lrreport.sweep.producer import Run
from lrreport.sweep.progress import Progress
from lrreport.sweep.worker import describe_os_error

MOST_RUNS_AT_ONCE = 800  # each holds the open file of its lock, of which a process may usually have 1,024
LEFT_TO_OPEN = (".ipynb", ".log", ".jsonl")  # of a failed execution
LARGEST_TO_OPEN = 100_000_000  # bytes; a larger file is not copied


@dataclass
class Sweep:
    """Makes the missing runs of a study; the notebooks and logs of failed runs are copied to the folder `failures`.

    `limits` hold for each execution; setting their `stopping` ends all of them at once. `open_cluster` opens an executor
    that replaces this machine.
    """

    store: Store
    failures: Path
    limits: Limits = field(default_factory=Limits)
    open_cluster: Callable[[Notify], AbstractContextManager[Executor]] | None = None
    _progress: Progress = field(default_factory=Progress)
    _errors: dict[str, str] = field(default_factory=dict)  # by the key of the run
    _notified: set[str] = field(default_factory=set)
    _has_begun: bool = False
    _guard: Lock = field(default_factory=Lock)

    def run_all(self, runs: Sequence[Run], n_jobs: int | None = None) -> dict[str, str]:
        """Make every run that is missing or damaged; return the reasons of failed runs by name.

        On this machine `n_jobs` executions run at once, by default the number of cores + 1: executions of equal length
        seldom divide evenly over the cores, and the operating system then shares them out. Where cores would be idle,
        the seeds of a level are divided over several executions. Raises LostError if the cluster is lost.
        """
        self.store.clear_leftovers()
        if not self._has_begun:  # a second call leaves what failed in the first
            shutil.rmtree(self.failures, ignore_errors=True)
            self._has_begun = True
        self._errors.clear()
        missing = list({run.key: run for run in runs if not self._is_done(run)}.values())
        if not missing:
            return {}
        cores = count_cores()
        local = LocalExecutor(n_jobs or cores + 1, n_jobs or cores)
        pool = ThreadPoolExecutor(MOST_RUNS_AT_ONCE)
        try:
            with self.open_cluster(self._notify) if self.open_cluster else nullcontext(local) as executor:
                executions = plan_executions(missing, executor.count_slots())
                self._progress.start(missing)
                try:
                    self._make_all(executions, executor, pool)
                except BaseException as err:
                    self.limits.stopping.set()
                    if not isinstance(err, Exception):
                        ignore_interrupts()  # a second Ctrl-C must not interrupt the clean-up of the first
                    raise
                finally:
                    pool.shutdown(cancel_futures=True)  # while the executor is open: each thread cancels its task there
        finally:
            pool.shutdown()
            self._progress.close()
        return {run.name: self._errors[run.key] for run in missing if run.key in self._errors}

    def _make_all(self, executions: Sequence[Execution], executor: Executor, pool: ThreadPoolExecutor) -> None:
        """Make these executions, as many at once as the executor wants."""
        waiting, under_way = deque(executions), dict[Future[None], Execution]()
        while waiting or under_way:
            n_runs = sum(len(execution.runs) for execution in under_way.values())
            while waiting and len(under_way) < executor.count_at_once():
                n_runs += len(waiting[0].runs)
                if under_way and n_runs > MOST_RUNS_AT_ONCE:
                    break
                execution = waiting.popleft()
                under_way[pool.submit(self._run_execution, execution, executor)] = execution
            for future in wait(under_way, timeout=0.2, return_when=FIRST_COMPLETED).done:
                execution, error = under_way.pop(future), future.exception()
                if isinstance(error, LostError) or not isinstance(error, LrreportError | None):
                    raise error
                if error is not None:
                    self._fail([run for run in execution.runs if run.key not in self._errors], str(error))
                self._progress.finish([run for run in execution.runs if run.key not in self._errors])
            self._progress.show()

    def _run_execution(self, execution: Execution, executor: Executor) -> None:
        """Make the runs of an execution; wait for runs that another process makes, and make them if it fails.

        Raises FailedError with the cause for all of them.
        """
        waiting = list(execution.runs)
        try:
            while waiting and not self.limits.stopping.is_set():
                with self._claim(waiting) as claimed:
                    mine = [run for run in claimed if not self._is_done(run)]
                    if mine and not self.limits.stopping.is_set():
                        self._make(execution, mine, executor)
                waiting = [run for run in waiting if run not in claimed]
        except TimeoutError:
            pass  # stopped while it waited for another process
        except OSError as err:
            raise FailedError(describe_os_error(err)) from err

    @contextmanager
    def _claim(self, runs: Sequence[Run]) -> Iterator[list[Run]]:
        """Hold the free locks among these runs, in the order of their keys.

        If other processes hold all of them, wait for the first. No lock is waited for while another is held, so that
                processes with overlapping runs cannot deadlock.
        """
        ordered = sorted(runs, key=lambda run: run.key)
        with ExitStack() as locks:
            claimed = []
            for run in ordered:
                with suppress(TimeoutError):
                    locks.enter_context(hold_lock(self.store.lock(run.key), timeout=0))
                    claimed.append(run)
            if not claimed:
                lock = self.store.lock(ordered[0].key)
                locks.enter_context(hold_lock(lock, self._notify, self.limits.stopping.is_set))
                claimed.append(ordered[0])
            yield claimed

    def _is_done(self, run: Run) -> bool:
        """Return whether the store has the run undamaged; notify the user of damage."""
        if not self.store.has(run.identity):
            return False
        damage = self.store.find_damage(run.identity)
        if damage:
            self._notify(f"{damage.removesuffix('; make the run again')}; this run is repeated")
        return not damage

    def _make(self, execution: Execution, runs: Sequence[Run], executor: Executor) -> None:
        """Make these runs, whose locks are held, and promote each of them as soon as its record is complete."""
        workspace = self.store.make_workspace(min(runs, key=lambda run: run.key).identity)
        self._progress.watch(workspace, runs)
        promoted: list[Run] = []

        def promote_finished() -> None:
            for run in runs:
                if run not in promoted and (workspace / run.key / RECORD).exists():
                    self.store.promote(workspace, run.identity)
                    promoted.append(run)

        try:
            errors = executor.make(runs, workspace, replace(self.limits, on_tick=promote_finished))
            self._keep_notebook(workspace, runs, promoted)
            for run in runs:
                if run not in promoted and run.key not in errors:
                    self.store.promote(workspace, run.identity)
                    promoted.append(run)
            for run in runs:
                if run.key in errors:
                    self._fail([run], self._leave_to_open(execution, workspace, errors[run.key]))
        except LostError:
            raise
        except FailedError as err:
            with suppress(LrreportError):  # what was finished before the failure is kept
                promote_finished()
            error = self._leave_to_open(execution, workspace, str(err))
            self._fail([run for run in runs if run not in promoted], error)
        finally:
            self._progress.forget(workspace)
            shutil.rmtree(workspace, ignore_errors=True)

    def _fail(self, runs: Sequence[Run], error: str) -> None:
        with self._guard:
            self._errors |= {run.key: error for run in runs}

    def _keep_notebook(self, workspace: Path, runs: Sequence[Run], promoted: Sequence[Run]) -> None:
        """Hard-link the executed notebook beside the record of each run of the execution."""
        for path in workspace.glob("*.ipynb"):
            for run in runs:
                folder = self.store.folder(run.identity) if run in promoted else workspace / run.key
                with suppress(OSError):  # it decides nothing, and may be missing
                    (folder / path.name).unlink(missing_ok=True)
                    (folder / path.name).hardlink_to(path)

    def _leave_to_open(self, execution: Execution, workspace: Path, error: str) -> str:
        """Copy the notebooks and logs of a failed execution to `failures`; return its error with their path."""
        folder = self.failures / execution.name
        try:
            make_folder(folder)
            for path in sorted(workspace.iterdir()):
                if path.suffix in LEFT_TO_OPEN and path.is_file() and path.stat().st_size <= LARGEST_TO_OPEN:
                    shutil.copyfile(path, folder / path.name)
        except (OSError, LrreportError):  # such as on a full disk
            return f"{error.partition('; see ')[0]}; its notebook could not be kept"
        return error.replace(str(workspace), str(folder))

    def _notify(self, line: str) -> None:
        """Print a line for the user, once."""
        if line not in self._notified:
            self._notified.add(line)
            self._progress.print(f"lrreport: {line}")


def ignore_interrupts() -> None:
    """Ignore Ctrl-C from now on, where this is the main thread: the process ends anyway."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
