"""The store of runs: states and their reasons, promotion, leftovers, damage."""

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrreport.errors import LrreportError, NewerRecordError
from lrreport.record.files import _name_temporary, replace_file
from lrreport.record.locks import hold_lock
from lrreport.record.provenance import Identity
from lrreport.record.record import RunRecord, declare_metrics, load_arrays, load_record, make_series, save_record
from lrreport.record.store import Store, compare_identities, make_folder

SETTINGS = {"learning_rate": 0.1, "epochs": 2, "dataset": "sample", "optimizer": {"name": "adam"}}
Keep = Callable[..., Path]


def identify(seed: int = 0, **changes: Any) -> Identity:
    base = {"settings": SETTINGS, "producer": {"notebook": "a", "training/loop.py": "b"}, "versions": {"torch": "2.13.0"},
             "data": {"labels": "c"}, "device": "cpu"}  # fmt: skip
    known = {name: changes.pop(name) for name in list(changes) if name in base}
    return Identity(**{**base, **known, "seed": seed, "settings": {**base["settings"], **changes}})


def make_record(identity: Identity, **changes: Any) -> RunRecord:
    values = [0.1, 0.5, 0.8]
    return RunRecord(**{
        "identity": identity, "settings": identity.settings, "seed": identity.seed, "status": "completed",
        "metrics": declare_metrics(["val_accuracy"]), "history": (make_series("val_accuracy", values),),
        "final": {"val_accuracy": 0.8}, **changes,
    })  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture
def keep(store: Store) -> Keep:
    """Keep a run as a sweep would."""

    def keep(identity: Identity) -> Path:
        workspace = store.make_workspace(identity)
        save_record(workspace / identity.key, make_record(identity), {"step_losses": [1.0]})
        folder = store.promote(workspace, identity)
        workspace.rmdir()
        return folder

    return keep


def test_states_of_runs_and_why_they_are_stale(store: Store, keep: Keep) -> None:
    identity = identify()
    assert [state.status for state in store.inspect([identity])] == ["missing"]
    keep(identity)
    assert [state.status for state in store.inspect([identity, identify(seed=1)])] == ["fresh", "missing"]
    (state,) = store.inspect([identify(epochs=10)])
    assert (state.status, state.reason) == ("missing", "the nearest stored run differs: epochs 2 → 10")
    (state,) = store.inspect([identify(versions={"torch": "9.9"})])
    assert (state.status, state.reason) == ("stale", "torch 2.13.0 → 9.9")
    (state,) = store.inspect([identify(producer={"notebook": "a", "training/loop.py": "x"})])
    assert (state.status, state.reason) == ("stale", "training/loop.py changed")


def test_changes_are_named() -> None:
    old = identify()
    new = identify(
        producer={"notebook": "x", "training/loop.py": "x"}, versions={"torch": "9"}, device="cuda",
        optimizer={"name": "sgd", "momentum": 0.9},
    )  # fmt: skip
    assert compare_identities(old, new) == [
        "optimizer.momentum None → 0.9", "optimizer.name adam → sgd", "notebook changed", "training/loop.py changed",
        "torch 2.13.0 → 9", "device cpu → cuda",
    ]  # fmt: skip
    assert compare_identities(old, identify(data={"labels": "x"})) == ["data file labels changed"]
    assert compare_identities(old, identify(data={"other": "x"}, dataset="mnist")) == ["dataset sample → mnist"]


def test_a_record_of_another_run_is_not_promoted(store: Store) -> None:
    identity, different = identify(), identify(batch_size=9)
    workspace = store.make_workspace(identity)
    save_record(workspace / different.key, make_record(different), {})
    with pytest.raises(LrreportError, match=r"the run changed while it was made \(batch_size 9 → None\)"):
        store.promote(workspace, identity)
    shutil.rmtree(workspace / different.key)
    save_record(workspace / identity.key, make_record(different), {})
    with pytest.raises(LrreportError, match=r"the run changed while it was made \(batch_size 9 → None\)"):
        store.promote(workspace, identity)
    assert not store.has(identity)


