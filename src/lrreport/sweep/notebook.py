"""Producer that executes the user's notebook, once for the seeds of a level or once per seed."""

import ast
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lrreport.errors import LrreportError
from lrreport.record.provenance import (
    Identity,
    digest_text,
    digest_user_code,
    is_user_module,
    list_imports,
    parse_source,
    read_user_code,
)
from lrreport.sweep.execute import Limits, execute_notebook
from lrreport.sweep.lines import VARIABLE
from lrreport.sweep.notebook_cells import list_parameters, read_cells
from lrreport.sweep.producer import Run
from lrreport.sweep.record_log import Expected
from lrreport.sweep.recorder import make_logged
from lrreport.sweep.values import name_settings


@dataclass(frozen=True)
class NotebookProducer:
    """Makes the runs of a level with a notebook whose parameters cell has `seeds` or `seed`."""

    notebook: Path
    settings: Mapping[str, Any]
    expected: Expected

    def __post_init__(self) -> None:
        if not {"seed", "seeds"} & set(list_parameters(self.notebook)):
            raise LrreportError(
                f"{self.notebook}: no parameter seed or seeds; tag a cell with parameters, and give it seed = 0 or seeds = [0]"
            )

    @property
    def most_seeds(self) -> int | None:
        """1, or None (unlimited) if the notebook has the parameter `seeds`."""
        return None if "seeds" in list_parameters(self.notebook) else 1

    @property
    def start_cost(self) -> float:
        """A guess: the start of a kernel relative to a training of unknown length."""
        return 0.5

    @property
    def dataset(self) -> None:
        """None: the notebook finds its data itself."""

    def identify(self, seeds: Sequence[int]) -> list[Identity]:
        """Return the identity of the run of each seed."""
        shared: dict[str, Any] = {"producer": self.digest(), "versions": {"Python": platform.python_version()}}
        return [Identity(settings=dict(self.settings), seed=seed, **shared) for seed in seeds]

    def check(self, varied: Sequence[str]) -> None:
        """Raise LrreportError for a setting that the study varies and the notebook does not have as a parameter."""
        known = list_parameters(self.notebook)
        for name in varied:
            if name.rpartition(".")[2] not in known:
                raise LrreportError(
                    f"{self.notebook}: no parameter {name.rpartition('.')[2]}, which the study varies; its parameters are "
                    f"{', '.join(known)}"
                )

    def digest(self) -> dict[str, str]:
        """Return the digests of the notebook's code and of the modules beside it that it imports."""
        sources = [cell["source"] for cell in read_cells(self.notebook) if cell["cell_type"] == "code"]
        digests = {"notebook": digest_text("\n".join(map(_strip_comments, sources)))}
        return digests | digest_user_code(self._list_imports(), self.notebook.parent)

    def _list_imports(self) -> list[str]:
        """Return the modules of the user's that the notebook imports; a cell with magics is read without them."""
        names: list[str] = []
        for cell in read_cells(self.notebook):
            if cell["cell_type"] == "code":
                lines = [line for line in cell["source"].splitlines() if not line.lstrip().startswith(("%", "!"))]
                try:
                    names += list_imports(parse_source("\n".join(lines)), "")
                except (SyntaxError, ValueError):
                    continue
        return [name for name in names if is_user_module(name, self.notebook.parent)]

    def make(self, runs: Sequence[Run], workspace: Path, limits: Limits) -> Mapping[str, str]:
        """Execute the notebook for these seeds, and again for the seeds after a failed run."""
        return make_logged(runs, workspace, limits, self.expected, self._start)

    def _start(self, runs: Sequence[Run], log: Path, limits: Limits) -> None:
        known = list_parameters(self.notebook)
        parameters = {name: value for name, value in name_settings(self.settings).items() if name in known}
        seeds = [run.identity.seed for run in runs]
        parameters |= {"seeds": seeds} if "seeds" in known else {"seed": seeds[0]}
        stem = self.notebook.stem
        output = log.with_name(f"{stem}.ipynb")
        if output.exists():  # of a start that failed, to be opened by the user
            output = log.with_name(f"{stem}-from-seed-{seeds[0]}.ipynb")
        environment = {VARIABLE: str(log)}
        execute_notebook(self.notebook, output, parameters, limits, environment, self.notebook.parent, [log])

    def collect_files(self) -> dict[str, bytes]:
        """Return the notebook and the modules beside it that it imports, by file name."""
        modules = read_user_code(self._list_imports(), self.notebook.parent)
        return {self.notebook.name: self.notebook.read_bytes(), **modules}

    def relocate(self, folder: Path) -> "NotebookProducer":
        """Return the same producer with the notebook in `folder`."""
        return replace(self, notebook=folder / self.notebook.name)


def _strip_comments(source: str) -> str:
    try:
        return ast.unparse(parse_source(source))
    except (SyntaxError, ValueError):  # magics
        return source
