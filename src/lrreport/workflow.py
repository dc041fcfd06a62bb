"""What each command does, from a study to what is printed; the wings meet here."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from lrreport.provenance import identify
from lrreport.record import RECORD, replace_file
from lrreport.report import freshness
from lrreport.report.formats import format_rate
from lrreport.study import Parameters, RangeParameters, Study
from lrreport.sweep.execute import execute, skip_address_grammar
from lrreport.sweep.run import Run, Sweep
from lrreport.sweep.store import RunState, Store, make_folder
from lrreport.training.files import DIGESTS, verify_files


@dataclass(frozen=True)
class Workflow:
    """A study, and the folder where all that is made of it is kept."""

    study: Study
    outputs: Path

    @property
    def store(self) -> Store:
        """The runs of all studies."""
        return Store(self.outputs / "runs")

    @property
    def folder(self) -> Path:
        """The folder of this study's report."""
        return self.outputs / self.study.name

    @property
    def runs(self) -> list[Run]:
        """The runs of the study, its range test last if it has one."""
        digests, of_range = DIGESTS[self.study.fixed.dataset], self.study.range_parameters()
        wanted: list[Parameters | RangeParameters] = [*self.study.runs(), *([of_range] if of_range else [])]
        return [Run(parameters, identify(parameters, digests)) for parameters in wanted]

    def inspect(self) -> list[RunState]:
        """Return the state of each run of the training notebook."""
        return self.store.inspect([run.identity for run in self.runs if isinstance(run.parameters, Parameters)])

    def report(self, n_jobs: int | None = None, keep_going: bool = False) -> int:
        """Make the missing runs, then the report; print the answer and the page's path. Returns the exit status."""
        runs = self.runs
        make_folder(self.folder)
        if self.has_work():
            verify_files(self.study.fixed.dataset)
        failures = Sweep(self.store, self.folder / "failed").run_all(runs, n_jobs)
        for name, error in failures.items():
            print(f"lrreport: {name} failed: {error}", file=sys.stderr)
        done = [run for run in runs if run.name not in failures]
        if failures and not (keep_going and any(isinstance(run.parameters, Parameters) for run in done)):
            hint = "" if keep_going else "; --keep-going makes a report without them"
            print(f"lrreport: {len(failures)} of {len(runs)} runs failed, the others are kept{hint}", file=sys.stderr)
            return 1
        answer = self._render(done)
        print(answer)
        print(self.folder / freshness.PAGE)
        return 1 if failures else 0

    def has_work(self) -> bool:
        """Return whether a run of the study is not kept yet."""
        return not all(self.store.has(run.identity) for run in self.runs)

    def _render(self, runs: list[Run]) -> str:
        """Make the report from these runs unless it is up to date; return its answer."""
        contents = self.describe(runs)
        made_from = freshness.fingerprint(contents, [self.store.folder(run.identity) / RECORD for run in runs])
        with FileLock(self.folder / ".lock"):  # somebody else may be making the same report
            answer = freshness.read_answer(self.folder, made_from)
            if answer is None:
                (self.folder / freshness.FINGERPRINT).unlink(missing_ok=True)  # what follows is a mixture until it ends
                replace_file(self.folder / freshness.CONTENTS, contents.encode())
                answer = self._write_report()
                replace_file(self.folder / freshness.FINGERPRINT, made_from.encode())
        return answer

    def _write_report(self) -> str:
        """Write all files of the report on what the folder's study.json says, and return its answer."""
        parameters = {"folder": str(self.folder)}
        with ThreadPoolExecutor(1) as pool:
            if sys.stderr.isatty():
                print("Writing the report ...", file=sys.stderr)
            executed = pool.submit(execute, freshness.SUMMARY_NOTEBOOK, self.folder / "summary.ipynb", parameters)
            skip_address_grammar()
            from lrreport.report.render import render_page, write_takeaways  # seconds, in which the kernel starts

            answer = write_takeaways(self.folder)
            executed.result()
        render_page(self.folder)
        return answer

    def describe(self, runs: list[Run]) -> str:
        """Return the text of the folder's study.json: the study, and where each run is relative to it."""
        places = [(run.parameters, f"../runs/{run.identity.key}") for run in runs]
        folders = {one.learning_rate: place for one, place in places if isinstance(one, Parameters)}
        of_range = next((place for one, place in places if isinstance(one, RangeParameters)), None)
        return freshness.describe_contents(self.study, folders, of_range)


def print_pdf(work: Workflow) -> None:
    """Print the report of a study to a PDF beside it, and say where it is."""
    from lrreport.print_pdf import print_page

    print(print_page(work.folder / freshness.PAGE))


def check_published(study: Study) -> None:
    """Raise LrreportError for a published claim of a study file that cannot be asked, before any run is made for it."""
    if study.published is not None:
        from lrreport.report.claims import check_claim

        for claim in study.published.claim:
            check_claim(claim, study.vary.learning_rate)


def print_status(workflow: Workflow) -> int:
    """Print a line for each run of the study: fresh, missing, or stale and why."""
    for state in workflow.inspect():
        reason = f" ({state.reason})" if state.reason else ""
        print(f"{format_rate(state.identity.parameters['learning_rate']):<10} {state.status}{reason}")
    return 0


def fetch_data(study: Study) -> int:
    """Find, fetch and verify the study's data files, and print where they are."""
    paths = verify_files(study.fixed.dataset)
    print(f"{study.fixed.dataset}: {len(paths)} files verified in {next(iter(paths.values())).parent}")
    return 0


def use_data_root(folder: Path) -> None:
    """Let this process and the kernels that it starts keep the data in `folder`."""
    os.environ["LRREPORT_DATA"] = str(folder.resolve())
