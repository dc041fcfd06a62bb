"""Addresses of a scheduler that are refused, with the remedy."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lrreport.arguments import make_parser, read_scheduler
from lrreport.cli import main
from lrreport.errors import LrreportError
from lrreport.study.load import load_study
from lrreport.sweep import scheduler
from lrreport.sweep.scheduler import Address, check_certificates, connect, is_this_host


def refuse(text: str, **allowed: bool) -> str:
    with pytest.raises(LrreportError) as error:
        Address(text, **allowed).check()
    return str(error.value)


@pytest.mark.parametrize("text", ["host:8786", "ucx://host:1", "tcp://", "tcp://host:port", "tls://[", "nonsense"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert refuse(text) == f"--scheduler: {text!r} is not an address such as tls://host:8786"


def test_plain_tcp_goes_to_this_host_only() -> None:
    assert refuse("tcp://192.0.2.1:8786") == (
        "--scheduler: tcp://192.0.2.1:8786 is on another host and not encrypted; use tls://, or add --insecure where "
        "nobody else can read or change what is sent"
    )
    Address("tcp://192.0.2.1:8786", insecure=True).check()
    for host in ("127.0.0.1", "localhost", "[::1]"):
        Address(f"tcp://{host}:8786").check()


def test_a_host_that_does_not_exist_is_named() -> None:
    assert refuse("tcp://nowhere.invalid:8786").startswith("--scheduler: no host 'nowhere.invalid' (")
    assert is_this_host(socket.gethostbyname("localhost"))


def test_tls_takes_certificates(tmp_path: Path) -> None:
    import dask
    import distributed  # noqa: F401  # its defaults come first, or they would go with our settings

    assert refuse("tls://192.0.2.1:8786") == (
        "--scheduler: tls://192.0.2.1:8786: Dask's configuration names no certificates; set ca-file, client.cert and "
        "client.key of distributed.comm.tls in ~/.config/dask/"
    )
    gone = {
        f"distributed.comm.tls.{name}": str(tmp_path / "gone.pem") for name in ("ca-file", "client.cert", "client.key")
    }
    with (
        dask.config.set(gone),
        pytest.raises(LrreportError, match="the certificates in Dask's configuration cannot be used"),
    ):
        check_certificates("tls://192.0.2.1:8786")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "Dask is not installed" in refuse("tls://host:8786")
    assert refuse("tls://host:8786").endswith("; add it with pip install 'lrreport[cluster]'")


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "CONNECT_SECONDS", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(LrreportError) as error:
            connect(address)
    assert str(error.value).startswith(f"--scheduler: no scheduler answers at {address} (")
    assert str(error.value).endswith("); start it with dask scheduler, or name another")


def read(*arguments: str) -> Address | None:
    return read_scheduler(make_parser().parse_args(list(arguments)))


def test_the_scheduler_comes_from_the_option_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LRREPORT_SCHEDULER", raising=False)
    assert read("report") is None
    assert read("report", "--scheduler", "tls://a:1", "--allow-mixed") == Address("tls://a:1", mixed=True)
    monkeypatch.setenv("LRREPORT_SCHEDULER", "tls://b:1")
    assert read("report") == read("pdf") == Address("tls://b:1")
    assert read("report", "--scheduler", "tls://a:1", "--insecure") == Address("tls://a:1", insecure=True)
    assert read("report", "--jobs", "2") is None
    assert read("status") is None


def test_jobs_and_a_scheduler_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["report", "studies/quick.toml", "--outputs", str(tmp_path / "outputs")]
    assert main([*command, "--jobs", "2", "--scheduler", "tls://a:1"]) == 2
    assert capsys.readouterr().err == (
        "lrreport: --jobs counts runs on this machine, and --scheduler sends them to others; use either\n"
    )
    assert main([*command, "--scheduler", "a:1"]) == 2
    assert capsys.readouterr().err == "lrreport: --scheduler: 'a:1' is not an address such as tls://host:8786\n"
    assert not (tmp_path / "outputs").exists()


def test_workers_may_have_the_gpu_that_this_machine_lacks() -> None:
    code = (
        "import json; from lrreport.arguments import make_parser, read_study; from lrreport.sweep.scheduler import Address;"
        "from lrreport.workflow import Workflow; from pathlib import Path;"
        "study = read_study(make_parser().parse_args(['report', 'studies/quick.toml', '--device', 'cuda']));"
        "print(json.dumps([run.identity.device for run in Workflow(study, Path('.'), Address('tls://a:1')).list_runs()]))"
    )
    assert json.loads(subprocess.check_output([sys.executable, "-c", code], text=True)) == ["cuda"] * len(
        load_study("studies/quick.toml").plan()
    )
