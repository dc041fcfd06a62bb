"""The pure part of the explorer's script, data.js, run by Node where it is installed, else in Chromium."""

import itertools
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import lrreport.report.explorer
from lrreport.report.explorer import explore
from lrreport.testing import make_measurements

SOURCE = (Path(lrreport.report.explorer.__file__).parent / "data.js").read_text(encoding="utf-8")
RUN = """
const { source, expression, values } = JSON.parse(INPUT);
const call = new Function(...Object.keys(values), `"use strict";${source}\\nreturn (${expression});`);
const plainly = (key, value) => (ArrayBuffer.isView(value) || value instanceof Set ? [...value] : value instanceof Map ? Object.fromEntries(value) : value);
"""
Evaluate = Callable[..., Any]


@pytest.fixture(scope="module")
def evaluate(request: pytest.FixtureRequest) -> Evaluate:
    """Evaluate an expression among the functions of data.js; NaN comes back as None."""
    node = shutil.which("node")
    page = None if node else request.getfixturevalue("browser").new_page()

    def run(expression: str, **values: Any) -> Any:
        payload = json.dumps({"source": SOURCE, "expression": expression, "values": values})
        if node:
            code = RUN.replace("INPUT", "require('fs').readFileSync(0, 'utf8')")
            code += "process.stdout.write(JSON.stringify(call(...Object.values(values)), plainly) ?? 'null');"
            done = subprocess.run([node, "-e", code], input=payload, capture_output=True, text=True, check=False)
            assert not done.returncode, done.stderr
            return json.loads(done.stdout)
        assert page is not None
        code = (
            RUN.replace("INPUT", "payload")
            + "return JSON.stringify(call(...Object.values(values)), plainly) ?? 'null';"
        )
        return json.loads(page.evaluate(f"payload => {{ {code} }}", payload))

    return run


CURVES = {0.1: [[2.3, 1.0, 0.5, 0.4], [2.2, 1.1, 9.0]], 0.01: [[2.3, 1.5, 1.0, 0.8], [2.4, 1.6, 1.1, 0.9]]}


def make_data(**options: Any) -> dict[str, Any]:
    scores = {0.1: [0.8, None], 0.01: [0.7, 0.75]}
    options = {"statuses": {(0, 1): "diverged"}} | options
    return explore(make_measurements(scores, curves={"val_loss": CURVES}, **options)).data


SCENE = """(() => {
  const study = unpack(data);
  const state = { ...makeState(study), ...change };
  return makeScene(study, state, listVisible(study, state, null));
})()"""


# Lines


def test_runs_are_lines_without_the_untrained_network(evaluate: Evaluate) -> None:
    scene = evaluate(SCENE, data=make_data(), change={"metric": 1, "x": "epoch", "lines": "runs"})
    assert [line["name"] for line in scene["lines"]] == ["0.1, seed 0", "0.1, seed 1", "0.01, seed 0", "0.01, seed 1"]
    assert scene["lines"][1]["x"] == [1, 2]
    assert scene["lines"][1]["y"] == pytest.approx([1.1, 9.0])
    assert [(point["x"], point["y"]) for point in scene["lines"][1]["breaks"]] == [(2, 9.0)]
    whole = evaluate(SCENE, data=make_data(), change={"metric": 1, "x": "epoch", "lines": "runs", "start": True})
    assert whole["lines"][0]["x"] == [0, 1, 2, 3]


def test_means_say_how_many_runs_are_left_and_where_a_run_broke(evaluate: Evaluate) -> None:
    scene = evaluate(SCENE, data=make_data(), change={"metric": 1, "x": "epoch", "lines": "range"})
    first = scene["lines"][0]
    assert first["n"] == [2, 2, 1]
    assert first["y"] == pytest.approx([1.05, 4.75, 0.4])
    assert first["low"] == pytest.approx([1.0, 0.5, 0.4])
    assert first["high"] == pytest.approx([1.1, 9.0, 0.4])
    assert [(point["x"], point["y"]) for point in first["breaks"]] == [(2, 9.0)]


