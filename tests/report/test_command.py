"""The command that makes a study's report: selected by its settings, with what differs from its file."""

from pathlib import Path

import pytest

from lrreport.report.command import write_command
from lrreport.study.load import load_study
from lrreport.study.study import Study, parse_study


def read_back(study: Study) -> Study:
    """Return a study as study.json gives it, without its file."""
    return parse_study(study.model_dump(mode="json", by_alias=True, exclude_none=True), "study.json")


def test_the_default_study_needs_no_arguments() -> None:
    assert write_command(read_back(load_study("studies/fashion_mnist.toml"))) == "make report"


def test_another_study_is_named() -> None:
    assert write_command(read_back(load_study("studies/quick.toml"))) == "make report STUDY=studies/quick.toml"


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({"learning_rate": [0.01, 0.001]}, 'make report LRS="0.01 0.001"'),
        ({"epochs": 10}, "make report EPOCHS=10"),
        ({"seeds": [0, 1, 2, 3, 4, 5, 6]}, "make report SEEDS=0-6"),
        ({"seeds": [0, 2]}, 'make report SEEDS="0 2"'),
        ({"most_seeds": 20}, "make report MOST_SEEDS=20"),
    ],
)
def test_the_command_has_the_values_of_the_next_step(changes: dict[str, object], command: str) -> None:
    assert write_command(read_back(load_study("studies/fashion_mnist.toml")), **changes) == command


def test_a_study_that_was_changed_on_the_command_line_says_how() -> None:
    study = load_study("studies/quick.toml").with_changes(learning_rate=[0.1, 0.01], epochs=3)
    assert write_command(read_back(study)) == 'make report STUDY=studies/quick.toml LRS="0.1 0.01" EPOCHS=3'


def test_a_study_under_another_name_keeps_it() -> None:
    study = load_study("studies/quick.toml").with_changes(name="mine", epochs=3)
    assert write_command(read_back(study)) == "make report STUDY=studies/quick.toml EPOCHS=3 NAME=mine"


def test_a_study_elsewhere_is_called_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "my study.toml"
    file.write_text('name = "mine"\n[vary]\nlearning_rate = [0.1, 0.01]\n')
    assert (
        write_command(load_study(file), learning_rate=[0.3, 0.1])
        == "lrreport report 'my study.toml' --learning-rates 0.3 0.1"
    )
    assert write_command(read_back(load_study(file))) == "lrreport report mine.toml"
