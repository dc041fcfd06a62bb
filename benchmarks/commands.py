"""What a user waits for at the prompt: help, status, a report with nothing to do, and a report after a change of wording."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Row, take_turns
from benchmarks.studies import call_lrreport
from lrreport.report.freshness import break_seal
from lrreport.study.study import Study

CHECKOUT = Path(__file__).resolve().parents[1]
PROMPT, NOTHING, AGAIN = 0.4, 1.0, 8.0  # seconds
RUNS = 5  # readings of what takes less than a second, for each repetition of the rest


def measure_commands(study: Study, folder: Path, n: int, short: bool = False) -> Iterator[Row]:
    """Yield the rows on commands; `folder` holds a report left by `measure_studies`; the short form takes a reading of each."""
    options = (str(folder / "outputs.toml"), "--name", study.name, "--outputs", str(folder / "outputs"))

    def render_again() -> None:
        break_seal(folder / "outputs" / study.name)
        call_lrreport("report", *options)

    def do_nothing() -> None:
        if Path(sys.executable).is_relative_to(CHECKOUT / ".venv"):
            subprocess.run(["make", "--silent", "setup"], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)
        call_lrreport("report", *options)

    calls = {
        "lrreport --help": (lambda: call_lrreport("--help"), PROMPT),
        "lrreport status": (lambda: call_lrreport("status", *options), PROMPT),
        "make report with nothing to do": (do_nothing, NOTHING),
    }
    for name, (call, target) in calls.items():
        yield Row(name, "", "seconds", tuple(take_turns({name: call}, 1 if short else RUNS * n)[name]), target)
    yield Row("report after a change of wording", "", "seconds", tuple(take_turns({"": render_again}, n)[""]), AGAIN)
