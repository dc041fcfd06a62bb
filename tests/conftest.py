"""What the tests share: the checkout, and a browser."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browsers import start_firefox

REPOSITORY = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium")
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
ALLOWED = ("this machine does not allow", "is none of our requirements")  # reasons for which a test may skip anywhere
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On continuous integration everything is installed, so a test that skips has not done its work.

    What a machine does not allow, such as mounting, is no fault of an installation, nor is a package that we do not need.
    """
    report = yield
    is_allowed = any(reason in str(report.longrepr) for reason in ALLOWED)
    if report.skipped and os.environ.get("LRREPORT_CI") and not is_allowed:
        report.outcome = "failed"
        report.longrepr = f"skipped on continuous integration: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def firefox_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if FIREFOX is None:
        pytest.skip("firefox is not installed")
    with start_firefox(FIREFOX, tmp_path_factory.mktemp("firefox")) as socket:
        yield socket


@pytest.fixture(scope="session")
def seal() -> Callable[[Path, dict[str, Any]], None]:
    """Write a record into a folder as somebody would who knows how its digest is made."""

    def seal(folder: Path, contents: dict[str, Any]) -> None:
        contents.pop("digest", None)
        digest = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()
        (folder / "record.json").write_text(json.dumps(contents | {"digest": digest}))

    return seal
