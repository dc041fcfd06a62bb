"""Publish the report of a study: its files, written together unless they are up to date, its answer and its summary."""

import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from lrreport.errors import FailedError
from lrreport.look_history import list_looks, note_look
from lrreport.record.contents import CONTENTS, Contents
from lrreport.record.files import replace_file
from lrreport.record.record import RECORD
from lrreport.record.store import make_folder
from lrreport.report import freshness
from lrreport.study.study import Study
from lrreport.sweep.execute import LOG, STALL_TIMEOUT, Limits, execute_notebook
from lrreport.sweep.executor import Notify
from lrreport.sweep.worker import skip_address_grammar

STAGING = ".making-"


def publish_report(folder: Path, study: Study, contents: Contents, limits: Limits, notify: Notify) -> str:
    """Write the report on these contents to `folder` unless it is there and up to date, and return its answer."""
    made_from = fingerprint(folder, study, contents)
    answer = freshness.read_answer(folder, made_from)
    if answer is not None:
        return answer
    freshness.break_seal(folder)  # until the end, the folder mixes old and new files
    replace_file(folder / CONTENTS, contents.to_text().encode())
    write_report(folder, limits, notify)
    if (look := freshness.read_look(folder)) is not None:
        note_look(folder, study, contents.runs, look)
    freshness.seal(folder, made_from)
    answer = freshness.read_answer(folder, made_from)
    if answer is None:
        raise FailedError(f"{folder}: the report changed while it was written; repeat the command")
    return answer


def fingerprint(folder: Path, study: Study, contents: Contents) -> str:
    """Return the digest of everything that a report on these contents is made from."""
    records = [folder / run.folder / RECORD for run in contents.runs]
    records += [folder / path / RECORD for path in contents.range_tests.values()]
    earlier, _ = list_looks(folder, study, contents.runs)  # the same look again gives the same report
    return freshness.fingerprint(replace(contents, looks=earlier).to_text(), records)


def read_answer(folder: Path, study: Study, contents: Contents) -> str | None:
    """Return the answer of the report on these contents if it exists and is up to date, else None."""
    try:
        return freshness.read_answer(folder, fingerprint(folder, study, contents))
    except OSError:  # a record was removed meanwhile
        return None


def write_report(folder: Path, limits: Limits, notify: Notify) -> None:
    """Write all files of the report to a staging folder; then move them over the old files, the page last."""
    for left in folder.glob(f"{STAGING}*"):  # left by a killed process, since we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    if sys.stderr.isatty():
        notify("writing the report ...")
    with tempfile.TemporaryDirectory(prefix=STAGING, dir=folder) as made:
        staging = Path(made)
        parameters = {"folder": str(folder), "target": made}
        notebook, limits = freshness.SUMMARY_NOTEBOOK, replace(limits, stall_timeout=STALL_TIMEOUT)
        try:
            execute_notebook(notebook, staging / notebook.name, parameters, limits)
        except FailedError as err:
            raise FailedError(_leave_to_open(folder, staging, str(err))) from err
        skip_address_grammar()
        from lrreport.report.render import render_page

        render_page(folder, staging)
        for path in sorted(staging.iterdir(), key=lambda path: path.name == freshness.PAGE):
            if path.name != LOG and path.is_file():
                path.replace(folder / path.name)


def _leave_to_open(folder: Path, staging: Path, error: str) -> str:
    """Keep the notebook of a failed report, and return the error with its path."""
    failed = folder / "failed"
    make_folder(failed)
    for name in (freshness.SUMMARY_NOTEBOOK.name, LOG):
        if (staging / name).exists():
            shutil.copyfile(staging / name, failed / name)
    return f"the report failed: {error.replace(str(staging), str(failed))}"


def publish_summary(folder: Path, to_stdout: bool) -> None:
    """Print summary.md, and append it to the summary of a GitHub workflow's step if there is a step."""
    from lrreport.report.summary import summary_text

    text = summary_text(folder)
    if to_stdout:
        print(text)
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