def test_bands_are_intervals_of_student(evaluate: Evaluate) -> None:
    curves = np.random.default_rng(0).random((7, 4))
    data = explore(make_measurements(metric="val_loss", curves={"val_loss": {0.1: curves.tolist()}}, first=1)).data
    [line] = evaluate(SCENE, data=data, change={"lines": "mean"})["lines"]
    low, high = stats.t.interval(0.95, 6, curves.mean(0), stats.sem(curves))
    assert line["low"] == pytest.approx(low, rel=1e-4)
    assert line["high"] == pytest.approx(high, rel=1e-4)


def test_a_single_run_has_no_band(evaluate: Evaluate) -> None:
    data = explore(make_measurements(metric="val_loss", curves={"val_loss": {0.1: [[1.0, 0.5]]}}, first=1)).data
    [line] = evaluate(SCENE, data=data, change={"lines": "mean"})["lines"]
    assert line["low"] is None


def test_curves_at_unequal_positions_are_averaged_along_straight_lines(evaluate: Evaluate) -> None:
    lines = [{"x": [0, 2, 4], "y": [0, 2, 4]}, {"x": [1, 3], "y": [10, 30]}]
    mean = evaluate("averageLines({ t: [12.7] }, lines, 'range')", lines=lines)
    assert mean["x"] == [0, 1, 2, 3, 4]
    assert mean["y"] == pytest.approx([0, 5.5, 11, 16.5, 4])
    assert mean["n"] == [1, 2, 2, 2, 1]
    assert mean["shared"] is False


def test_differences_are_taken_seed_by_seed(evaluate: Evaluate) -> None:
    scene = evaluate(SCENE, data=make_data(), change={"metric": 1, "x": "epoch", "lines": "runs", "base": 1})
    assert [line["level"] for line in scene["lines"]] == [0, 0]
    assert scene["lines"][0]["y"] == pytest.approx([1.0 - 1.5, 0.5 - 1.0, 0.4 - 0.8])
    assert scene["lines"][1]["y"] == pytest.approx([1.1 - 1.6, 9.0 - 1.1])


def test_differences_of_unpaired_runs_are_from_the_mean_with_an_interval_of_welch(evaluate: Evaluate) -> None:
    rng = np.random.default_rng(1)
    values, base = rng.random((4, 3)), rng.normal(2, 3, (6, 3))
    curves = {"val_loss": {0.1: values.tolist(), 0.01: base.tolist()}}
    data = explore(make_measurements(metric="val_loss", curves=curves, first=1, paired=False)).data
    [line] = evaluate(SCENE, data=data, change={"lines": "mean", "base": 1})["lines"]
    limits = stats.ttest_ind(values, base, equal_var=False).confidence_interval()
    assert line["y"] == pytest.approx(values.mean(0) - base.mean(0), rel=1e-5)
    assert line["low"] == pytest.approx(limits.low, rel=0.01)
    assert line["high"] == pytest.approx(limits.high, rel=0.01)


def test_the_view_by_level(evaluate: Evaluate) -> None:
    scene = evaluate(SCENE, data=make_data(), change={"x": "level", "lines": "range"})
    [line] = scene["lines"]
    assert line["levels"] == [1, 0]
    assert line["x"] == pytest.approx([0.01, 0.1])
    assert line["y"] == pytest.approx([0.725, 0.8])
    assert (line["low"][0], line["high"][0]) == pytest.approx((0.7, 0.75))
    assert len(scene["points"]) == 3
    assert [len(runs) for runs in scene["failures"].values()] == [1]
    base = evaluate(SCENE, data=make_data(), change={"x": "level", "base": 1})
    assert [point["y"] for point in base["points"]] == pytest.approx([0.1])


