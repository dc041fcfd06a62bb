"""Every measurement, one after the other: a table as they come, then outputs/bench.json and a figure of it."""

import json
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl

from lrreport.bench import growth
from lrreport.bench.commands import measure_commands
from lrreport.bench.loops import measure_loops
from lrreport.bench.measure import Row
from lrreport.bench.studies import measure_studies
from lrreport.provenance import collect_facts
from lrreport.record import replace_file
from lrreport.report.pictures import FAINT, INK, STYLE, Picture, make_axes
from lrreport.study import DEFAULT_STUDY, load_study
from lrreport.sweep.store import make_folder
from lrreport.training.files import verify_files

HEADS = ("what", "beside", "median", "range", "to reach", "")
WIDTHS = (48, 28, 8, 18, 8, 7)
SHORT_IMAGES, SHORT_RUNS = 640, (3, 6)


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
    replace_file(outputs / "bench.svg", draw_bench(rows).to_paper("svg"))
    print(outputs / "bench.json")
    return 0


def _measure_everything(folder: Path, n: int, short: bool) -> Iterator[Row]:
    study = load_study(DEFAULT_STUDY)
    parameters = next(study.runs())
    if short:
        study = growth.make_study([0.001, 0.0001], [0, 1], 1)
    yield from measure_loops(parameters, n, SHORT_IMAGES if short else None)
    yield from measure_studies(study, folder, n, SHORT_IMAGES if short else None)
    yield from measure_commands(study, folder, n)
    yield from growth.measure_growth(folder / "growth", n, SHORT_RUNS if short else growth.N_RUNS)


def _show_line(cells: list[str] | tuple[str, ...]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def draw_bench(rows: list[Row]) -> Picture:
    """Draw how much of what each target allows is used: a point for the median, a line for the range."""
    aimed = [row for row in rows if row.target is not None]
    figure, [axis] = make_axes(height=0.5 + 0.28 * len(aimed))
    with mpl.rc_context(STYLE):
        for place, row in enumerate(reversed(aimed)):
            assert row.target is not None
            used = [row.target / one if row.kind == "faster" else one / row.target for one in row.readings]
            axis.plot([min(used), max(used)], [place, place], color=FAINT.light, linewidth=2)
            axis.plot(statistics.median(used), place, "o", color=INK.light)
        axis.axvline(1, color=INK.light, linewidth=1)
        names = [f"{row.what}, {row.beside}" if row.beside else row.what for row in reversed(aimed)]
        axis.set_yticks(range(len(aimed)), names, fontsize=8)
        axis.set_xscale("log")
        axis.set_xlabel("share of what the target allows (log scale); right of the line it is missed")
    return Picture(figure, "Measurements against their targets, each as the share used of what is allowed.")
