"""Records: written last and whole, read back equal, refused when they were touched."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lrreport import LrreportError
from lrreport.record import RunRecord, load_arrays, load_record, mark_progress, save_record
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


def test_arrays_that_changed_are_refused(tmp_path: Path, record: RunRecord) -> None:
    save_record(tmp_path, record, {"step_losses_0": np.zeros(3)})
    (tmp_path / "arrays.npz").write_bytes((tmp_path / "arrays.npz").read_bytes()[:-1])
    with pytest.raises(LrreportError) as error:
        load_record(tmp_path)
    assert str(error.value) == f"{tmp_path / 'arrays.npz'}: missing or changed since it was recorded; delete {tmp_path}"


def test_a_record_of_a_newer_schema_says_so(tmp_path: Path, record: RunRecord) -> None:
    save_record(tmp_path, record, {})
    path = tmp_path / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(LrreportError, match="made by a newer version of lrreport"):
        load_record(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"identity": 3}'])
def test_a_broken_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(LrreportError, match=r"record\.json: not a valid record: "):
        load_record(tmp_path)


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