def test_two_factors_give_a_series_for_each_value_of_the_second(evaluate: Evaluate) -> None:
    scores = {(rate, batch): [rate + batch / 100] for rate in (0.1, 0.2) for batch in (16, 64)}
    data = explore(make_measurements(scores, factors=("learning_rate", "batch_size"))).data
    scene = evaluate(SCENE, data=data, change={"x": "level"})
    assert [line["name"] for line in scene["lines"]] == ["batch size 16", "batch size 64"]
    assert scene["lines"][1]["y"] == pytest.approx([0.74, 0.84])


def test_hidden_values_and_the_filter_leave_runs_out(evaluate: Evaluate) -> None:
    expression = "(() => { const s = unpack(data); return listVisible(s, { hidden: [new Set([0]), new Set([1])] }, matching && new Set(matching)).map(run => run.index); })()"
    assert evaluate(expression, data=make_data(), matching=None) == [2]
    assert evaluate(expression, data=make_data(), matching=[3]) == []


# Smoothing, ticks and numbers


def test_smoothing_is_an_unbiased_moving_average(evaluate: Evaluate) -> None:
    values = [3.0, 1.0, None, 2.0]
    expected = np.average([3.0, 1.0, 2.0], weights=[0.125, 0.25, 0.5])
    smoothed = evaluate("smooth(values.map(v => v === null ? NaN : v), 0.5)", values=values)
    assert smoothed[0] == 3.0
    assert smoothed[2] is None
    assert smoothed[3] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "options", "labels"),
    [
        (0.43, 0.61, {}, ["0.45", "0.50", "0.55", "0.60"]),
        (0.8, 0.88, {"scale": "fraction"}, ["80", "82", "84", "86", "88"]),
        (-0.02, 0.011, {"scale": "fraction"}, ["−2.0", "−1.5", "−1.0", "−0.5", "0.0", "0.5", "1.0"]),
        (0, 4300, {}, ["0", "1,000", "2,000", "3,000", "4,000"]),
    ],
)
def test_ticks_have_the_same_decimals(
    evaluate: Evaluate, low: float, high: float, options: dict[str, Any], labels: list[str]
) -> None:
    ticks = evaluate("formatTicks(listTicks(low, high, 7), options)", low=low, high=high, options=options)
    assert ticks == labels


def test_whole_epochs_have_no_ticks_between(evaluate: Evaluate) -> None:
    assert evaluate("listTicks(0, 3, 10, 1)") == [0, 1, 2, 3]


@pytest.mark.parametrize(("low", "high", "expected"), [(1e-5, 1, 6), (0.3, 0.9, 2), (0.012, 0.014, 2), (1, 1e12, 2)])
def test_log_axes_have_ticks(evaluate: Evaluate, low: float, high: float, expected: int) -> None:
    ticks = evaluate("listLogTicks(low, high, 7)", low=low, high=high)
    assert expected <= len(ticks) <= 8
    assert all(low * 0.999 <= tick <= high * 1.001 for tick in ticks)


def test_values_are_written_as_python_writes_them(evaluate: Evaluate) -> None:
    measurements = make_measurements({0.1: [0.8]}, curves={"val_loss": {0.1: [[1.0]]}})
    metrics = explore(measurements).data["metrics"]
    values = [0.30214, -0.00001, 12.5, 123.456, 98765.4]
    texts = evaluate("metrics.map(m => values.map(v => [formatValue(m, v), formatDifference(m, v)]))", metrics=metrics, values=values)  # fmt: skip
    for metric, column in zip(measurements.metrics.values(), texts, strict=True):
        assert column == [[metric.format(value), metric.format_difference(value)] for value in values]


def test_the_factor_of_an_interval(evaluate: Evaluate) -> None:
    table = explore(make_measurements({0.1: [0.8] * 12})).data["t"]
    for df in (1, 4, 2.5, 7.3, 30, 400):
        assert evaluate("findT(t, df)", t=table, df=df) == pytest.approx(stats.t.ppf(0.975, df), rel=0.03)


# What part is shown


