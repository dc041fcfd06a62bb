"""A Dask cluster: a run is sent to one of its workers as a task, and comes back as bytes."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import cloudpickle
from distributed import Client
from distributed.scheduler import KilledWorker

from lrreport import FailedError, LrreportError
from lrreport.provenance import list_versions, read_own_code
from lrreport.record import PROGRESS
from lrreport.sweep.execute import LOG, Limits
from lrreport.sweep.members import SILENCE, Members
from lrreport.sweep.remote import Outcome, Task, make_run, unpack_folder
from lrreport.sweep.run import LostError, Run, Say
from lrreport.sweep.scheduler import Address, connect
from lrreport.sweep.worker import join_lines

LEAST_AT_ONCE = 32  # so that clusters which grow with the demand see one
MOST_TRIES = 6  # of a run that comes back because its worker differed, or had no data


@dataclass(frozen=True)
class Data:
    """How the data comes to a worker: `find` and `keep` are called there, `read` here for those that find none."""

    find: Callable[[str], object]
    read: Callable[[str], Mapping[str, bytes]]
    keep: Callable[[str, Mapping[str, bytes]], None]


@contextmanager
def open_cluster(address: Address, data: Data, say: Say, silence: float = SILENCE) -> "Iterator[Cluster]":
    """Connect to a scheduler, check its workers, and yield what makes runs on them.

    Raises LrreportError, before anything runs, if no scheduler answers, or if a worker has other versions than this
    machine.
    """
    client = connect(address.text)
    try:
        members = Members(client, say, silence)
        members.look()
        members.check_versions(address.mixed)
        cluster = Cluster(client, members, address, data)
        cluster.introduce(say)
        with members.watch():
            yield cluster
    finally:
        with suppress(OSError, TimeoutError):
            client.close(timeout=5)


@dataclass
class Cluster:
    """Makes runs on the workers of a cluster, by what `work` does there."""

    client: Client
    members: Members
    address: Address
    data: Data
    work: Callable[[Task], Outcome] = make_run
    _workspaces: dict[str, Path] = field(default_factory=dict)  # by the key of the task under way
    _served: dict[str, float] = field(default_factory=dict)  # when a host got the data
    _serving: Lock = field(default_factory=Lock)
    _topic: str = field(default_factory=lambda: f"lrreport-{uuid.uuid4().hex}")

    def __post_init__(self) -> None:
        self.client.subscribe_topic(self._topic, self._mark_epochs)

    def introduce(self, say: Say) -> None:
        """Say which cluster this is, and where its dashboard is; or that it has no worker yet."""
        members = self.members
        found = (
            f"{members.n_slots} slots (hosts: {members.n_hosts})" if members.n_slots else "waiting for workers to join"
        )
        say(f"{self.address.text}: {found}")
        with suppress(KeyError):  # a scheduler may be started without
            say(f"Dask's dashboard: {self.client.dashboard_link}")

    def count_at_once(self) -> int:
        """Return how many runs to have under way: twice the slots, so that none of them waits for us."""
        return max(LEAST_AT_ONCE, 2 * self.members.n_slots)

    def make(self, run: Run, workspace: Path, limits: Limits) -> None:
        """Leave the finished run in its workspace, or raise FailedError; raises LostError if the scheduler is lost."""
        for _ in range(MOST_TRIES):
            sent = time.monotonic()
            outcome = self._finish(self._send(run, workspace, limits), limits)
            if outcome.status == "lacks data":
                self._give_data(outcome, run.parameters.dataset, sent)
            elif outcome.status == "differs":
                self.members.refuse(outcome.worker, f"the worker {outcome.worker} {outcome.said}")
            else:
                unpack_folder(outcome.folder, workspace)
                if outcome.status == "failed":
                    place = f"see {workspace / run.notebook.name} and {LOG} beside it"
                    raise FailedError(f"{outcome.said} (on {outcome.host}); {place}")
                return
        raise FailedError(f"the worker {outcome.worker} on {outcome.host}: {outcome.said}")

    def _send(self, run: Run, workspace: Path, limits: Limits) -> "Future[Outcome]":
        """Send a run to whichever worker the scheduler chooses."""
        key = f"run-{run.identity.key}-{uuid.uuid4().hex}"
        self._workspaces[key] = workspace
        task = Task(
            run.parameters, run.identity, run.notebook.name, read_stripped(run.notebook), list_versions(),
            self.address.mixed, limits.stall_timeout, self._topic, self.data.find,
            read_own_code(run.parameters.imported().values(), Path(run.code_folder)) if run.code_folder else {},
        )  # fmt: skip
        packed = cloudpickle.dumps((self.work, task))
        needs = {"GPU": 1} if run.identity.device == "cuda" else None
        future: Future[Outcome] = self.client.get_executor().submit(
            CALL, packed, key=key, workers=self.members.choose(), resources=needs
        )
        future.add_done_callback(lambda _: self._workspaces.pop(key, None))
        return future

    def _finish(self, future: "Future[Outcome]", limits: Limits) -> Outcome:
        """Wait for a run, and return what became of it; raises FailedError if no worker could tell."""
        try:
            while not wait([future], timeout=0.5).done:
                if limits.stopping.is_set():
                    raise FailedError("stopped")
                if self.members.is_lost:
                    raise LostError(self._describe_loss())
            return future.result()
        except CancelledError as err:
            raise LostError(self._describe_loss()) from err
        except KilledWorker as err:
            last = getattr(err.last_worker, "address", err.last_worker)
            raise FailedError(
                f"{err.allowed_failures + 1} workers died making it, the last {last}; see its log"
            ) from err
        except LrreportError:
            raise
        except Exception as err:
            raise FailedError(f"its worker gave up: {type(err).__name__}: {join_lines(err)}") from err
        finally:
            future.cancel()

    def _describe_loss(self) -> str:
        return (
            f"{self.address.text}: the scheduler was lost; finished runs are kept, the same command goes on from there"
        )

    def _give_data(self, outcome: Outcome, dataset: str, sent: float) -> None:
        """Give a worker the data that it cannot get, unless its host was given them after the run was `sent`."""
        with self._serving:
            if sent < self._served.get(outcome.host, 0.0):
                return
            self.members.say(f"{outcome.host} cannot get the data of {dataset}, so they are sent there")
            contents = read_once(self.data.read, dataset)
            try:
                self.client.run(keep_elsewhere, self.data.keep, dataset, contents, workers=[outcome.worker])
            except (OSError, LrreportError) as err:
                raise FailedError(f"the data could not be sent to {outcome.host}: {join_lines(err)}") from err
            self._served[outcome.host] = time.monotonic()

    def _mark_epochs(self, event: tuple[float, dict[str, Any]]) -> None:
        """Mark in a run's workspace what its worker tells, as a run on this machine does itself."""
        told = event[1]
        workspace = self._workspaces.get(told["key"])
        if workspace is not None:
            with suppress(OSError):  # the run has just been kept
                (workspace / PROGRESS).write_bytes(b"." * told["epochs"])


def _make_call() -> Callable[[bytes], Any]:
    """Return what a task calls; Dask sends a function in a function as code, so the scheduler needs no lrreport.

    It may name nothing of ours, not even in an annotation, since the scheduler reads it.
    """

    def call(packed: bytes) -> Any:
        import pickle

        work, task = pickle.loads(packed)
        return work(task)

    return call


CALL = _make_call()


async def keep_elsewhere(
    keep: Callable[[str, Mapping[str, bytes]], None], dataset: str, contents: Mapping[str, bytes]
) -> None:
    """Keep data files on the worker where this runs, whose signs of life go on meanwhile."""
    import asyncio

    await asyncio.to_thread(keep, dataset, contents)


@cache
def read_once(read: Callable[[str], Mapping[str, bytes]], dataset: str) -> Mapping[str, bytes]:
    """Return the bytes of the data files, which stay in memory once a worker has needed them."""
    return read(dataset)


@cache
def read_stripped(notebook: Path) -> bytes:
    """Return a notebook without the outputs of its cells, which would be sent only to be thrown away."""
    contents = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in contents["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = []
    return json.dumps(contents).encode()
