"""The sweep with real kernels: what is made once, what fails alone, what is told of it."""

import json
import re
from pathlib import Path

import pytest

from lrreport.provenance import identify
from lrreport.record import load_record
from lrreport.study import load_study
from lrreport.sweep.run import Run, Sweep
from lrreport.sweep.store import Store
from lrreport.training.files import DIGESTS


def make_run(**changes: object) -> Run:
    parameters = next(load_study("studies/quick.toml").runs()).model_copy(update=changes)
    return Run(parameters, identify(parameters, DIGESTS["sample"]))


def test_a_run_is_made_once_and_kept_whole(tmp_path: Path) -> None:
    run, store = make_run(seeds=(0,), epochs=1), Store(tmp_path / "runs")
    assert Sweep(store, tmp_path / "failed").run_all([run]) == {}
    folder = store.folder(run.identity)
    assert {path.name for path in folder.iterdir()} >= {"train.ipynb", "record.json", "arrays.npz"}
    record = load_record(folder)
    assert record.identity == run.identity
    assert record.facts["packages"]["torch"]
    executed = (folder / "train.ipynb").stat().st_mtime_ns
    assert Sweep(store, tmp_path / "failed", open_cluster=pytest.fail).run_all([run]) == {}
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
    assert failures["learning rate 0.5"].endswith(f"; see {notebook} and execution.log beside it")
    assert notebook.exists()
    assert store.has(good.identity)
    assert not store.has(bad.identity)


def test_a_damaged_run_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, store = make_run(seeds=(0,), epochs=1), Store(tmp_path / "runs")
    sweep = Sweep(store, tmp_path / "failed")
    assert sweep.run_all([run]) == {}
    arrays = store.folder(run.identity) / "arrays.npz"
    content = arrays.read_bytes()
    arrays.write_bytes(content[:-1])
    assert sweep.run_all([run]) == {}
    assert (
        capsys.readouterr().err == f"lrreport: {arrays}: missing or changed since it was recorded; it is made again\n"
    )
    assert arrays.read_bytes() == content