def test_the_domain_leaves_out_a_loss_that_exploded(evaluate: Evaluate) -> None:
    scene = {"kind": "curves", "points": [], "x": {}, "lines": [{"x": [1, 2, 3], "y": [2, 1, 1e6]}]}
    expression = "findDomain(scene, { log, base: -1 }, { better: 'lower' })"
    domain = evaluate(expression, scene=scene, log=False)
    assert domain["cut"]
    assert domain["limit"] == 3
    assert 3 < domain["top"] < 3.2
    assert evaluate(expression, scene=scene, log=True)["top"] > 1e6
    assert evaluate(expression, scene={**scene, "lines": []}, log=False) is None
    assert evaluate(expression, scene={**scene, "lines": [{"x": [1], "y": [-1]}]}, log=True) is None


def test_zoom_has_an_end_and_stays_inside(evaluate: Evaluate) -> None:
    domain = {"left": 0, "right": 10, "bottom": 0, "top": 1}
    code = """(() => { let view = domain; for (let i = 0; i < n; i += 1) view = zoomView(view, domain, { x: factor, y: 1 }, { x: 9, y: 0.5 }, { x: false, y: false }) || domain; return view; })()"""
    near = evaluate(code, domain=domain, n=60, factor=0.5)
    assert near["right"] - near["left"] == pytest.approx(10e-4)
    assert near["left"] <= 9 <= near["right"]
    assert evaluate(code, domain=domain, n=3, factor=2) == domain
    assert evaluate("zoomView(domain, domain, { x: 2, y: 2 }, { x: 5, y: 0.5 }, {})", domain=domain) is None
    assert evaluate("moveSpan([2, 4], [0, 10], 100)") == [8, 10]
    assert evaluate("moveSpan([2, 4], [0, 10], -100)") == [0, 2]


def test_many_points_become_few_pixels_that_keep_every_extreme(evaluate: Evaluate) -> None:
    values = np.sin(np.arange(20_000) / 50).tolist()
    values[7_777] = 9.0
    view = {"left": 0, "right": 19_999}
    code = "tracePixels(ys.map((_, i) => i), ys, x => x / 40, y => y, view, 500)"
    pixels = np.array(evaluate(code, ys=values, view=view)).reshape(-1, 2)
    assert len(pixels) <= 4 * 504
    assert pixels[:, 1].max() == 9.0
    few = evaluate(code, ys=values, view={"left": 100, "right": 110})
    assert len(few) == 2 * 13  # those in view and a point on either side


def test_a_gap_splits_a_band(evaluate: Evaluate) -> None:
    line = {"x": [0, 1, 2, 3, 4], "low": [0, 0, None, 0, 0], "high": [1, 1, None, 1, 1]}
    code = "traceBand({ x: line.x, low: line.low.map(v => v ?? NaN), high: line.high.map(v => v ?? NaN) }, x => x, y => y, { left: 0, right: 4 }, 100)"
    assert evaluate(code, line=line) == [[0, 1, 1, 1, 1, 0, 0, 0], [3, 1, 4, 1, 4, 0, 3, 0]]


def test_lines_drawn_pixel_by_pixel_are_connected(evaluate: Evaluate) -> None:
    code = "(() => { const image = new Uint32Array(80); rasterLine(image, 10, 8, [1, 1, 4, 6, 8, 2], 7, 1, { left: 0, right: 9, top: 0, bottom: 7 }); return image; })()"
    image = np.array(evaluate(code)).reshape(8, 10) > 0
    assert image[:, 1:8].any(axis=0).all()
    rows = [np.flatnonzero(image[:, column]) for column in range(1, 8)]
    assert all(min(abs(a - b) for a in left for b in right) <= 1 for left, right in itertools.pairwise(rows))
    assert evaluate("packColor('#102030')") == 0xFF302010


def test_the_nearest_position(evaluate: Evaluate) -> None:
    assert [evaluate("findNearest([1, 2, 5], x)", x=x) for x in (-3, 1.4, 1.6, 4, 99)] == [0, 0, 1, 2, 2]
    assert evaluate("findNearest([3], 9)") == 0


# The filter

