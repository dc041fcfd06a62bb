"""Whose report a folder holds."""

from pathlib import Path

import pytest

from lrreport import LrreportError
from lrreport.study import load_study
from lrreport.workflow import OWNER, Workflow


def test_a_report_does_not_replace_that_of_another_study(tmp_path: Path) -> None:
    files = [tmp_path / place / "mine.toml" for place in ("one", "other")]
    for file in files:
        file.parent.mkdir()
        file.write_text('[vary]\nlearning_rate = [0.1]\n[fixed]\ndataset = "sample"\nvalidation_size = 500\n')
    outputs = tmp_path / "outputs"
    (outputs / "mine").mkdir(parents=True)
    (outputs / "mine" / OWNER).write_text(str(files[0]))
    with pytest.raises(LrreportError) as error:
        Workflow(load_study(files[1]), outputs).report()
    assert str(error.value) == (
        f"{outputs / 'mine'}: holds the report of {files[0]}; give this study another name, such as with --name"
    )
    assert not (outputs / "runs").exists()


@pytest.mark.slow
def test_a_study_that_moved_keeps_its_folder(tmp_path: Path) -> None:
    outputs, file = tmp_path / "outputs", tmp_path / "mine.toml"
    fixed = '[fixed]\ndataset = "sample"\nvalidation_size = 500\nepochs = 1\n'
    file.write_text(f"[vary]\nlearning_rate = [0.1]\nseed = [0]\n{fixed}")
    assert Workflow(load_study(file), outputs).report() == 0
    assert (outputs / "mine" / OWNER).read_text() == str(file)
    moved = tmp_path / "moved" / "mine.toml"
    moved.parent.mkdir()
    file.rename(moved)
    assert Workflow(load_study(moved), outputs).report() == 0
    assert (outputs / "mine" / OWNER).read_text() == str(moved)
