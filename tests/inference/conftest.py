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

SNAPSHOT = Path(__file__).parent / "snapshots" / "sentences.json"
UPDATE = "LRREPORT_UPDATE_SNAPSHOTS"  # set it to write the sentences anew, then review the difference


class Sentences:
    """The reviewed sentences, by name: `check` compares one, or keeps it if the snapshots are being written."""

    def __init__(self, update: bool) -> None:
        self.update = update
        self.known: dict[str, str] = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {}
        self.seen: dict[str, str] = {}

    def check(self, name: str, text: str) -> None:
        self.seen[name] = text
        if not self.update:
            assert text == self.known.get(name), f"{name}: set {UPDATE}=1 to write the sentences anew"

    def write(self) -> None:
        SNAPSHOT.parent.mkdir(exist_ok=True)
        kept = dict(sorted((self.known | self.seen).items()))
        SNAPSHOT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


@pytest.fixture(scope="session")
def sentences() -> Iterator[Sentences]:
    snapshots = Sentences(bool(os.environ.get(UPDATE)))
    yield snapshots
    if snapshots.update:
        snapshots.write()


@pytest.fixture
def make() -> Callable[..., Assessment]:
    """Return a function that assesses literal measurements, given as `make_measurements` takes them."""

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