def test_damage_is_found_and_named(store: Store, keep: Keep) -> None:
    identity, different = identify(), identify(epochs=3)
    folder, beside = keep(identity), keep(different)
    assert store.find_damage(identity) == ""
    shutil.copytree(beside, folder, dirs_exist_ok=True)
    assert store.find_damage(identity) == f"{folder}: holds another run (epochs 2 → 3)"
    (folder / "arrays.npz").write_bytes(b"")
    assert store.find_damage(identity).startswith(f"{folder / 'arrays.npz'}: missing or changed")
    assert [state.status for state in store.inspect([identity, different])] == ["damaged", "fresh"]
    keep(identity)
    assert store.find_damage(identity) == ""


def test_a_run_of_a_newer_version_is_left_alone(store: Store, keep: Keep) -> None:
    path = keep(identify()) / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(
        NewerRecordError, match=r"made by a newer version of lrreport \(schema 99; this version reads 2\); update"
    ):
        store.find_damage(identify())


def test_leftovers_are_cleared_but_not_what_somebody_makes(store: Store) -> None:
    dead, alive = identify(seed=1), identify(seed=2)
    left, working = store.make_workspace(dead), store.make_workspace(alive)
    with hold_lock(store.lock(alive.key)):
        store.clear_leftovers()
        assert not left.exists()
        assert working.exists()
    store.clear_leftovers()
    assert [path.name for path in store.root.iterdir()] == [".locks"]


def test_a_run_in_use_is_not_removed(store: Store, keep: Keep) -> None:
    folder = keep(identify())
    with hold_lock(store.lock(folder.name)):
        assert not store.remove(folder.name)
        assert store.has(identify())
    assert store.remove(folder.name)
    assert not folder.exists()


def test_a_foreign_folder_does_not_stop_a_list(store: Store, keep: Keep) -> None:
    folder = keep(identify())
    (store.root / "mine").mkdir()
    (store.root / "note.txt").write_text("hello")
    runs = list(store.list_runs())
    assert [(run.key, bool(run.records)) for run in runs] == sorted([(folder.name, True), ("mine", False)])
    assert next(run for run in runs if run.records).n_bytes == sum(path.stat().st_size for path in folder.iterdir())


def test_a_clock_that_was_set_back_gives_no_negative_age(store: Store, keep: Keep) -> None:
    folder = keep(identify())
    for path in folder.iterdir():
        os.utime(path, (2**33, 2**33))
    assert [run.age for run in store.list_runs()] == [0.0]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LrreportError) as error:
        make_folder(tmp_path / "file" / "outputs")
    assert str(error.value) == (
        f"{tmp_path}/file/outputs: cannot make this folder (Not a directory); choose another with --outputs"
    )


def change(path: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    """Return what sets the value at a path such as "history.0.at" in a record's contents."""

    def apply(contents: Any) -> None:
        *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
        for part in parents:
            contents = contents[part]
        if last == "DELETE":
            raise AssertionError
        contents[last] = value

    return apply


def nest(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


ODD = [
    ("identity", None), ("identity", {}), ("identity", []), ("identity.seed", "0"), ("identity.seed", 1.5), ("seed", 7),
    ("settings", None), ("settings", {"learning_rate": 0.2}), ("settings.learning_rate", "\ud800"),
    ("status", "odd"), ("status", None), ("status", ["completed"]), ("reason", 3), ("reason", "\ud800"),
    ("metrics", []), ("metrics.val_accuracy", None), ("metrics.val_accuracy.name", "test_loss"),
    ("metrics.val_accuracy.better", "sideways"), ("metrics.val_accuracy.digits", 10**30), ("metrics.val_accuracy.low", 5),
    ("metrics.val_accuracy.margin", -1), ("metrics.val_accuracy.label", "x" * 100_000),
    ("history", {}), ("history.0", None), ("history.0.metric", "val_loss"), ("history.0.axis", "moons"),
    ("history.0.at", [0, 1]), ("history.0.at", [2, 1, 0]), ("history.0.at", ["a", 1, 2]), ("history.0.values", [1, 2, "3a"]),
    ("history.0.values", [True, None, 10**400]), ("final", {"nonsense": 1}), ("final", {"val_accuracy": None}),
    ("final.val_accuracy", [1]), ("arrays", {"../../etc/passwd": "0" * 64}), ("arrays", {"arrays.npz": 3}), ("arrays", []),
    ("facts", None), ("facts", nest(900)), ("description", nest(900)), ("description", 3), ("replicate", -1),
    ("replicate", 10**40), ("kind", "range test"), ("kind", None), ("kind", {}), ("schema_version", "2"),
    ("schema_version", None), ("schema_version", [2]), ("schema_version", 1), ("schema_version", 0), ("extra", 1),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), ODD, ids=[f"{path}-{number}" for number, (path, _) in enumerate(ODD)])
def test_an_odd_record_with_a_valid_digest_is_damage_in_one_line(
    store: Store, keep: Keep, seal: Callable[..., None], path: str, value: Any
) -> None:
    identity = identify()
    folder = keep(identity)
    contents = json.loads((folder / "record.json").read_text())
    change(path, value)(contents)
    seal(folder, contents)
    damage = store.find_damage(identity)
    assert damage.isprintable()
    assert len(damage) < 600
    if path not in ("facts", "description", "identity.seed"):
        assert damage
    for run in store.list_runs():
        assert run.problem.isprintable()
    assert [state.status for state in store.inspect([identity, identify(seed=3)])][1] in ("missing", "stale")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "9" * 5000], ids=["nan", "inf", "huge", "digits"])
