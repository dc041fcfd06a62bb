"""Data files: every way to get them, and nothing accepted that is not the real thing."""

import gzip
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lrreport import LrreportError
from lrreport.training.fetch import (
    DEBIAN_FOLDER,
    Source,
    download_with_apt,
    download_with_torchvision,
    find_debian_folder,
)
from lrreport.training.files import DIGESTS, ensure_files, find_data_root, read_idx, verify_files

needs_data = pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
NAMES = list(DIGESTS["fashion_mnist"])


@pytest.fixture
def mirror() -> Iterator[str]:
    """The real files, served on loopback."""
    handler = partial(QuietHandler, directory=str(DEBIAN_FOLDER))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def verify(paths: dict[str, Path]) -> None:
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()} == DIGESTS[
        "fashion_mnist"
    ]


@needs_data
def test_debian_folder_is_unpacked_once(tmp_path: Path) -> None:
    said: list[str] = []
    paths = ensure_files("fashion_mnist", tmp_path, said.append)
    verify(paths)
    assert said == [
        f"Fashion-MNIST: trying the folder of Debian's package, {DEBIAN_FOLDER} …",
        f"Fashion-MNIST: verified and kept in {tmp_path / 'FashionMNIST/raw'}",
    ]
    assert ensure_files("fashion_mnist", tmp_path, said.append, sources=()) == paths
    assert len(said) == 2


@needs_data
def test_torchvision_downloads_from_a_mirror(tmp_path: Path, mirror: str) -> None:
    source = Source("mirror", partial(download_with_torchvision, mirror=mirror))
    verify(ensure_files("fashion_mnist", tmp_path, lambda _: None, (source,)))


@needs_data
def test_apt_downloads_without_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for apt-get gives a real package, which the real dpkg-deb unpacks."""
    content = tmp_path / "content"
    shutil.copytree(DEBIAN_FOLDER, content / DEBIAN_FOLDER.relative_to("/"))
    (content / "DEBIAN").mkdir()
    control = (
        "Package: dataset-fashion-mnist\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    (content / "DEBIAN/control").write_text(control)
    package = tmp_path / "dataset-fashion-mnist_1_all.deb"
    subprocess.run(["dpkg-deb", "-Znone", "-b", str(content), str(package)], check=True, capture_output=True)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "apt-get").write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ncase "$*" in *download*) cp {package} . ;; esac\n'
    )
    (tools / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    verify(ensure_files("fashion_mnist", tmp_path / "root", lambda _: None, (Source("apt", download_with_apt),)))
    calls = (tmp_path / "calls").read_text()
    assert calls.count("Debug::NoLocking=1") == 2
    assert "Dir::State::Lists=" in calls


def test_wrong_files_are_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.gz").write_bytes(gzip.compress(b"wrong"))
    source = Source("the wrong folder", partial(find_debian_folder, folder=folder))
    with pytest.raises(LrreportError) as error:
        ensure_files("fashion_mnist", tmp_path / "root", lambda _: None, (source,))
    found = hashlib.sha256(b"wrong").hexdigest()[:12]
    reason = f"{folder / NAMES[0]}.gz: refused, its SHA-256 is {found}… and should be {DIGESTS['fashion_mnist'][NAMES[0]][:12]}…"
    assert f"  the wrong folder: {reason}\n" in str(error.value)
    assert not list((tmp_path / "root/FashionMNIST/raw").glob("*ubyte"))


def test_when_nothing_works_every_place_is_named(tmp_path: Path) -> None:
    def fail(reason: str, workspace: Path) -> Path:
        raise LrreportError(reason)

    sources = tuple(Source(place, partial(fail, f"no {place}")) for place in ("first", "second"))
    with pytest.raises(LrreportError) as error:
        ensure_files("fashion_mnist", tmp_path, lambda _: None, sources)
    raw = tmp_path / "FashionMNIST" / "raw"
    assert str(error.value).splitlines() == [
        "Fashion-MNIST could not be had. Tried:",
        f"  {raw}: no such files",
        "  first: no first",
        "  second: no second",
        f"Install Debian's package dataset-fashion-mnist, or put {', '.join(NAMES)} into {raw}, or name another folder "
        "in LRREPORT_DATA. Without the data there is the embedded sample: make report STUDY=studies/quick.toml",
    ]


@needs_data
def test_a_file_that_changed_is_set_aside_and_fetched_again(tmp_path: Path) -> None:
    said: list[str] = []
    path = ensure_files("fashion_mnist", tmp_path, said.append)[NAMES[1]]
    path.write_bytes(b"cut")
    with pytest.raises(LrreportError, match=f"{NAMES[1]}: refused, its SHA-256 is"):
        read_idx(path, DIGESTS["fashion_mnist"][NAMES[1]])
    verify(verify_files("fashion_mnist", tmp_path, said.append))
    assert path.with_name(f"{NAMES[1]}.refused").read_bytes() == b"cut"
    assert "setting it aside" in said[2]


@needs_data
def test_processes_that_start_together_fetch_once(tmp_path: Path) -> None:
    code = "from lrreport.training.files import ensure_files; ensure_files('fashion_mnist')"
    environment = {**os.environ, "LRREPORT_DATA": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert "".join(said).count("verified and kept") == 1


def test_data_root_is_the_argument_then_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRREPORT_DATA", str(tmp_path / "variable"))
    assert find_data_root(tmp_path) == tmp_path
    assert find_data_root() == tmp_path / "variable"
    monkeypatch.delenv("LRREPORT_DATA")
    assert find_data_root().name == "lrreport"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LrreportError, match=r"file/FashionMNIST/raw: cannot keep the data there \(Not a directory\)"):
        ensure_files("fashion_mnist", tmp_path / "file", lambda _: None)


def test_the_sample_is_verified() -> None:
    for name, path in ensure_files("sample").items():
        read_idx(path, DIGESTS["sample"][name])


@needs_data
def test_the_sample_is_what_its_script_makes_of_the_real_files(tmp_path: Path) -> None:
    from lrreport.sample.make_sample import make_sample

    paths = {name: DEBIAN_FOLDER / f"{name}.gz" for name in NAMES}
    assert make_sample(paths, tmp_path) == DIGESTS["sample"]
    labels = gzip.decompress((tmp_path / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert [labels.count(label) for label in range(10)] == [200] * 10


def test_finding_files_imports_no_torch() -> None:
    code = "import sys, lrreport.training.files; print(sorted({'torch', 'torchvision', 'pandas', 'numpy'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
