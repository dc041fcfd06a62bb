"""Keys: what changes a run changes its key, and nothing else does."""

import json
from pathlib import Path

import pytest
import torch

from lrreport import LrreportError
from lrreport.provenance import digest_module, digest_notebook, find_device, identify
from lrreport.report.results import load_results
from lrreport.study import load_study
from lrreport.training.files import DIGESTS

SOURCE = 'def f(x):\n    """Return it."""\n    return x + 1\n'


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ("# a comment\n\n" + SOURCE, True),
        (SOURCE.replace("Return it.", "Return more."), True),
        (SOURCE.replace("x + 1", "x + 2"), False),
        (SOURCE.replace("x + 1", "x - 1"), False),
    ],
)
def test_only_code_counts_in_a_module(tmp_path: Path, changed: str, same: bool) -> None:
    before, after = tmp_path / "before.py", tmp_path / "after.py"
    before.write_text(SOURCE)
    after.write_text(changed)
    assert (digest_module(before) == digest_module(after)) is same


def test_only_code_cells_count_in_a_notebook(tmp_path: Path) -> None:
    def write(name: str, text: str, code: str, tags: list[str]) -> Path:
        cells = [
            {"cell_type": "markdown", "source": [text], "metadata": {}},
            {"cell_type": "code", "source": [code], "metadata": {"tags": tags}},
        ]
        path = tmp_path / name
        path.write_text(json.dumps({"cells": cells}))
        return path

    first = digest_notebook(write("1", "words", "x = 1", []))
    assert digest_notebook(write("2", "other words", "x = 1  # why", [])) == first
    assert digest_notebook(write("3", "words", "x = 2", [])) != first
    parameters = digest_notebook(write("4", "words", "x = 2", ["parameters"]))
    assert digest_notebook(write("5", "words", "x = 3", ["parameters"])) == parameters


def test_device_is_not_a_parameter_but_its_type_counts() -> None:
    run = next(load_study("studies/quick.toml").runs())
    on_cpu = identify(run.model_copy(update={"device": "cpu"}), {})
    assert "device" not in on_cpu.parameters
    assert on_cpu.model_copy(update={"device": "cuda"}).key != on_cpu.key


def test_a_gpu_that_is_not_there_is_one_line() -> None:
    if torch.cuda.is_available():
        assert find_device("cuda") == "cuda"
        return
    with pytest.raises(LrreportError) as error:
        find_device("cuda")
    assert str(error.value) == 'device = "cuda": torch finds no GPU that it can use here; set it to "auto" or "cpu"'


def test_the_committed_reference_belongs_to_the_code() -> None:
    """When this fails, training has changed: `make notebooks` makes the reference again."""
    reference = load_results()
    study = load_study("studies/fashion_mnist.toml")
    assert reference.study == study.model_copy(update={"file": None})
    ours = [identify(run.model_copy(update={"device": "cpu"}), DIGESTS["fashion_mnist"]) for run in study.runs()]
    assert [record.identity for record in reference.records.values()] == ours
