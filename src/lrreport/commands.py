"""The commands on a study other than its report: status, plan, data and PDF."""

import os
from pathlib import Path

from lrreport.errors import LrreportError, as_line
from lrreport.project import resolve_path
from lrreport.study.settings import IMPORT_PATH
from lrreport.study.study import Study
from lrreport.workflow import Workflow


def print_pdf(study: Study, outputs: Path) -> int:
    """Print the report of a study to a PDF beside it, and print its path."""
    from lrreport.print_pdf import print_page
    from lrreport.report import freshness

    print(print_page(Workflow(study, outputs).folder / freshness.PAGE))
    return 0


def print_status(study: Study, outputs: Path) -> int:
    """Print the states of a study's runs, a line per level and state, with reasons."""
    if study.import_ is not None:
        print(as_line(f"{study.where}: its runs are read from logs, so there are none to make"))
        return 0
    work = Workflow(study, outputs)
    runs = work.list_runs()
    states = work.store.inspect([run.identity for run in runs])
    lines: dict[tuple[str, str, str], list[str]] = {}
    for run, state in zip(runs, states, strict=True):
        seeds = [] if run.identity.seed is None else [str(run.identity.seed)]
        lines.setdefault((run.label, state.status, state.reason), []).extend(seeds)
    width = max((len(label) for label, _, _ in lines), default=0)
    for (label, status, reason), seeds in lines.items():
        which = f" ({'seed' if len(seeds) == 1 else 'seeds'} {', '.join(seeds)})" if seeds else ""
        print(f"{label:<{width}}  {status}{which}{f': {reason}' if reason else ''}")
    return 0


def print_plan(study: Study, outputs: Path) -> int:
    """Print how many seeds the study needs until it is decided, and what they cost, from its finished runs."""
    from lrreport.planning import describe_plan
    from lrreport.report.load import load_runs_of

    work = Workflow(study, outputs)
    finished = [run for run in work.list_runs() if run.level is not None and work.store.has(run.identity)]
    if not finished:
        raise LrreportError(f"{study.where}: it has no finished run to plan from; make a pilot with --seeds 0-2")
    print(
        describe_plan(study, load_runs_of(work.store.root, work.describe(finished)))
    )  # the report's folder may not exist
    return 0


def fetch_data(study: Study) -> int:
    """Find, fetch and verify the study's data files, and print where they are."""
    if not study.has_own_loop:
        print(as_line(f"{study.where}: its producer brings its own data, so there is nothing to fetch"))
        return 0
    dataset = study.training_of(study.levels[0]).dataset
    if IMPORT_PATH.match(dataset):
        print(f"{dataset}: made by your own function, so there is nothing to fetch")
        return 0
    from lrreport.training.files import verify_files

    paths = verify_files(dataset)
    print(as_line(f"{dataset}: {len(paths)} files verified in {next(iter(paths.values())).parent}"))
    return 0


def use_data_root(folder: str) -> None:
    """Set the data folder of this process and the kernels that it starts."""
    os.environ["LRREPORT_DATA"] = str(resolve_path(folder))
