"""Execute the committed notebooks again and refresh the reference that they and their checks read.

With --summary only the summary notebook is executed, on the reference as it is: enough for a change of wording, figures or
tables. Either way the page of the reference is written to outputs/reference.html, to look at.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lrreport.project import choose_outputs, find_notebook, find_reference
from lrreport.record.contents import CONTENTS, Contents, RunPlace
from lrreport.record.files import replace_file
from lrreport.record.provenance import RANGE_NOTEBOOK, TRAINING_NOTEBOOK
from lrreport.record.record import ARRAYS, RECORD
from lrreport.report.document import make_document
from lrreport.report.findings_json import describe_document
from lrreport.report.load import assess_report, load_report
from lrreport.report.render import export_html
from lrreport.study.load import DEFAULT_STUDY, load_study
from lrreport.sweep.execute import execute_notebook
from lrreport.workflow import Workflow, find_outputs

KEPT_METADATA = {"tags"}
SUMMARY_NOTEBOOK = "summary.ipynb"


def main() -> int:
    """Make the default study's report, copy its records to the reference, and execute the notebooks at their defaults."""
    if sys.argv[1:] == ["--summary"]:
        return execute([SUMMARY_NOTEBOOK])
    work = Workflow(load_study(DEFAULT_STUDY), find_outputs(None, None))
    status = work.make_report()
    if status != 0:
        return status
    copy_reference(work)
    return execute([TRAINING_NOTEBOOK, RANGE_NOTEBOOK, SUMMARY_NOTEBOOK])


def execute(names: Sequence[str]) -> int:
    """Execute notebooks at their defaults, replacing them; write the page of the reference; return 0."""
    for name in names:
        with TemporaryDirectory() as folder:
            executed = Path(folder) / name
            execute_notebook(find_notebook(name), executed, {})
            replace_file(find_notebook(name), clean_notebook(executed.read_text(encoding="utf-8")).encode())
    loaded = load_report()
    document = make_document(loaded, assess_report(loaded))
    page = choose_outputs(None) / "reference.html"
    html = export_html(find_notebook(SUMMARY_NOTEBOOK), describe_document(document)["title"], document.colophon)
    replace_file(page, html.encode())
    print(page)
    return 0


def copy_reference(work: Workflow) -> None:
    """Replace the reference by the records of a study, without their notebooks."""
    reference = find_reference()
    shutil.rmtree(reference, ignore_errors=True)
    places = []
    for run in work.list_runs():  # the default study has no range test
        assert run.level is not None
        assert run.identity.seed is not None
        target = reference / run.key
        target.mkdir(parents=True)
        for name in (RECORD, ARRAYS):
            shutil.copyfile(work.store.folder(run.identity) / name, target / name)
        places.append(RunPlace(run.level, run.identity.seed, run.key))
    replace_file(reference / CONTENTS, Contents(work.study, tuple(places)).to_text().encode())


def clean_notebook(text: str) -> str:
    """Return a notebook without what changes between executions: times, paths, who executed it."""
    notebook: dict[str, Any] = json.loads(text)
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook["cells"]:
        cell["metadata"] = {key: value for key, value in cell["metadata"].items() if key in KEPT_METADATA and value}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
