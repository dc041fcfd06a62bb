"""Parameters of notebooks, and files that are not notebooks."""

from pathlib import Path

import pytest

from lrreport.errors import LrreportError
from lrreport.sweep.notebook_cells import list_parameters, refuse_unknown_parameters
from tests.sweep.tiny import write_notebook


def test_a_misspelt_parameter_is_refused(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "n.ipynb", "rate: float = 0.1\nname = ''")
    with pytest.raises(LrreportError) as error:
        refuse_unknown_parameters(notebook, {"rates": 1})
    assert str(error.value) == f"{notebook}: no parameter 'rates'; its parameters are rate, name"


def test_what_is_no_notebook_is_named(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    with pytest.raises(
        LrreportError, match=r"n.ipynb: cannot read the notebook \(No such file or directory\); name another notebook$"
    ):
        list_parameters(path)
    for text in ("", "[]", "{}", '{"cells": 3}', '{"cells": [{}]}', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(LrreportError, match=r"n.ipynb: not a notebook of format 4; save it again in Jupyter$"):
            list_parameters(path)
