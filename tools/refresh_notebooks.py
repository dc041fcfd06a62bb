"""Execute the committed notebooks again and refresh the reference that they and their checks read."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lrreport.provenance import RANGE_NOTEBOOK, TRAINING_NOTEBOOK
from lrreport.record import ARRAYS, RECORD, replace_file
from lrreport.report.freshness import CONTENTS, SUMMARY_NOTEBOOK, Places, describe_contents
from lrreport.report.results import REFERENCE
from lrreport.settings import Parameters
from lrreport.study import Study
from lrreport.sweep.execute import execute
from lrreport.workflow import Workflow

KEPT_METADATA = {"tags"}


def refresh_notebooks(study: Study, outputs: Path) -> int:
    """Make the study's report, copy its records to the reference, and execute the notebooks at their defaults."""
    work = Workflow(study, outputs)
    status = work.report()
    if status != 0:
        return status
    copy_reference(work)
    for notebook in (TRAINING_NOTEBOOK, RANGE_NOTEBOOK, SUMMARY_NOTEBOOK):
        with TemporaryDirectory() as folder:
            executed = Path(folder) / notebook.name
            execute(notebook, executed, {})
            replace_file(notebook, clean_notebook(executed.read_text(encoding="utf-8")).encode())
    return 0


def copy_reference(work: Workflow) -> None:
    """Replace the reference by the records of a study, without their notebooks."""
    shutil.rmtree(REFERENCE, ignore_errors=True)
    folders = {}
    for run in work.runs:  # the default study has no range test
        assert isinstance(run.parameters, Parameters)
        target = REFERENCE / run.identity.key
        target.mkdir(parents=True)
        for name in (RECORD, ARRAYS):
            shutil.copyfile(work.store.folder(run.identity) / name, target / name)
        folders[run.parameters.learning_rate] = run.identity.key
    replace_file(REFERENCE / CONTENTS, describe_contents(work.study, {None: Places(folders)}).encode())


def clean_notebook(text: str) -> str:
    """Return a notebook without what changes from one execution to the next: times, paths, who executed it."""
    notebook: dict[str, Any] = json.loads(text)
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook["cells"]:
        cell["metadata"] = {key: value for key, value in cell["metadata"].items() if key in KEPT_METADATA and value}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
