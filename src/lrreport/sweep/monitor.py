"""Monitor the workers of a cluster: versions that differ from this machine, and workers that fall silent."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from distributed import Client

from lrreport.errors import FailedError, LrreportError
from lrreport.record.provenance import list_versions
from lrreport.study.parsing import shorten
from lrreport.sweep.executor import Notify
from lrreport.sweep.remote import compare_versions, describe_mixed
from lrreport.sweep.worker import join_lines

ANSWER_SECONDS = 60  # within which a worker must answer a query
SILENCE = 60.0  # seconds; workers of a large cluster send a heartbeat every few
REFRESHES = 5  # in that time
CONNECTION_ERRORS = (Exception, asyncio.CancelledError)  # what Dask raises when the scheduler has gone: anything


@dataclass
class WorkerMonitor:
    """The workers of a scheduler; a worker silent for `silence` seconds loses its executions to others."""

    client: Client
    notify: Notify
    silence: float = SILENCE
    _workers: dict[str, dict[str, Any]] = field(default_factory=dict)  # as the scheduler describes them
    _signs: dict[str, tuple[float, float]] = field(
        default_factory=dict
    )  # last heartbeat of each, by its clock and by ours
    _heard: float = 0.0  # when the scheduler last answered
    _refused: set[str] = field(default_factory=set)

    @property
    def n_slots(self) -> int:
        """How many executions the workers take at once."""
        return sum(worker["nthreads"] for worker in self._workers.values())

    @property
    def n_hosts(self) -> int:
        """The number of hosts."""
        return len({worker["host"] for worker in self._workers.values()})

    @property
    def is_lost(self) -> bool:
        """Whether the scheduler has not answered for so long that it must be gone."""
        return time.monotonic() - self._heard > 2 * self.silence

    def refresh(self) -> None:
        """Update the workers from the scheduler, and retire those that have been silent for too long."""
        workers = dict(self.client.scheduler_info(n_workers=-1)["workers"])
        if self._workers and not workers:
            self.notify("no worker is left; waiting for workers to join")
        self._workers = workers
        self._heard = now = time.monotonic()
        for address, worker in self._workers.items():
            sign, since = self._signs.get(address, (None, now))
            if sign != worker["last_seen"]:
                self._signs[address] = (worker["last_seen"], now)
            elif now - since > self.silence:
                self._retire(address)

    def _retire(self, address: str) -> None:
        """Have the scheduler forget a worker, so that others get its tasks."""
        del self._signs[address]
        self.notify(f"the worker {address} has been silent for {self.silence:g} s; its runs go to others")

        def retire() -> None:
            with suppress(*CONNECTION_ERRORS):
                self.client.retire_workers(workers=[address], close_workers=True, remove=True)

        Thread(target=retire, daemon=True).start()  # it may take as long as the worker is silent

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Refresh the workers in a thread as long as this context lasts."""
        closing = Event()

        def refresh_often() -> None:
            while not closing.wait(self.silence / REFRESHES):
                with suppress(*CONNECTION_ERRORS):
                    self.refresh()

        Thread(target=refresh_often, daemon=True).start()
        try:
            yield
        finally:
            closing.set()

    def choose(self) -> list[str] | None:
        """Return the workers that an execution may go to; None for all."""
        return [address for address in self._workers if address not in self._refused] if self._refused else None

    def refuse(self, worker: str, line: str) -> None:
        """Stop using a worker and notify the user why; raise FailedError with that line if no worker remains."""
        self._refused.add(worker)
        if not self.choose():
            raise FailedError(line)
        self.notify(f"{line}; its runs go to others")

    def check_versions(self, mixed: bool) -> None:
        """Raise LrreportError for a worker without lrreport, or with other versions unless `mixed`."""
        for worker, answer in self._query(compare_versions, list_versions()).items():
            if isinstance(answer, str):
                if answer and not mixed:
                    raise LrreportError(f"the worker {worker} {describe_mixed(shorten(answer))}")
                continue
            problem = (
                join_lines(answer) if isinstance(answer, Exception) else f"it answered with a {type(answer).__name__}"
            )
            raise LrreportError(f"the worker {worker} cannot run lrreport ({shorten(problem)}); install it there")

    def _query(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Return what a function returns on each worker, or the exception there; {} if a worker does not answer in time."""
        answers: dict[str, Any] = {}

        def run() -> None:
            with suppress(*CONNECTION_ERRORS):
                answers.update(self.client.run(function, *arguments, on_error="return"))

        thread = Thread(target=run, daemon=True)
        thread.start()
        thread.join(ANSWER_SECONDS)
        return dict(answers)
