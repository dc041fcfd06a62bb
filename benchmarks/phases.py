"""Where the CPU time of a report goes, by process: the command, imports, Papermill, training, notebooks and the summary."""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psutil

from lrreport.project import choose_outputs
from lrreport.record.record import RECORD, load_record
from lrreport.study.load import DEFAULT_STUDY

TICK_SECONDS = 0.05


def measure_phases(study: str, outputs: Path) -> dict[str, float]:
    """Return the core-seconds of a report by phase, and under "wall" the seconds that it took.

    Processes are read 20 times a second, so of each that ends the last twentieth of a second may be missing. Raises
    RuntimeError if the report fails.
    """
    command = [sys.executable, "-P", "-m", "lrreport", "report", study, "--outputs", str(outputs)]
    started = time.monotonic()
    spent: dict[int, tuple[str, float]] = {}  # by process
    with psutil.Popen(command, stdout=-3) as parent:
        while parent.poll() is None:
            for process in [parent, *parent.children(recursive=True)]:
                try:
                    times = process.cpu_times()
                    if process.cmdline():  # else it is ending, and has no name any more
                        spent[process.pid] = _name_phase(process, parent.pid), times.user + times.system
                except psutil.Error:  # it has just ended
                    continue
            time.sleep(TICK_SECONDS)
    if parent.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with exit status {parent.returncode}")
    phases: dict[str, float] = defaultdict(float)
    for phase, seconds in spent.values():
        phases[phase] += seconds
    training = sum(map(_read_training, outputs.glob(f"runs/*/{RECORD}")))
    phases["training"], phases["kernels"] = training, phases["kernels"] - training
    return {**phases, "wall": time.monotonic() - started}


def _name_phase(process: psutil.Process, parent: int) -> str:
    if process.pid == parent:
        return "the command"
    if process.ppid() == parent:
        return "imports, once" if "lrreport.sweep.fork_server" in process.cmdline() else "checks"
    return "kernels" if process.name() == "lrreport-kernel" else "Papermill"


def _read_training(path: Path) -> float:
    """Return the CPU seconds that a run spent in its training steps, without the scores between them."""
    history = load_record(path.parent).history
    return sum(sum(series.values) for series in history if series.metric == "cpu_seconds")


def main() -> int:
    """Measure a report without stored runs, and print its phases."""
    parser = argparse.ArgumentParser(description="Measure where the CPU time of a report goes, training included.")
    parser.add_argument("study", nargs="?", default=str(choose_outputs(None).parent / DEFAULT_STUDY))
    with tempfile.TemporaryDirectory(prefix="lrreport-phases-") as folder:
        phases = measure_phases(parser.parse_args().study, Path(folder))
    wall = phases.pop("wall")
    for phase, seconds in sorted(phases.items(), key=lambda item: -item[1]):
        print(f"{phase:<14} {seconds:6.1f} core-seconds")
    print(f"{'together':<14} {sum(phases.values()):6.1f} core-seconds in {wall:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
