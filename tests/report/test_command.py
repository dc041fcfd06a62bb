"""The command that makes a study again, for studies of the repository, changed ones and others."""

from typing import Any

import pytest

from lrreport.report.command import describe_command
from lrreport.study import DEFAULT_STUDY, load_study, parse_study


@pytest.mark.parametrize(
    ("path", "changes", "command"),
    [
        (DEFAULT_STUDY, {}, "make report"),
        (DEFAULT_STUDY, {"learning_rate": [0.01, 0.00001], "epochs": 3}, 'make report LRS="0.01 0.00001" EPOCHS=3'),
        ("studies/wide.toml", {"seed": [0, 1]}, 'make report STUDY=studies/wide.toml SEEDS="0 1"'),
        ("studies/quick.toml", {"device": "cpu"}, "make report STUDY=studies/quick.toml DEVICE=cpu"),
    ],
)
def test_the_command_holds_what_was_changed(path: str, changes: dict[str, Any], command: str) -> None:
    study = load_study(path).changed(**changes)
    assert describe_command(study) == command


def test_a_study_that_no_file_gives_has_no_command() -> None:
    other = parse_study({"name": "quick", "vary": {"learning_rate": [0.1]}}, "test")
    assert describe_command(other) == ""
    assert describe_command(other.model_copy(update={"name": "mine"})) == ""
