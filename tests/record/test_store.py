"""The runs kept: their states and why, what is promoted, what is left over, what is damaged."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lrreport import LrreportError
from lrreport.provenance import Identity, identify
from lrreport.record import NewerRecordError, load_record, save_record
from lrreport.report.results import Results
from lrreport.study import load_study
from lrreport.sweep.locks import hold
from lrreport.sweep.store import Store, compare_identities, make_folder
from lrreport.training.files import DIGESTS

Make = Callable[..., Results]


def identify_run(**changes: object) -> Identity:
    parameters = next(load_study("studies/quick.toml").runs()).model_copy(update=changes)
    return identify(parameters, DIGESTS["sample"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture
def keep(store: Store, make_results: Make) -> Callable[..., Path]:
    """Keep a run as a sweep would, with drawn results."""

    def keep(identity: Identity) -> Path:
        seeds = [[(0.5, 0.8)] * identity.parameters["epochs"]] * len(identity.parameters["seeds"])
        record = make_results({0.1: seeds}).records[0.1].model_copy(update={"identity": identity})
        workspace = store.make_workspace(identity)
        save_record(workspace, record, {"step_losses_0": [1.0]})
        return store.promote(workspace, identity)

    return keep


def test_states_of_runs_and_why_they_are_stale(store: Store, keep: Callable[..., Path]) -> None:
    identity = identify_run()
    assert [state.status for state in store.inspect([identity])] == ["missing"]
    keep(identity)
    assert [state.status for state in store.inspect([identity])] == ["fresh"]
    (state,) = store.inspect([identify_run(epochs=10)])
    assert (state.status, state.reason) == (
        "missing",
        f"the nearest that is kept differs: epochs {identity.parameters['epochs']} → 10",
    )
    (state,) = store.inspect([identity.model_copy(update={"torch": "9.9"})])
    assert (state.status, state.reason) == ("stale", f"torch {identity.torch} → 9.9")
    (state,) = store.inspect([identity.model_copy(update={"code": {**identity.code, "training/loop.py": "x"}})])
    assert (state.status, state.reason) == ("stale", "training/loop.py changed")


def test_more_epochs_and_back_repeats_nothing(store: Store, keep: Callable[..., Path]) -> None:
    few, many = identify_run(epochs=2), identify_run(epochs=3)
    keep(few)
    keep(many)
    assert [state.status for state in store.inspect([few, many])] == ["fresh", "fresh"]


def test_what_changed_is_said_in_words() -> None:
    old = identify_run()
    new = old.model_copy(
        update={"torch": "9", "notebook": "x", "code": {**old.code, "training/loop.py": "x"}, "device": "cuda"}
    )
    assert compare_identities(old, new) == [
        "the notebook's code changed",
        "training/loop.py changed",
        "device cpu → cuda",
        f"torch {old.torch} → 9",
    ]


def test_changed_data_is_said_and_another_dataset_needs_no_list_of_its_files() -> None:
    old = identify_run()
    edited = old.model_copy(update={"data": {**old.data, "train-labels-idx1-ubyte": "x"}})
    assert compare_identities(old, edited) == ["data file train-labels-idx1-ubyte changed"]
    parameters = {**old.parameters, "dataset": "fashion_mnist"}
    other = old.model_copy(update={"data": DIGESTS["fashion_mnist"], "parameters": parameters})
    assert compare_identities(old, other) == ["dataset sample → fashion_mnist"]


def test_a_record_of_another_run_is_not_promoted(store: Store, make_results: Make) -> None:
    identity, other = identify_run(epochs=1, seeds=(0,)), identify_run(epochs=1, seeds=(0,), batch_size=9)
    workspace = store.make_workspace(identity)
    record = make_results({0.1: [[(0.5, 0.8)]]}).records[0.1].model_copy(update={"identity": other})
    save_record(workspace, record, {})
    with pytest.raises(LrreportError, match="the run changed while it was made \\(batch_size 9 → 64\\)"):
        store.promote(workspace, identity)
    assert not store.has(identity)


def test_damage_is_found_and_named(store: Store, keep: Callable[..., Path]) -> None:
    identity, other = identify_run(epochs=1), identify_run(epochs=2)
    folder, beside = keep(identity), keep(other)
    assert store.find_damage(identity) == ""
    shutil.copytree(beside, folder, dirs_exist_ok=True)
    assert store.find_damage(identity) == f"{folder}: holds another run (epochs 1 → 2)"
    (folder / "arrays.npz").write_bytes(b"")
    assert store.find_damage(identity).startswith(f"{folder / 'arrays.npz'}: missing or changed")
    assert [state.status for state in store.inspect([identity, other])] == ["damaged", "fresh"]
    keep(identity)
    assert store.find_damage(identity) == ""


def test_a_run_of_a_newer_version_is_left_alone(store: Store, keep: Callable[..., Path]) -> None:
    identity = identify_run(epochs=1)
    path = keep(identity) / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(
        NewerRecordError, match=r"made by a newer version of lrreport \(schema 99, this one reads 1\); update"
    ):
        store.find_damage(identity)


def test_leftovers_are_cleared_but_not_what_somebody_makes(store: Store) -> None:
    dead, alive = identify_run(epochs=1), identify_run(epochs=2)
    left, working = store.make_workspace(dead), store.make_workspace(alive)
    with hold(store.lock(alive.key), print):
        store.clear_leftovers()
        assert not left.exists()
        assert working.exists()
    store.clear_leftovers()
    assert [path.name for path in store.root.iterdir()] == [".locks"]


def test_a_damaged_or_foreign_folder_does_not_stop_a_list(store: Store, keep: Callable[..., Path]) -> None:
    folder = keep(identify_run(epochs=1))
    (store.root / "mine").mkdir()
    (store.root / "note.txt").write_text("hello")
    runs = list(store.list_runs())
    assert [(run.key, run.record is not None) for run in runs] == sorted([(folder.name, True), ("mine", False)])
    assert next(run for run in runs if run.record).n_bytes == sum(path.stat().st_size for path in folder.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LrreportError) as error:
        make_folder(tmp_path / "file" / "outputs")
    assert str(error.value) == (
        f"{tmp_path}/file/outputs: cannot make this folder (Not a directory); choose another with --outputs"
    )


def test_a_promoted_run_is_read_back(store: Store, keep: Callable[..., Path]) -> None:
    identity = identify_run(epochs=1)
    assert load_record(keep(identity)).identity == identity
    assert store.has(identity)
