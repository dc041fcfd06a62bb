"""Execute runs on a Dask cluster: an execution is sent to a worker as a task and returns as an archive."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Event, Lock
from typing import Any

import cloudpickle
from distributed import Client, Future
from distributed.scheduler import KilledWorker

from lrreport.errors import FailedError, LrreportError
from lrreport.record.provenance import list_versions
from lrreport.record.record import PROGRESS
from lrreport.study.parsing import shorten
from lrreport.sweep.answer import LARGEST_ARCHIVE, Answer, clean, read_answer
from lrreport.sweep.execute import Limits
from lrreport.sweep.executor import LostError, Notify
from lrreport.sweep.monitor import SILENCE, WorkerMonitor
from lrreport.sweep.producer import Run
from lrreport.sweep.remote import Task, run_task
from lrreport.sweep.scheduler import Address, connect
from lrreport.sweep.worker import join_lines

FEWEST_AT_ONCE = 32  # so that clusters that scale with demand see some
MOST_TRIES = 6  # of an execution whose workers differ or have no data
FETCH_SECONDS = 300  # for an answer that is ready
MOST_EPOCHS = 100_000_000  # that a worker may report


@dataclass(frozen=True)
class Data:
    """Callbacks that bring data to a worker: `find` and `keep` run there, `read` runs here for workers without data."""

    find: Callable[[str], object]
    read: Callable[[str], Mapping[str, bytes]]
    keep: Callable[[str, Mapping[str, bytes]], None]


@contextmanager
def open_cluster(address: Address, data: Data, notify: Notify, silence: float = SILENCE) -> "Iterator[Cluster]":
    """Connect to a scheduler, check its workers, and yield an executor that uses them.

    Raises LrreportError, before anything runs, if no scheduler answers, or if a worker has other versions than this
    machine.
    """
    client = connect(address.text)
    try:
        monitor = WorkerMonitor(client, notify, silence)
        monitor.refresh()
        monitor.check_versions(address.mixed)
        cluster = Cluster(client, monitor, address, data)
        cluster.introduce(notify)
        with monitor.watch():
            yield cluster
    finally:
        with suppress(OSError, TimeoutError):
            client.close(timeout=5)


@dataclass
class Cluster:
    """An executor: makes runs on the workers of a cluster, by calling `work` there."""

    client: Client
    monitor: WorkerMonitor
    address: Address
    data: Data
    work: Callable[[Task], bytes] = run_task
    _workspaces: dict[str, Path] = field(default_factory=dict)  # by the key of the task under way
    _served: dict[str, float] = field(default_factory=dict)  # when a host was sent the data
    _serving: Lock = field(default_factory=Lock)
    _topic: str = field(default_factory=lambda: f"lrreport-{uuid.uuid4().hex}")

    def __post_init__(self) -> None:
        self.client.subscribe_topic(self._topic, self._note_epochs)

    def introduce(self, notify: Notify) -> None:
        """Notify the user of the cluster's size and its dashboard, or that it has no worker yet."""
        monitor = self.monitor
        size = (
            f"{monitor.n_slots} slots (hosts: {monitor.n_hosts})" if monitor.n_slots else "waiting for workers to join"
        )
        notify(f"{self.address.text}: {size}")
        with suppress(KeyError):  # a scheduler may be started without a dashboard
            notify(f"Dask's dashboard: {self.client.dashboard_link}")

    def count_at_once(self) -> int:
        """Return how many executions to have under way: twice the slots, so that none is idle."""
        return max(FEWEST_AT_ONCE, 2 * self.monitor.n_slots)

    def count_slots(self) -> int:
        """Return how many executions the workers run at the same time."""
        return self.monitor.n_slots

    def make(self, runs: Sequence[Run], workspace: Path, limits: Limits) -> Mapping[str, str]:
        """Leave the finished runs in the workspace; return the reasons of failed runs by key.

        Raises FailedError with the cause for all runs not in the workspace, LostError if the scheduler is lost.
        """
        keys = [run.key for run in runs]
        for _ in range(MOST_TRIES):
            sent = time.monotonic()
            answer = read_answer(self._finish(self._send(runs, workspace, limits), limits), workspace, keys)
            if answer.status == "lacks data":
                self._send_data(answer, runs[0].producer.dataset, sent)
            elif answer.status == "differs":
                self.monitor.refuse(answer.worker, f"the worker {answer.worker} {answer.reason}")
            elif answer.status == "failed":
                raise FailedError(f"{answer.reason} (on {answer.host}); see {workspace}")
            else:
                return {key: f"{error} (on {answer.host}); see {workspace}" for key, error in answer.errors.items()}
        raise FailedError(f"the worker {answer.worker} on {answer.host}: {answer.reason}")

    def _send(self, runs: Sequence[Run], workspace: Path, limits: Limits) -> Future[bytes]:
        """Submit an execution to the scheduler."""
        key = f"run-{runs[0].key}-{uuid.uuid4().hex}"
        self._workspaces[key] = workspace
        task = Task(
            runs, runs[0].producer.collect_files(), list_versions(), self.address.mixed, limits.stall_timeout, self._topic,
            self.data.find,
        )  # fmt: skip
        packed = cloudpickle.dumps((self.work, task))
        needs = {"GPU": 1} if runs[0].identity.device == "cuda" else None
        return self.client.submit(CALL, packed, key=key, workers=self.monitor.choose(), resources=needs, pure=False)

    def _finish(self, future: Future[bytes], limits: Limits) -> Any:
        """Wait for a task and return its result, unchecked; raise FailedError if there is none."""
        done = Event()
        future.add_done_callback(lambda _: done.set())
        try:
            while not done.wait(0.5):
                if limits.stopping.is_set():
                    raise FailedError("stopped")
                if self.monitor.is_lost:
                    raise LostError(self._describe_loss())
            if future.status == "finished":
                self._check_size(future)
            return future.result(timeout=FETCH_SECONDS)
        except CancelledError as err:
            raise LostError(self._describe_loss()) from err
        except KilledWorker as err:
            last = getattr(err.last_worker, "address", err.last_worker)
            raise FailedError(
                f"{err.allowed_failures + 1} workers died making it, the last {shorten(str(last))}; see its log"
            ) from err
        except LrreportError:
            raise
        except TimeoutError as err:
            raise FailedError(
                f"its worker did not send its answer within {FETCH_SECONDS} s; see the worker's log"
            ) from err
        except Exception as err:
            problem = f"{type(err).__name__}: {clean(join_lines(err))[:300]}"
            raise FailedError(f"its worker failed: {problem}") from err
        finally:
            self._workspaces.pop(str(future.key), None)
            with suppress(Exception):  # the scheduler has gone
                future.cancel()

    def _check_size(self, future: Future[bytes]) -> None:
        """Raise FailedError for a result that is too large, before it is fetched."""
        size = dict(self.client.nbytes([future.key], summary=False)).get(future.key, 0)
        if size > 2 * LARGEST_ARCHIVE:
            raise FailedError(
                f"its worker has {size / 1e6:,.0f} MB to send, at most {LARGEST_ARCHIVE / 1e6:.0f} are read"
            )

    def _describe_loss(self) -> str:
        return (
            f"{self.address.text}: the scheduler was lost; finished runs are kept, the same command goes on from there"
        )

    def _send_data(self, answer: Answer, dataset: str | None, sent: float) -> None:
        """Send a worker the data that it cannot get, unless its host was sent them after the task was `sent`."""
        if dataset is None:
            raise FailedError(f"the worker {answer.worker} on {answer.host}: {answer.reason}")
        with self._serving:
            if sent < self._served.get(answer.host, 0.0):
                return
            self.monitor.notify(f"{answer.host} cannot get the data of {dataset}, so they are sent there")
            contents = read_once(self.data.read, dataset)
            try:
                self.client.run(store_on_worker, self.data.keep, dataset, contents, workers=[answer.worker])
            except Exception as err:  # whatever the worker raised
                raise FailedError(f"the data could not be sent to {answer.host}: {clean(join_lines(err))}") from err
            self._served[answer.host] = time.monotonic()

    def _note_epochs(self, event: Any) -> None:
        """Record the epochs that a worker reports in the workspace, as a run on this machine does."""
        with suppress(OSError, TypeError, KeyError, IndexError):  # the runs have just been kept, or the report is odd
            report = event[1]
            workspace, n_epochs = self._workspaces.get(report["key"]), report["epochs"]
            if workspace is not None and isinstance(n_epochs, int) and 0 <= n_epochs <= MOST_EPOCHS:
                with (workspace / PROGRESS).open("ab") as file:
                    file.truncate(n_epochs)  # a file with a hole: only its size counts


def _make_call() -> Callable[[bytes], Any]:
    """Return the function of a task; Dask sends a nested function as code, so the scheduler needs no lrreport.

    It must not refer to lrreport, not even in an annotation, since the scheduler loads it.
    """

    def call(packed: bytes) -> Any:
        import pickle

        work, task = pickle.loads(packed)
        return work(task)

    return call


CALL = _make_call()


async def store_on_worker(
    keep: Callable[[str, Mapping[str, bytes]], None], dataset: str, contents: Mapping[str, bytes]
) -> None:
    """Store data files on this worker, in a thread so that its heartbeat continues."""
    import asyncio

    await asyncio.to_thread(keep, dataset, contents)


@cache
def read_once(read: Callable[[str], Mapping[str, bytes]], dataset: str) -> Mapping[str, bytes]:
    """Return the bytes of the data files, cached in memory."""
    return read(dataset)