def test_a_number_that_is_none_is_damage(store: Store, keep: Keep, number: str) -> None:
    path = keep(identify()) / "record.json"
    path.write_text(path.read_text().replace('"seed": 0', f'"seed": {number}'))
    assert store.find_damage(identify()).startswith(f"{path}: ")


def test_sizes_are_bounded_before_anything_is_read(store: Store, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = keep(identify())
    monkeypatch.setattr("lrreport.record.record.LARGEST_RECORD", 100)
    assert "record.json: larger than" in store.find_damage(identify())
    monkeypatch.setattr("lrreport.record.record.LARGEST_ARRAYS", 100)
    with pytest.raises(LrreportError, match=r"arrays.npz: larger than"):
        load_arrays(folder)


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 1000])
def test_arrays_that_are_none_are_named(store: Store, keep: Keep, content: bytes) -> None:
    folder = keep(identify())
    (folder / "arrays.npz").write_bytes(content)
    with pytest.raises(LrreportError, match=r"arrays.npz: cannot be read"):
        load_arrays(folder, "step_losses")


def test_a_promoted_run_is_read_back(store: Store, keep: Keep) -> None:
    assert load_record(keep(identify())).identity == identify()
    assert store.has(identify())


@pytest.mark.parametrize("failing", range(6))
def test_a_run_whose_files_do_not_reach_the_disk_is_not_promoted(
    store: Store, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Each sync on the way fails once: the error comes out, and the next try succeeds."""
    calls = [0]
    sync = os.fsync

    def fail(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] == failing + 1:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    identity = identify()

    def make() -> None:
        workspace = store.make_workspace(identity)
        try:
            save_record(workspace / identity.key, make_record(identity), {"step_losses": [1.0]})
            store.promote(workspace, identity)
        finally:
            shutil.rmtree(workspace)

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left on device"):
        make()
    make()
    assert store.find_damage(identity) == ""


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    replace_file(path, b"old")
    (tmp_path / f".f.{2**22 + 1}").write_bytes(b"of a process that was killed")
    (tmp_path / ".f.other").write_bytes(b"of somebody")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(OSError, match="Input/output error"):
            replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert sorted(file.name for file in tmp_path.iterdir()) == [".f.other", "f"]
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert math.isfinite(path.stat().st_mtime)


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "[x] *", "study.json"])
def test_names_up_to_the_limit_are_replaced_and_leave_nothing(tmp_path: Path, name: str) -> None:
    replace_file(tmp_path / name, b"old")
    [path] = tmp_path.iterdir()
    left = tmp_path / f"{_name_temporary(name)}.{2**22 + 1}"
    left.write_bytes(b"of a process that was killed")
    replace_file(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"new"
