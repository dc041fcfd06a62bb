"""Data files: every source, and nothing accepted that is not the published file."""

import gzip
import hashlib
import http.server
import os
import re
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lrreport.errors import LrreportError
from lrreport.training import files
from lrreport.training.fetch import (
    DEBIAN_FOLDER,
    Source,
    download_with_apt,
    download_with_torchvision,
    find_debian_folder,
)
from lrreport.training.files import (
    DIGESTS,
    FOLDERS,
    ensure_files,
    export_data_root,
    find_data_root,
    read_file,
    verify_files,
)

needs_data = pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
FILES = {file.name: file for file in FOLDERS["fashion_mnist"].files}
NAMES = list(FILES)


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
    messages: list[str] = []
    paths = ensure_files("fashion_mnist", tmp_path, messages.append)
    verify(paths)
    assert messages == [
        f"Fashion-MNIST: trying the folder of Debian's package, {DEBIAN_FOLDER} …",
        f"Fashion-MNIST: verified and kept in {tmp_path / 'FashionMNIST/raw'}",
    ]
    assert ensure_files("fashion_mnist", tmp_path, messages.append, sources=()) == paths
    assert len(messages) == 2


@pytest.mark.slow
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
    digest = hashlib.sha256(b"wrong").hexdigest()[:12]
    reason = f"{folder / NAMES[0]}.gz: refused, its SHA-256 is {digest}… and should be {DIGESTS['fashion_mnist'][NAMES[0]][:12]}…"
    assert f'  the wrong folder: {reason}; for data of your own set dataset = "module:function"\n' in str(error.value)
    assert not list((tmp_path / "root/FashionMNIST/raw").glob("*ubyte"))


def test_when_nothing_works_every_source_is_named(tmp_path: Path) -> None:
    def fail(reason: str, workspace: Path) -> Path:
        raise LrreportError(reason)

    sources = tuple(Source(name, partial(fail, f"no {name}")) for name in ("first", "second"))
    for dataset, title, start, names in (
        ("fashion_mnist", "Fashion-MNIST", "Install Debian's package dataset-fashion-mnist, or put", NAMES),
        ("kmnist", "KMNIST", "Put", [f"{name}.gz" for name in NAMES]),
    ):
        with pytest.raises(LrreportError) as error:
            ensure_files(dataset, tmp_path, lambda _: None, sources)
        raw = tmp_path / FOLDERS[dataset].folder
        assert str(error.value).splitlines() == [
            f"{title} cannot be fetched. Tried:",
            f"  {raw}: no such files",
            "  first: no first",
            "  second: no second",
            f"{start} {', '.join(names)} into {raw}, or name another folder in LRREPORT_DATA. Without the data there is the "
            'embedded sample: dataset = "sample", as in studies/quick.toml',
        ]


@needs_data
def test_archives_as_downloaded_are_read_where_they_lie(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST/raw"
    raw.mkdir(parents=True)
    for name in NAMES:
        shutil.copyfile(DEBIAN_FOLDER / f"{name}.gz", raw / f"{name}.gz")
    paths = ensure_files("fashion_mnist", tmp_path, sources=())
    assert {path.name for path in paths.values()} == {f"{name}.gz" for name in NAMES}
    for name, path in paths.items():
        assert hashlib.sha256(read_file(path, FILES[name])).hexdigest() == DIGESTS["fashion_mnist"][name]
    assert sorted(path.name for path in raw.iterdir()) == sorted(f"{name}.gz" for name in NAMES)


@pytest.mark.parametrize("dataset", ["mnist", "kmnist", "qmnist", "cifar10"])
def test_complete_data_on_a_read_only_share_need_nothing_written(tmp_path: Path, dataset: str) -> None:
    folder = tmp_path / FOLDERS[dataset].folder
    folder.mkdir(parents=True)
    for file in FOLDERS[dataset].files:
        (folder / (file.name if file.sha256 or file.md5 else f"{file.name}.gz")).touch()
    before = sorted(tmp_path.rglob("*"))
    folder.chmod(0o555)
    assert set(ensure_files(dataset, tmp_path, sources=())) == {file.name for file in FOLDERS[dataset].files}
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("dataset", "suffix", "reason"), [
    ("mnist", "", "its SHA-256 is {sha256}… and should be ba891046e650…"),
    ("mnist", ".gz", "its SHA-256 is {sha256}… and should be ba891046e650…"),
    ("kmnist", "", "only its archive can be verified; put {name}.gz, as downloaded, beside it"),
    ("kmnist", ".gz", "the MD5 of the archive is {md5}… and should be bdb82020997e…"),
    ("cifar10", "", "its MD5 is {md5}… and should be c99cafc15224…"),
])  # fmt: skip
def test_other_data_under_published_names_are_refused(tmp_path: Path, dataset: str, suffix: str, reason: str) -> None:
    folder = tmp_path / FOLDERS[dataset].folder
    folder.mkdir(parents=True)
    content = gzip.compress(b"noise") if suffix else b"noise"
    for file in FOLDERS[dataset].files:
        (folder / f"{file.name}{suffix}").write_bytes(content)
    file = FOLDERS[dataset].files[0]
    path = ensure_files(dataset, tmp_path, sources=())[file.name]
    with pytest.raises(LrreportError) as error:
        read_file(path, file)
    digests = {
        "sha256": hashlib.sha256(b"noise").hexdigest()[:12], "md5": hashlib.md5(content).hexdigest()[:12], "name": file.name
    }  # fmt: skip
    assert str(error.value) == (
        f'{path}: refused, {reason.format(**digests)}; for data of your own set dataset = "module:function"'
    )


