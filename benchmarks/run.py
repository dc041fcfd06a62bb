"""Every measurement in sequence: a table as they come, then outputs/bench.json and a figure of it."""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks import growth
from benchmarks.commands import measure_commands
from benchmarks.loops import measure_loops
from benchmarks.measure import Row
from benchmarks.studies import measure_studies
from lrreport.project import choose_outputs
from lrreport.record.files import replace_file
from lrreport.record.provenance import collect_facts
from lrreport.record.store import make_folder
from lrreport.study.load import DEFAULT_STUDY, load_study
from lrreport.study.study import parse_study
from lrreport.training.files import verify_files

HEADS = ("what", "beside", "median", "range", "to reach", "")
WIDTHS = (48, 28, 8, 18, 8, 7)
SHORT_IMAGES, SHORT_RUNS = 640, (5, 10)


def run_bench(outputs: Path, n: int, short: bool) -> int:
    """Measure everything n times over, print it, and write bench.json and bench.svg into `outputs`; returns 0.

    The short form measures little work once, to show that all can be measured; its numbers say nothing.
    """
    make_folder(outputs)
    verify_files("fashion_mnist")
    print(_show_line(HEADS), flush=True)
    rows = []
    with tempfile.TemporaryDirectory(prefix="lrreport-bench-") as folder:
        for row in _measure_everything(Path(folder), 1 if short else n, short):
            rows.append(row)
            print(_show_line(row.describe()), flush=True)
    contents = {"short": short, "machine": collect_facts(), "rows": [row.to_json() for row in rows]}
    replace_file(outputs / "bench.json", (json.dumps(contents, indent=1, ensure_ascii=False) + "\n").encode())
    draw_bench(rows).savefig(outputs / "bench.svg")
    print(outputs / "bench.json")
    return 0


def _measure_everything(folder: Path, n: int, short: bool) -> Iterator[Row]:
    study = load_study(DEFAULT_STUDY)
    training, n_seeds = study.training_of(study.levels[0]), len(study.seeds.initial)
    if short:
        fixed = {"dataset": "sample", "validation_size": 500, "epochs": 1}
        vary = {"learning_rate": [0.001]}
        study = parse_study({"name": "made", "vary": vary, "fixed": fixed, "seeds": [0]}, "short study")
    yield from measure_loops(training, n_seeds, n, SHORT_IMAGES if short else None)
    yield from measure_studies(study, folder, n, SHORT_IMAGES if short else None)
    yield from measure_commands(study, folder, n, short)
    yield from growth.measure_growth(folder / "growth", n, SHORT_RUNS if short else growth.N_RUNS)


def _show_line(cells: list[str] | tuple[str, ...]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def draw_bench(rows: list[Row]) -> Figure:
    """Draw how much of what each target allows is used: a point for the median, a line for the range."""
    aimed = [row for row in reversed(rows) if row.target is not None]
    figure = Figure(figsize=(8, 0.5 + 0.28 * len(aimed)), layout="constrained")
    axis = figure.subplots()
    for height, row in enumerate(aimed):
        assert row.target is not None
        used = [row.target / reading if row.kind == "faster" else reading / row.target for reading in row.readings]
        axis.plot([min(used), max(used)], [height, height], color="0.6", linewidth=2)
        axis.plot(statistics.median(used), height, "o", color="0.1")
    axis.axvline(1, color="0.1", linewidth=1)
    names = [f"{row.what}, {row.beside}" if row.beside else row.what for row in aimed]
    axis.set_yticks(range(len(aimed)), names, fontsize=8)
    axis.set_xscale("log")
    axis.set_xlabel("share of what the target allows (log scale); right of the line it is missed")
    return figure


def main() -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description="Measure how fast lrreport is, beside the plain way to do the same.")
    parser.add_argument(
        "--repetitions", type=int, default=3, metavar="N", help="readings of each (default: %(default)s)"
    )
    parser.add_argument(
        "--short", action="store_true", help="measure little work once, to see that all can be measured"
    )
    parser.add_argument("--outputs", type=Path, default=choose_outputs(None), metavar="DIR")
    parsed = parser.parse_args()
    return run_bench(parsed.outputs.resolve(), parsed.repetitions, parsed.short)


if __name__ == "__main__":
    sys.exit(main())