COLUMNS = ["Learning rate", "Seed", "Status", "Validation accuracy", "Test accuracy", "Batch size"]
ROWS = [
    ["0.001", "0", "completed", "87.22 %", "86.78 %", "1,024"],
    ["0.001", "1", "completed", "86.10 %", "87.50 %", "1,024"],
    ["0.0001", "0", "completed", "85.58 %", "84.42 %", "1,024"],
    ["0.1", "0", "diverged", "–", "–", "1,024"],
]
FIND = "(() => { const filter = parseFilter(text, columns, 3); return { rows: rows.flatMap((row, i) => filter.matches(row) ? [i] : []), problems: filter.problems, readings: filter.readings }; })()"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 1, 2, 3]),
        ("accuracy > 87", [0]),
        ("test accuracy > 87", [1]),
        ("accuracy > 87 %", [0]),
        ("accuracy ≥ 86.1 and test accuracy<87", [0]),
        ("rate 0.001", [0, 1]),
        ("0.001", [0, 1]),
        ("learning_rate = 0.0001", [2]),
        ("rate 1e-3", [0, 1]),
        ("status diverged", [3]),
        ("diverged", [3]),
        ("status != completed", [3]),
        ("completed, seed 0", [0, 2]),
        ("status diverged or accuracy > 87", [0, 3]),
        ("batch size = 1024", [0, 1, 2, 3]),
        ("batch size = 1,024", [0, 1, 2, 3]),
        ("nothing of this kind", []),
    ],
)
def test_filters(evaluate: Evaluate, text: str, expected: list[int]) -> None:
    result = evaluate(FIND, text=text, columns=COLUMNS, rows=ROWS)
    assert result["rows"] == expected
    assert result["problems"] == []


def test_a_filter_says_how_it_was_read_and_what_it_could_not_read(evaluate: Evaluate) -> None:
    assert evaluate(FIND, text="accuracy > 87", columns=COLUMNS, rows=ROWS)["readings"] == ["validation accuracy"]
    unknown = evaluate(FIND, text="perplexity > 3", columns=COLUMNS, rows=ROWS)
    assert unknown["rows"] == [0, 1, 2, 3]
    assert unknown["problems"] == [
        "No column is called “perplexity”. Columns: learning rate, seed, status, validation accuracy, test accuracy, batch size."
    ]
    assert evaluate(FIND, text="accuracy >", columns=COLUMNS, rows=ROWS)["problems"] == ["Write a value after “>”."]
    assert evaluate(FIND, text="> 3", columns=COLUMNS, rows=ROWS)["problems"] == ["Name a column before “>”."]
    assert evaluate(FIND, text="seed > x", columns=COLUMNS, rows=ROWS)["problems"] == ["“x” is not a number."]


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_the_example_of_the_filter_finds_some_runs(evaluate: Evaluate, better: str) -> None:
    example = evaluate("suggestFilter(columns, rows, 3, better)", columns=COLUMNS, rows=ROWS, better=better)
    shown = evaluate(FIND, text=example, columns=COLUMNS, rows=ROWS)["rows"]
    assert 0 < len(shown) < len(ROWS)
    equal = [[*row[:3], "87.00 %", *row[4:]] for row in ROWS]
    example = evaluate("suggestFilter(columns, rows, 3, better)", columns=COLUMNS, rows=equal, better=better)
    assert evaluate(FIND, text=example, columns=COLUMNS, rows=equal)["rows"]


def test_rows_are_sorted_by_number_with_missing_values_last(evaluate: Evaluate) -> None:
    assert evaluate("sortRows(rows, 3, false)", rows=ROWS) == [2, 1, 0, 3]
    assert evaluate("sortRows(rows, 3, true)", rows=ROWS) == [0, 1, 2, 3]
    assert evaluate("sortRows(rows, 2, true)", rows=ROWS) == [3, 0, 1, 2]


# Downloads and the link


def test_csv_is_quoted_where_it_must_be(evaluate: Evaluate) -> None:
    csv = evaluate("writeCsv([['a,b', 'say \"x\"', 0.1 + 0.2, NaN, null]])")
    assert csv == '"a,b","say ""x""",0.3,,\r\n'


