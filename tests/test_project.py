"""What counts as a checkout of the repository."""

from pathlib import Path

import pytest

from lrreport import project


def test_a_wheel_inside_another_project_is_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lib" / "lrreport"
    package.mkdir(parents=True)
    (tmp_path / "studies").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setattr(project, "PACKAGE", package)
    assert project.find_checkout() == tmp_path
    (package / "notebooks").mkdir()  # which a wheel has
    assert project.find_checkout() is None
    assert project.find_notebook("train.ipynb") == package / "notebooks/train.ipynb"
    assert project.choose_outputs(None) == Path.cwd() / "outputs"


def test_these_tests_run_on_a_checkout(repository: Path) -> None:
    assert project.find_checkout() == repository
