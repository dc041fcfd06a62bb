"""Loading a report's folder: runs by level and seed, each with the study's settings, or a one-line error."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lrreport.errors import LrreportError
from lrreport.record.contents import CONTENTS, Contents, ImportNote, read_contents
from lrreport.report.document import make_document
from lrreport.report.errors_by_class import find_errors
from lrreport.report.load import assess_contents, assess_report, load_report, load_runs_of
from lrreport.testing import write_report_folder


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report_folder(tmp_path_factory.mktemp("drawn") / "made", 3, 3, 4)


@pytest.fixture
def folder(drawn: Path, tmp_path: Path) -> Path:
    shutil.copytree(drawn.parent, tmp_path / "copy")
    return tmp_path / "copy" / "made"


def test_runs_are_loaded_by_level_and_seed(drawn: Path) -> None:
    loaded = load_report(drawn)
    assert set(loaded.kept) == {(level, seed) for level in range(3) for seed in range(3)}
    assert all(run.record.seed == seed for (_, seed), run in loaded.kept.items())
    assert loaded.fresh == loaded.range_tests == {}
    assert not loaded.is_reference


def test_the_workflow_and_the_notebook_assess_the_same(drawn: Path) -> None:
    ours, theirs = assess_report(load_report(drawn)), assess_contents(drawn, read_contents(drawn))
    assert ours.decision.table.equals(theirs.decision.table)


def test_a_folder_without_a_study_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LrreportError, match=r"study\.json: cannot read it \(.*\); run lrreport report to make it"):
        load_report(tmp_path)


def test_a_run_that_is_gone_is_one_line(folder: Path) -> None:
    shutil.rmtree(next((folder.parent / "runs").iterdir()))
    with pytest.raises(
        LrreportError, match=r"record\.json: cannot read the record \(No such file or directory\); make the run again"
    ):
        load_report(folder)


def test_a_run_with_different_settings_is_refused(folder: Path) -> None:
    text = (folder / CONTENTS).read_text()
    (folder / CONTENTS).write_text(text.replace('"epochs": 4', '"epochs": 5', 1))
    with pytest.raises(LrreportError, match=r"a run with epochs 4, not 5; make the run again$"):
        load_report(folder)


def test_a_study_without_runs_is_refused(folder: Path) -> None:
    contents = read_contents(folder)
    (folder / CONTENTS).write_text(type(contents)(contents.study, ()).to_text())
    with pytest.raises(LrreportError, match="no run of this study is there; run lrreport report to make them$"):
        load_report(folder)


def test_errors_by_class_come_from_stored_predictions(drawn: Path) -> None:
    loaded = load_report(drawn)
    assessment = assess_report(loaded)
    errors = find_errors(assessment, loaded.kept)
    assert errors is not None
    assert list(errors.accuracy.index) == list("abcdefghij")
    leader = assessment.decision.leader
    arrays = [
        run.load_arrays("test_labels", "test_predictions") for (level, _), run in loaded.kept.items() if level == leader
    ]
    right = [
        [(of_run["test_predictions"][of_run["test_labels"] == c] == c).mean() for c in range(10)]
        for of_run in arrays
        if of_run
    ]
    assert errors.accuracy[leader].tolist() == pytest.approx(
        [sum(column) / len(column) for column in zip(*right, strict=True)]
    )
    first, second, share = errors.confused[leader]
    a, b = "abcdefghij".index(first), "abcdefghij".index(second)
    swapped = [
        (
            ((of_run["test_labels"] == a) & (of_run["test_predictions"] == b))
            | ((of_run["test_labels"] == b) & (of_run["test_predictions"] == a))
        ).sum()
        for of_run in arrays
        if of_run
    ]
    seen = sum((arrays[-1]["test_labels"] == c).sum() for c in (a, b))
    assert share == pytest.approx(sum(swapped) / len(swapped) / seen)
    assert make_document(loaded, assessment).where_they_err.html.count("<h2") == 1


def test_without_predictions_there_is_no_section_on_errors(drawn: Path) -> None:
    loaded = load_report(drawn)
    assert find_errors(assess_report(loaded), {}) is None


def test_fresh_runs_score_the_choice_and_take_no_part_in_it(drawn: Path) -> None:
    contents = read_contents(drawn)
    chosen = [replace(run, fresh=True) for run in contents.runs if run.level == 1]
    rest = [run for run in contents.runs if run.level != 1]
    loaded = load_runs_of(drawn, Contents(contents.study, (*rest, *chosen)))
    assessment = assess_report(loaded)
    assert assessment.decision.table.n_runs[1] == 0
    values = [run.record.final["test_accuracy"] for run in loaded.fresh.values()]
    text = make_document(loaded, assessment).differences.html
    assert (
        f"On 3 fresh seeds, {contents.study.levels[1].name} reaches {100 * sum(values) / 3:.2f} % test accuracy (95 % interval "
        in text
    )


def test_what_an_import_left_out_is_in_the_report(drawn: Path) -> None:
    contents = replace(
        read_contents(drawn), notes=(ImportNote("excluded", "no <seed>", 3),), failures={"0.1, seed 2": "exit status 1"}
    )
    loaded = load_runs_of(drawn, contents)
    html = make_document(loaded, assess_report(loaded)).settings.html
    assert "no &lt;seed&gt;</td><td>3</td>" in html
    assert "0.1, seed 2: exit status 1" in html
