"""What the tests of training share: small settings, and modules of a user's with names of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrreport.study.settings import Training
from lrreport.training import data


def make_training(**settings: Any) -> Training:
    """Return settings of a short training on the sample."""
    return Training.model_validate({"dataset": "sample", "validation_size": 500, "epochs": 2, **settings})


@pytest.fixture(scope="session", name="make_training")
def _make_training() -> Callable[..., Training]:
    return make_training


@pytest.fixture(scope="session")
def splits() -> data.Splits:
    """The sample, divided for the seeds 0 and 1."""
    return data.load_splits(make_training(), (0, 1))


class Writer:
    """Writes a module under a name that no other test uses, since Python imports each name once."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    def __call__(self, source: str) -> str:
        """Write the module and return its name."""
        (self.folder / f"{self.name}.py").write_text(source)
        return self.name


@pytest.fixture
def write(tmp_path: Path, request: pytest.FixtureRequest) -> Writer:
    return Writer(tmp_path, "own_" + "".join(letter for letter in request.node.name if letter.isalnum()))