def test_points_are_listed_as_they_were_recorded(evaluate: Evaluate) -> None:
    code = """(() => { const study = unpack(data); const state = { ...makeState(study), metric: 1, x: 'epoch', lines };
      return listPointRows(study, state, makeScene(study, state, study.runs)); })()"""
    rows = evaluate(code, data=make_data(), lines="runs")
    assert rows[0] == ["level", "seed", "epoch", "val_loss"]
    assert rows[1][:3] == ["0.1", "0", 1]
    assert len(rows) == 1 + 3 + 2 + 3 + 3
    means = evaluate(code, data=make_data(), lines="mean")
    assert means[0] == ["level", "n_runs", "epoch", "val_loss", "low_95", "high_95"]
    assert means[3][:3] == ["0.1", 1, 3]


def test_the_state_survives_its_text(evaluate: Evaluate) -> None:
    code = """(() => { const study = unpack(data); const state = { ...makeState(study), metric: 1, x: 'epoch', lines: 'runs', log: true,
      start: true, smoothing: 0.5, hidden: [new Set([0]), new Set([1])], filter: 'status diverged & <b>', sort: { column: 2, descending: true },
      zoom: { left: 1, right: 2, bottom: 0.25, top: 3 } };
      const text = encodeState(study, state); return [state, decodeState(study, text), text]; })()"""
    state, back, text = evaluate(code, data=make_data())
    assert back == state
    assert " " not in text
    assert (
        evaluate("(() => { const s = unpack(data); return encodeState(s, makeState(s)); })()", data=make_data()) == ""
    )


@pytest.mark.parametrize(
    "text", ["metric=none&x=weeks&base=77&lines=x", "zoom=3_1_0_0", "hide0=9.x&sort=zz&smoothing=nan", "only1="]
)
def test_a_damaged_link_is_harmless(evaluate: Evaluate, text: str) -> None:
    code = "(() => { const s = unpack(data); const state = decodeState(s, text); makeScene(s, state, listVisible(s, state, null)); return state; })()"
    state = evaluate(code, data=make_data(), text=text)
    assert state["zoom"] is None
    assert state["base"] == -1
    assert state["smoothing"] == 0


def test_the_note_says_what_is_drawn(evaluate: Evaluate) -> None:
    code = """(() => { const study = unpack(data); const state = { ...makeState(study), metric: 1, x: 'epoch', ...change };
      const scene = makeScene(study, state, study.runs);
      return describeScene(study, state, scene, findDomain(scene, state, study.metrics[1]), { runs: 4, points: 11 }).join(' '); })()"""
    assert evaluate(code, data=make_data(), change={"lines": "mean"}) == (
        "Lines are means over 2 runs; bands are 95 % intervals of the mean (Student’s t). 11 recorded points. The untrained "
        "network is left out. 1 run diverged where a × stands (0.1: 1 of 2); beyond it the mean is of the runs left. "
        "Values above 2.3250 nats are cut off; the log scale shows them."
    )
    assert evaluate(code, data=make_data(), change={"lines": "runs", "start": True, "log": True}) == (
        "11 recorded points. 1 run diverged where a × stands."
    )
    assert "Differences from 0.01, taken seed by seed." in evaluate(code, data=make_data(), change={"base": 1})


def test_a_run_that_breaks_off_far_above_does_not_flatten_the_rest(evaluate: Evaluate) -> None:
    whole = {"x": [1, 2, 3], "y": [2.0, 1.0, 0.5], "low": None, "high": None}
    broken = {"x": [1, 2, 3], "y": [7e10, 9e10, None], "low": None, "high": None}
    expression = (
        "findDomain({ kind: 'curves', lines, points: [], x: {} }, { log: false, base: -1 }, { better: 'lower' })"
    )
    domain = evaluate(expression, lines=[broken, whole])
    assert domain["cut"]
    assert domain["limit"] == 3.0
    assert domain["top"] < 4
    alone = evaluate(expression, lines=[broken])
    assert alone["top"] > 9e10
