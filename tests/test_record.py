"""Records: written last and whole, read back equal, refused when they were touched."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrreport import LrreportError
from lrreport.record import RunRecord, load_arrays, load_record, mark_mixed, mark_progress, save_record
from lrreport.report.results import Results


@pytest.fixture
def record(make_results: Callable[..., Results]) -> RunRecord:
    return make_results({0.1: [[(0.5, 0.8)], []]}).records[0.1]


def test_a_saved_record_is_read_back_equal(tmp_path: Path, record: RunRecord) -> None:
    losses = np.arange(5, dtype=np.float32)
    saved = save_record(tmp_path, record, {"step_losses_0": losses})
    assert load_record(tmp_path) == saved
    assert saved.model_copy(update={"arrays": {}}) == record
    np.testing.assert_array_equal(load_arrays(tmp_path)["step_losses_0"], losses)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arrays.npz", "record.json"]


def test_a_run_of_other_versions_stands_for_the_one_asked_for_and_says_so(tmp_path: Path, record: RunRecord) -> None:
    saved = save_record(tmp_path, record, {"step_losses_0": np.zeros(3)})
    asked = record.identity.model_copy(update={"torch": "2.14.0"})
    mark_mixed(tmp_path, asked, "torch 2.13.0, not 2.14.0")
    marked = load_record(tmp_path)
    assert marked.identity == asked
    assert marked.facts == record.facts | {"mixed": "torch 2.13.0, not 2.14.0"}
    assert marked.model_copy(update={"identity": record.identity, "facts": record.facts}) == saved


def test_arrays_that_changed_are_refused(tmp_path: Path, record: RunRecord) -> None:
    save_record(tmp_path, record, {"step_losses_0": np.zeros(3)})
    (tmp_path / "arrays.npz").write_bytes((tmp_path / "arrays.npz").read_bytes()[:-1])
    with pytest.raises(LrreportError) as error:
        load_record(tmp_path)
    assert (
        str(error.value) == f"{tmp_path / 'arrays.npz'}: missing or changed since it was recorded; make the run again"
    )


def test_a_record_of_a_newer_schema_says_so(tmp_path: Path, record: RunRecord) -> None:
    save_record(tmp_path, record, {})
    path = tmp_path / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(LrreportError, match="made by a newer version of lrreport"):
        load_record(tmp_path)


BROKEN = {
    "empty": ("", "cut or not JSON"),
    "cut": ("{", "cut or not JSON"),
    "binary": (b"\xff\xfe\x00\x81", "cut or not JSON"),
    "a list": ("[]", "not a record but a list"),
    "deep": ("[" * 100_000, "cut or not JSON"),
    "nothing of ours": ('{"identity": 3}', "changed since it was recorded"),
    "no number": ('{"identity": NaN}', "changed since it was recorded"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_record_is_named(tmp_path: Path, name: str) -> None:
    text, problem = BROKEN[name]
    (tmp_path / "record.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(LrreportError, match=problem) as error:
        load_record(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'record.json'}: ")
    assert str(error.value).endswith("; make the run again")


def change_accuracy(contents: dict[str, Any]) -> None:
    contents["seeds"][0]["test"]["accuracy"] = 0.99


def drop_epoch(contents: dict[str, Any]) -> None:
    contents["seeds"][0]["epochs"].pop()


def drop_scores(contents: dict[str, Any]) -> None:
    contents["seeds"][0]["test"] = None


def drop_seed(contents: dict[str, Any]) -> None:
    contents["seeds"].pop()


def misspell(contents: dict[str, Any]) -> None:
    contents["sedes"] = contents.pop("seeds")


def shift_epochs(contents: dict[str, Any]) -> None:
    contents["seeds"][0]["epochs"][0]["epoch"] = 7


def break_rate(contents: dict[str, Any]) -> None:
    contents["identity"]["parameters"]["learning_rate"] = -1


def lead_elsewhere(contents: dict[str, Any]) -> None:
    contents["arrays"] = {"../arrays.npz": "0"}


CHANGES = {
    change_accuracy: None,  # valid for who can make a digest
    drop_epoch: "its epochs are not those of its parameters",
    drop_scores: "completed, but without its final scores",
    drop_seed: "its seeds are not those of its parameters",
    misspell: "seeds: Field required",
    shift_epochs: "its epochs are not 0, 1, 2",
    break_rate: "identity.parameters: learning_rate = -1: input should be greater than 0",
    lead_elsewhere: "arrays.../arrays.npz",
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_edited_record_is_refused(
    tmp_path: Path, record: RunRecord, seal: Callable[..., None], change: Callable[[dict[str, Any]], None]
) -> None:
    save_record(tmp_path, record, {})
    path = tmp_path / "record.json"
    contents = json.loads(path.read_text())
    change(contents)
    path.write_text(json.dumps(contents))
    with pytest.raises(LrreportError, match="changed since it was recorded"):
        load_record(tmp_path)
    seal(tmp_path, contents)
    if CHANGES[change] is not None:
        with pytest.raises(LrreportError, match="not a valid record") as error:
            load_record(tmp_path)
        assert str(CHANGES[change]) in str(error.value)
        assert "\n" not in str(error.value)


def test_the_layout_of_a_record_does_not_matter(tmp_path: Path, record: RunRecord) -> None:
    saved = save_record(tmp_path, record, {})
    path = tmp_path / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    assert load_record(tmp_path) == saved


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", allow_pickle=True, losses=np.array([Path("x")], dtype=object))
    with pytest.raises(LrreportError, match=r"arrays\.npz: cannot be read \(Object arrays cannot be loaded"):
        load_arrays(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_arrays_that_cannot_be_read_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "arrays.npz").write_bytes(content)
    with pytest.raises(LrreportError, match=r"arrays\.npz: cannot be read"):
        load_arrays(tmp_path, "rates")


def test_numbers_that_are_not_finite_are_not_recorded() -> None:
    from lrreport.record import Score

    with pytest.raises(ValueError, match="finite"):
        Score(loss=float("nan"), accuracy=0.5)


def test_progress_counts_epochs_and_does_nothing_without_a_folder(tmp_path: Path) -> None:
    note = mark_progress(tmp_path, n_seeds=5)
    note()
    note()
    assert (tmp_path / "progress").stat().st_size == 10
    mark_progress("", n_seeds=5)()