def test_the_archive_that_is_published_is_accepted_by_its_digest() -> None:
    archive = gzip.compress(b"digits")
    known = files.DataFile("digits", archive_md5=hashlib.md5(archive).hexdigest())
    assert known.verify(b"digits", archive) == ""
    assert known.digest == f"md5:{known.archive_md5}"
    both = files.DataFile("digits", hashlib.sha256(b"digits").hexdigest(), archive_md5=known.archive_md5)
    assert both.verify(b"digits", gzip.compress(b"digits", 1)) == ""
    assert both.verify(b"digits") == ""


@needs_data
def test_a_file_that_changed_is_set_aside_and_fetched_again(tmp_path: Path) -> None:
    messages: list[str] = []
    path = ensure_files("fashion_mnist", tmp_path, messages.append)[NAMES[1]]
    path.write_bytes(b"cut")
    with pytest.raises(LrreportError, match=f"{NAMES[1]}: refused, its SHA-256 is"):
        read_file(path, FILES[NAMES[1]])
    verify(verify_files("fashion_mnist", tmp_path, messages.append))
    assert path.with_name(f"{NAMES[1]}.refused").read_bytes() == b"cut"
    assert messages[2].endswith(f"renaming it to {NAMES[1]}.refused")


@needs_data
def test_a_file_that_cannot_be_read_stays_where_it_is(tmp_path: Path) -> None:
    path = ensure_files("fashion_mnist", tmp_path, lambda _: None)[NAMES[1]]
    path.unlink()
    path.mkdir()  # as reading without permission does, this fails before the content is known
    with pytest.raises(LrreportError, match=f"{NAMES[1]}: cannot be read"):
        verify_files("fashion_mnist", tmp_path, lambda _: None)
    assert path.is_dir()
    assert not path.with_name(f"{NAMES[1]}.refused").exists()


@needs_data
def test_processes_that_start_together_fetch_once(tmp_path: Path) -> None:
    code = "from lrreport.training.files import ensure_files; ensure_files('fashion_mnist')"
    environment = {**os.environ, "LRREPORT_DATA": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    messages = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert "".join(messages).count("verified and kept") == 1


def test_data_root_is_the_argument_then_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRREPORT_DATA", str(tmp_path / "variable"))
    assert find_data_root(tmp_path) == tmp_path
    assert find_data_root() == tmp_path / "variable"
    monkeypatch.setenv("LRREPORT_DATA", " ")
    assert find_data_root().name == "lrreport"
    monkeypatch.delenv("LRREPORT_DATA")
    assert find_data_root().name == "lrreport"


def test_a_relative_data_root_is_made_absolute_for_later_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRREPORT_DATA", "data")
    assert find_data_root() == tmp_path / "data"
    assert find_data_root(Path("other")) == tmp_path / "other"
    export_data_root()
    assert os.environ["LRREPORT_DATA"] == str(tmp_path / "data")
    monkeypatch.delenv("LRREPORT_DATA")
    export_data_root()
    assert "LRREPORT_DATA" not in os.environ


@pytest.mark.slow
def test_a_download_imports_nothing_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("random", "torchvision", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the working folder')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ".")
    with pytest.raises(LrreportError) as error:
        download_with_torchvision(tmp_path / "data", "NoSuchDataset")
    assert "has no attribute 'NoSuchDataset'" in str(error.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    names = ", ".join(NAMES)
    message = (
        f"{tmp_path}/file/FashionMNIST/raw: lacks {names}, and they cannot be kept there (Not a directory); put them there, "
        "or name a folder that you may write to in LRREPORT_DATA"
    )
    with pytest.raises(LrreportError, match=f"^{re.escape(message)}$"):
        ensure_files("fashion_mnist", tmp_path / "file", lambda _: None)


def test_the_sample_is_verified() -> None:
    paths = ensure_files("sample")
    for file in FOLDERS["sample"].files:
        assert read_file(paths[file.name], file)


@needs_data
def test_the_sample_is_what_its_script_makes_of_the_real_files(tmp_path: Path, repository: Path) -> None:
    make_sample = runpy.run_path(str(repository / "tools/make_sample.py"))["make_sample"]
    paths = {name: DEBIAN_FOLDER / f"{name}.gz" for name in NAMES}
    assert make_sample(paths, tmp_path) == DIGESTS["sample"]
    labels = gzip.decompress((tmp_path / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert [labels.count(label) for label in range(10)] == [200] * 10


def test_finding_files_imports_no_torch() -> None:
    code = "import sys, lrreport.training.files; print(sorted({'torch', 'torchvision', 'pandas', 'numpy'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
