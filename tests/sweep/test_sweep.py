"""The sweep with real kernels: what is made once, what fails alone, what is told of it."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from lrreport import LrreportError
from lrreport.provenance import TRAINING_NOTEBOOK, identify
from lrreport.record import load_record, save_record
from lrreport.report.results import Results
from lrreport.study import Parameters, load_study
from lrreport.sweep.execute import execute, refuse_unknown_parameters
from lrreport.sweep.run import Run, Sweep
from lrreport.sweep.store import Store, compare_identities
from lrreport.training.files import DIGESTS


def make_run(**changes: object) -> Run:
    parameters = next(load_study("studies/quick.toml").runs()).model_copy(update=changes)
    return Run(parameters, identify(parameters, DIGESTS["sample"]))


def write_notebook(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


def test_parameters_cell_is_literal_and_equal_to_the_default_study() -> None:
    cells = json.loads(TRAINING_NOTEBOOK.read_text())["cells"]
    (cell,) = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", ())]
    values: dict[str, object] = {}
    exec("".join(cell["source"]), {"__builtins__": {"float": float, "list": list, "str": str, "int": int}}, values)
    del values["__annotations__"]
    default = next(load_study("studies/fashion_mnist.toml").runs())
    assert values == default.model_dump(mode="json") | {"run_dir": ""}
    assert set(values) == {*Parameters.model_fields, "run_dir"}


def test_a_misspelt_parameter_is_refused(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "rate: float = 0.1\nname = ''")
    with pytest.raises(LrreportError) as error:
        refuse_unknown_parameters(notebook, {"rates": 1})
    assert str(error.value) == f"{notebook}: no parameter 'rates'; its parameters are rate, name"


def test_an_exception_in_a_cell_is_named_with_the_notebook_to_open(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "raise ValueError('no luck')")
    with pytest.raises(LrreportError) as error:
        execute(notebook, tmp_path / "out.ipynb", {"x": 2})
    assert str(error.value) == f"cell 3 raised ValueError: no luck; see {tmp_path / 'out.ipynb'}"
    assert (tmp_path / "out.ipynb").exists()


def test_a_killed_kernel_is_a_failure(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "x = 1", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(LrreportError, match=r"DeadKernelError: Kernel died; see .*out\.ipynb"):
        execute(notebook, tmp_path / "out.ipynb", {})


def test_a_run_is_made_once_and_kept_whole(tmp_path: Path) -> None:
    run, store = make_run(seeds=(0,), epochs=1), Store(tmp_path / "runs")
    assert Sweep(store, tmp_path / "failed").run_all([run]) == {}
    folder = store.folder(run.identity)
    assert {path.name for path in folder.iterdir()} >= {"train.ipynb", "record.json", "arrays.npz"}
    record = load_record(folder)
    assert record.identity == run.identity
    assert record.facts["packages"]["torch"]
    executed = (folder / "train.ipynb").stat().st_mtime_ns
    assert Sweep(store, tmp_path / "failed").run_all([run]) == {}
    assert (folder / "train.ipynb").stat().st_mtime_ns == executed
    assert [path.name for path in store.root.iterdir() if path.name != ".locks"] == [run.identity.key]
    outputs = [
        out for cell in json.loads((folder / "train.ipynb").read_text())["cells"] for out in cell.get("outputs", [])
    ]
    assert not [out for out in outputs if out["output_type"] in ("stream", "error")]


def test_a_failed_run_stops_no_other_and_leaves_its_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRREPORT_DATA", "/dev/null")  # so the kernel of the second cannot keep its data anywhere
    good, bad = make_run(seeds=(0,), epochs=1), make_run(epochs=1, learning_rate=0.5, dataset="fashion_mnist")
    store = Store(tmp_path / "runs")
    failures = Sweep(store, tmp_path / "failed").run_all([bad, good])
    notebook = tmp_path / "failed/learning_rate=0.5/train.ipynb"
    assert list(failures) == ["learning rate 0.5"]
    assert re.match(
        r"cell \d+ raised LrreportError: /dev/null/FashionMNIST/raw: cannot keep the data there",
        failures["learning rate 0.5"],
    )
    assert failures["learning rate 0.5"].endswith(f"; see {notebook}")
    assert notebook.exists()
    assert store.has(good.identity)
    assert not store.has(bad.identity)


def test_states_of_runs_and_why_they_are_stale(tmp_path: Path, make_results: Callable[..., Results]) -> None:
    store, run = Store(tmp_path), make_run()
    assert [state.status for state in store.inspect([run.identity])] == ["missing"]
    record = make_results({0.1: [[(0.5, 0.8)]]}).records[0.1].model_copy(update={"identity": run.identity})
    folder = store.folder(run.identity)
    folder.mkdir(parents=True)
    save_record(folder, record, {})
    assert [state.status for state in store.inspect([run.identity])] == ["fresh"]
    (state,) = store.inspect([make_run(epochs=10).identity])
    assert (state.status, state.reason) == ("missing", "the nearest that is kept differs: epochs 5 → 10")


def test_what_changed_is_said_in_words() -> None:
    old = make_run().identity
    new = old.model_copy(
        update={"torch": "9", "notebook": "x", "code": {**old.code, "training/loop.py": "x"}, "device": "cuda"}
    )
    assert compare_identities(old, new) == [
        "train.ipynb changed",
        "training/loop.py changed",
        "device cpu → cuda",
        f"torch {old.torch} → 9",
    ]


def test_a_record_of_another_run_is_not_promoted(tmp_path: Path, make_results: Callable[..., Results]) -> None:
    store, run = Store(tmp_path / "runs"), make_run()
    workspace = store.make_workspace(run.identity)
    record = (
        make_results({0.1: [[(0.5, 0.8)]]}).records[0.1].model_copy(update={"identity": make_run(epochs=9).identity})
    )
    save_record(workspace, record, {})
    with pytest.raises(LrreportError, match="the run changed while it was made \\(epochs 9 → 5\\)"):
        store.promote(workspace, run.identity)
    assert not store.has(run.identity)
    shutil.rmtree(workspace)
