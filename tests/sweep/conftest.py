"""Clusters for tests: a real scheduler and real workers on this machine, encrypted, each a process of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from lrreport.sweep.fork_server import ForkServer

SECONDS = 60  # the longest wait for anything but a whole sweep
# As in the README: a single certificate for the whole cluster.
CERTIFICATE = (
    "openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=lrreport "
    "-addext keyUsage=critical,digitalSignature,keyCertSign -keyout key.pem -out cert.pem"
)


def make_certificate(folder: Path) -> dict[str, str]:
    """Make a key and a certificate; return the settings, by name, that let Dask use them."""
    subprocess.run(CERTIFICATE.split(), cwd=folder, check=True, capture_output=True, timeout=SECONDS)
    files = {"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    roles = ("scheduler", "worker", "client")
    settings = {f"{role}.{kind}": path for role in roles for kind, path in files.items()} | {"ca-file": files["cert"]}
    return {f"distributed.comm.tls.{name}": path for name, path in settings.items()}


@dataclass
class Processes:
    """A scheduler and its workers; `folder` takes what they write, `settings` are Dask's."""

    folder: Path
    settings: dict[str, str]
    address: str = ""
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Our environment with Dask's settings, as its processes read them."""
        names = {name: f"DASK_{name.replace('.', '__').replace('-', '_').upper()}" for name in self.settings}
        return os.environ | {names[name]: value for name, value in self.settings.items()}

    def start(self, name: str, command: list[str], **environment: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}-{len(self.started)}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=self.environment | environment, stdout=log, stderr=log, start_new_session=True
            )
        self.started.append(process)
        return process

    def start_scheduler(self, host: str = "127.0.0.1", port: int = 0) -> "subprocess.Popen[bytes]":
        """Start a scheduler, on which there is no lrreport, and wait for its address."""
        scheduler_file = self.folder / f"scheduler-{len(self.started)}.json"
        without = "import sys; sys.modules['lrreport'] = None; from dask.__main__ import main; main()"
        command = [sys.executable, "-c", without, "scheduler", "--protocol", "tls", "--host", host, "--port", str(port),
                   "--dashboard-address", f"{host}:0", "--scheduler-file", str(scheduler_file)]  # fmt: skip
        process = self.start("scheduler", command)
        self.wait_until(
            lambda: scheduler_file.exists() and scheduler_file.read_text().rstrip().endswith("}"), "the scheduler"
        )
        self.address = json.loads(scheduler_file.read_text())["address"]
        return process

    def start_worker(
        self, *options: str, prefix: tuple[str, ...] = (), **environment: str
    ) -> "subprocess.Popen[bytes]":
        """Start a worker with a single slot, a process without a nanny, and wait until the scheduler knows it."""
        n_before = len(self.list_workers())
        folder = self.folder / f"local-{len(self.started)}"
        command = [*prefix, sys.executable, "-m", "dask", "worker", self.address, "--no-nanny", "--nthreads", "1",
                   "--no-dashboard", "--local-directory", str(folder), *options]  # fmt: skip
        process = self.start("worker", command, **environment)
        self.wait_until(lambda: process.poll() is not None or len(self.list_workers()) > n_before, "the worker")
        assert process.poll() is None, "the worker has ended"
        return process

    def list_workers(self) -> dict[str, Any]:
        """Return what the scheduler knows of its workers."""
        from distributed import Client

        client = Client(self.address, timeout=SECONDS, set_as_default=False)
        try:
            return dict(client.scheduler_info(n_workers=-1)["workers"])
        finally:
            client.close()

    def find_kernels(self, worker: "subprocess.Popen[bytes] | None" = None) -> list[psutil.Process]:
        """Return the kernels that a worker, or any of them, has started."""
        kernels = []
        for process in self.started if worker is None else [worker]:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        kernels += [child] if child.name() == "lrreport-kernel" else []
        return kernels

    @staticmethod
    def wait_until(reached: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
        """Wait until something is reached and return it; fail in the end."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if result := reached():
                return result
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s: {what}")

    def end_all(self) -> None:
        for process in reversed(self.started):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=SECONDS)
        for local in self.folder.glob("local-*"):
            shutil.rmtree(local, ignore_errors=True)


@contextmanager
def open_processes(folder: Path, n_workers: int) -> Iterator[Processes]:
    """Start a scheduler with so many workers; Dask is configured for their certificate meanwhile."""
    import dask
    import distributed  # noqa: F401  # its defaults come first, or they would go with our settings

    settings = make_certificate(folder)
    processes = Processes(folder, settings)
    with dask.config.set(settings):
        try:
            processes.start_scheduler()
            for _ in range(n_workers):
                processes.start_worker()
            yield processes
        finally:
            processes.end_all()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """A cluster of two workers that the tests of a module share; no test ends a worker."""
    with open_processes(tmp_path_factory.mktemp("cluster"), n_workers=2) as processes:
        yield processes


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Processes]:
    """A scheduler for a single test, which starts its workers."""
    (tmp_path / "cluster").mkdir()
    with open_processes(tmp_path / "cluster", n_workers=0) as processes:
        yield processes


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, as those of sockets must be."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LRREPORT_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.fixture(scope="session")
def server() -> Iterator[ForkServer]:
    """A server from which the executions of many tests fork, as those of a study do."""
    with ForkServer() as server:
        yield server


@pytest.fixture
def shared_server(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let executions that would start a server use the shared one, which saves two seconds each; none may leave a process."""
    monkeypatch.setattr("lrreport.sweep.execute.ForkServer", lambda: nullcontext(server))
    monkeypatch.delenv("LRREPORT_TEST", raising=False)  # by which a test finds its own processes
    yield
    pids = [process.pid for process, _ in server._servers.values() if process.poll() is None]
    left = [child for pid in pids for child in psutil.Process(pid).children(recursive=True)]
    assert not psutil.wait_procs(left, timeout=5)[1]
