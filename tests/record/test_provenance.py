"""Keys: what changes a run changes its key, and nothing else does."""

import ast
import gc
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from lrreport.errors import LrreportError
from lrreport.project import find_reference
from lrreport.record.contents import read_contents
from lrreport.record.provenance import digest_module, digest_notebook, find_device, identify, parse_source
from lrreport.record.record import load_runs
from lrreport.study.load import load_study
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


def test_device_is_no_setting_but_its_type_counts() -> None:
    study = load_study("studies/quick.toml")
    (on_cpu,) = identify(study.training_of(study.levels[0]), [0], {}, device="cpu")
    assert "device" not in on_cpu.settings
    assert on_cpu.model_copy(update={"device": "cuda"}).key != on_cpu.key


def test_a_run_is_told_from_others_by_its_settings_seed_and_data() -> None:
    study = load_study("studies/quick.toml")
    training = study.training_of(study.levels[0])
    first, second = identify(training, [0, 1], {"images": "a"}, device="cpu")
    assert first.key != second.key
    assert identify(training, [1, 0], {"images": "a"}, device="cpu")[1].key == first.key  # whatever its neighbours
    assert identify(training, [0], {"images": "b"}, device="cpu")[0].key != first.key
    longer = training.model_copy(update={"epochs": 9})
    assert identify(longer, [0], {"images": "a"}, device="cpu")[0].key != first.key


def test_what_decides_a_run_is_found_by_its_imports() -> None:
    study = load_study("studies/quick.toml")
    (identity,) = identify(study.training_of(study.levels[0]), [0], {}, device="cpu")
    deciding = set(identity.producer)
    assert {
        "notebook",
        "training/loop.py",
        "training/data.py",
        "training/scores.py",
        "training/networks.py",
    } <= deciding
    assert not deciding & {"training/files.py", "training/cache.py", "training/make_record.py"}


def test_a_gpu_that_is_not_there_is_one_line() -> None:
    if torch.cuda.is_available():
        assert find_device("cuda") == "cuda"
        return
    with pytest.raises(LrreportError) as error:
        find_device("cuda")
    assert str(error.value) == 'device = "cuda": torch finds no GPU that it can use here; set it to "auto" or "cpu"'


def test_the_committed_reference_belongs_to_the_code() -> None:
    """When this fails, training has changed: `make notebooks` makes the reference again."""
    reference = find_reference()
    contents, study = read_contents(reference), load_study("studies/fashion_mnist.toml")
    assert contents.study.digest() == study.digest()
    ours = {
        (level.index, identity.seed): identity
        for level in study.levels
        for identity in identify(study.training_of(level), study.seeds.initial, DIGESTS["fashion_mnist"], device="cpu")
    }
    stored = {(run.level, run.seed): load_runs(reference / run.folder)[0].record.identity for run in contents.runs}
    assert stored == ours


def test_threads_may_parse_at_once() -> None:
    source, callback = Path(ast.__file__).read_text(), lambda *_: time.sleep(0)
    before = gc.get_threshold()
    gc.callbacks.append(callback)  # as Dask's does, it lets another thread go on while a tree is being made
    gc.set_threshold(50)
    try:
        with ThreadPoolExecutor(4) as pool:
            trees = list(pool.map(parse_source, [source] * 20))
    finally:
        gc.callbacks.remove(callback)
        gc.set_threshold(*before)
    assert len({len(tree.body) for tree in trees}) == 1
