"""lrreport's own notebooks as a producer: train.ipynb for the seeds of a level, range_test.ipynb for a range test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lrreport.project import find_notebook
from lrreport.record.provenance import RANGE_NOTEBOOK, TRAINING_NOTEBOOK, Identity, identify, read_user_code
from lrreport.study.settings import RangeSetup, Training
from lrreport.sweep.execute import Limits, execute_notebook
from lrreport.sweep.notebook_cells import list_parameters
from lrreport.sweep.producer import Run


@dataclass(frozen=True)
class BuiltinProducer:
    """Makes the runs of a level, or a range test, with lrreport's training loop.

    `code_folder` is where the user's functions are imported from, `prepared` the key of data that all runs share,
    `notebook` replaces the file that ships with lrreport. `data` are digests by file name.
    """

    setup: Training | RangeSetup
    code_folder: Path | None = None
    prepared: str = ""
    device: str | None = None
    notebook: Path | None = None
    data: Mapping[str, str] = field(default_factory=dict)

    @property
    def most_seeds(self) -> int | None:
        """Unlimited: seeds are trained side by side."""
        return None

    @property
    def start_cost(self) -> float:
        """Relative cost of a start; a further seed of a built-in network costs less than a separate kernel."""
        return 0.25 if "model" in self.setup.import_paths() else 1.0

    @property
    def dataset(self) -> str | None:
        """The dataset, None if a function of the user makes it."""
        return None if "dataset" in self.setup.import_paths() else self.setup.dataset

    @property
    def file_name(self) -> str:
        """The name of the notebook."""
        return TRAINING_NOTEBOOK if isinstance(self.setup, Training) else RANGE_NOTEBOOK

    def identify(self, seeds: Sequence[int]) -> list[Identity]:
        """Return the identity of the run of each seed; a range test is a single run of all of them."""
        return identify(self.setup, seeds, self.data, self.code_folder or "", self.device)

    def make(self, runs: Sequence[Run], workspace: Path, limits: Limits) -> Mapping[str, str]:
        """Execute the notebook once for all seeds; it writes each run to the workspace."""
        notebook = self.notebook or find_notebook(self.file_name)
        seeds = [run.identity.seed for run in runs if run.identity.seed is not None]
        seeds = seeds or list(runs[0].identity.settings["seeds"])
        parameters = self._fill(list_parameters(notebook), seeds, str(workspace))
        execute_notebook(notebook, workspace / self.file_name, parameters, limits)
        return {}

    def _fill(self, names: Sequence[str], seeds: list[int], run_dir: str) -> dict[str, Any]:
        """Return the notebook's parameters: settings by name, and in `settings` those without a parameter."""
        settings = self.setup.model_dump(mode="json", exclude_none=True)
        settings |= {} if self.device is None else {"device": self.device}
        context = {"code_folder": str(self.code_folder or ""), "prepared": self.prepared}
        rest = {name: value for name, value in settings.items() if name not in names}
        named = {name: value for name, value in settings.items() if name in names}
        return {**named, "seeds": seeds, "settings": rest, "run_dir": run_dir, "context": context}

    def collect_files(self) -> dict[str, bytes]:
        """Return the files of the user's functions by their paths in `code_folder`."""
        paths = self.setup.import_paths().values()
        return read_user_code(paths, self.code_folder) if self.code_folder is not None else {}

    def relocate(self, folder: Path) -> "BuiltinProducer":
        """Return the same producer with the user's functions in `folder`, and without data that this machine prepared."""
        return replace(self, code_folder=None if self.code_folder is None else folder, prepared="")
