"""The workers of a cluster: who is there, who differs from this machine, and who has fallen silent."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from distributed import Client

from lrreport import FailedError, LrreportError
from lrreport.provenance import list_versions
from lrreport.sweep.remote import compare_versions, describe_mixed
from lrreport.sweep.run import Say
from lrreport.sweep.worker import join_lines

ANSWER_SECONDS = 60  # within which a worker must answer a question
SILENCE = 60.0  # seconds; workers of a large cluster give a sign of life every few
LOOKS = 5  # at the workers in that time
GONE = (Exception, asyncio.CancelledError)  # what Dask raises in a thread whose scheduler or client has gone: anything


@dataclass
class Members:
    """The workers that a scheduler knows; one that is silent for `silence` seconds loses its runs to others."""

    client: Client
    say: Say
    silence: float = SILENCE
    _workers: dict[str, dict[str, Any]] = field(default_factory=dict)  # what the scheduler says of each
    _signs: dict[str, tuple[float, float]] = field(default_factory=dict)  # the last of each, by its clock and by ours
    _heard: float = 0.0  # when the scheduler last answered
    _refused: set[str] = field(default_factory=set)

    @property
    def n_slots(self) -> int:
        """How many runs the workers take at once."""
        return sum(worker["nthreads"] for worker in self._workers.values())

    @property
    def n_hosts(self) -> int:
        """On how many hosts they are."""
        return len({worker["host"] for worker in self._workers.values()})

    @property
    def is_lost(self) -> bool:
        """Whether the scheduler has not answered for so long that it must be gone."""
        return time.monotonic() - self._heard > 2 * self.silence

    def look(self) -> None:
        """Ask the scheduler for its workers, and put those away that have been silent for too long."""
        self._workers = dict(self.client.scheduler_info(n_workers=-1)["workers"])
        self._heard = now = time.monotonic()
        for address, worker in self._workers.items():
            sign, since = self._signs.get(address, (None, now))
            if sign != worker["last_seen"]:
                self._signs[address] = (worker["last_seen"], now)
            elif now - since > self.silence:
                self._put_away(address)

    def _put_away(self, address: str) -> None:
        """Have the scheduler forget a worker, so that it gives its tasks to others."""
        del self._signs[address]
        self.say(f"the worker {address} has been silent for {self.silence:g} s; its runs go elsewhere")

        def retire() -> None:
            with suppress(*GONE):
                self.client.retire_workers(workers=[address], close_workers=True, remove=True)

        Thread(target=retire, daemon=True).start()  # it may take as long as the worker is silent

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Look at the workers again and again as long as this lasts."""
        closing = Event()

        def watch() -> None:
            while not closing.wait(self.silence / LOOKS):
                with suppress(*GONE):
                    self.look()

        Thread(target=watch, daemon=True).start()
        try:
            yield
        finally:
            closing.set()

    def choose(self) -> list[str] | None:
        """Return the workers that a run may go to; None for all."""
        return [one for one in self._workers if one not in self._refused] if self._refused else None

    def refuse(self, worker: str, line: str) -> None:
        """Send no more runs to a worker, and say why; raise FailedError, with that line, if no other is there."""
        self._refused.add(worker)
        if not self.choose():
            raise FailedError(line)
        self.say(f"{line}; its runs go elsewhere")

    def check_versions(self, mixed: bool) -> None:
        """Raise LrreportError for a worker without lrreport, or of other versions unless `mixed` ones are allowed."""
        for worker, said in self._ask(compare_versions, list_versions()).items():
            if isinstance(said, Exception):
                raise LrreportError(f"the worker {worker} cannot run lrreport ({join_lines(said)}); install it there")
            if said and not mixed:
                raise LrreportError(f"the worker {worker} {describe_mixed(said)}")

    def _ask(self, question: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Return what each worker answers, or the exception there; nothing if one does not answer in time."""
        answers: dict[str, Any] = {}

        def ask() -> None:
            with suppress(*GONE):
                answers.update(self.client.run(question, *arguments, on_error="return"))

        thread = Thread(target=ask, daemon=True)
        thread.start()
        thread.join(ANSWER_SECONDS)
        return dict(answers)
