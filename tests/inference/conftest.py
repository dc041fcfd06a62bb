"""What the tests of inference share: findings of literal measurements, and the reviewed sentences."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lrreport.inference.assessment import Assessment, assess
from lrreport.inference.claims import Finding, ask
from lrreport.testing import check_finding, make_measurements

SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = "LRREPORT_UPDATE_SNAPSHOTS"  # set it to write the sentences anew, then review the difference


class Snapshots:
    """Reviewed texts of a file, by name: `check` compares a text, or stores it if the snapshots are being written."""

    def __init__(self, path: Path) -> None:
        self.path, self.update = path, bool(os.environ.get(UPDATE))
        self.known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        self.seen: dict[str, str] = {}

    def check(self, name: str, text: str) -> None:
        self.seen[name] = text
        if not self.update:
            assert text == self.known.get(name), f"{name}: set {UPDATE}=1 to write {self.path.name} anew"

    def write(self) -> None:
        if self.update and self.seen:
            texts = dict(sorted((self.known | self.seen).items()))
            self.path.write_text(json.dumps(texts, indent=1, ensure_ascii=False) + "\n")


@pytest.fixture(scope="session")
def sentences() -> Iterator[Snapshots]:
    """The sentences of each claim in each verdict, of the rows and of the first screen."""
    snapshots = Snapshots(SNAPSHOTS / "sentences.json")
    yield snapshots
    snapshots.write()


@pytest.fixture(scope="session")
def numbers() -> Iterator[Snapshots]:
    """The numbers of the reports on drawn studies."""
    snapshots = Snapshots(SNAPSHOTS / "numbers.json")
    yield snapshots
    snapshots.write()


@pytest.fixture
def make() -> Callable[..., Assessment]:
    """Return a function that assesses literal measurements, with the arguments of `make_measurements`."""

    def make_assessment(*arguments: Any, **options: Any) -> Assessment:
        return assess(make_measurements(*arguments, **options))

    return make_assessment


@pytest.fixture
def tell() -> Callable[..., Finding]:
    """Return a function that asks a claim of an assessment, checked for what holds of every finding."""

    def tell_finding(assessment: Assessment, name: str, **arguments: Any) -> Finding:
        finding = ask(name, assessment, **arguments)
        check_finding(finding)
        return finding

    return tell_finding
