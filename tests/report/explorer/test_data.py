"""The explorer's data and table: every recorded value at its position, thinned only where there are too many."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lrreport.inference.measurements import Measurements
from lrreport.record.provenance import Identity
from lrreport.record.record import KeptRecord, RunRecord, save_record
from lrreport.report.explorer import curves, explore
from lrreport.report.explorer import data as explorer_data
from lrreport.report.explorer.curves import bin_steps
from lrreport.report.explorer.describe import name_fact
from lrreport.report.explorer.pack import encode
from lrreport.study.metrics import Metric
from lrreport.testing import make_measurements

LOSSES = {0.1: [[2.3, 1.0, 0.5, 0.4], [2.2, 1.1, 9.0]], 0.01: [[2.3, 1.5, 1.0, 0.8], [2.4, 1.6, 1.1, 0.9]]}


def make_study(**options: Any) -> Measurements:
    """Two levels × two seeds; the second seed of the first level diverged at epoch 2."""
    scores = {0.1: [0.8, None], 0.01: [0.7, 0.75]}
    return make_measurements(scores, curves={"val_loss": LOSSES}, statuses={(0, 1): "diverged"}, **options)


def add_rows(measurements: Measurements, rows: list[tuple[Any, ...]], *metrics: Metric) -> Measurements:
    frame = pd.DataFrame(rows, columns=list(measurements.values.columns))
    return replace(
        measurements,
        values=pd.concat([measurements.values, frame], ignore_index=True),
        metrics=measurements.metrics | {metric.name: metric for metric in metrics},
    )


def keep(
    folder: Path, settings: Mapping[str, Any], seed: int, steps: list[float] | None = None, **facts: Any
) -> KeptRecord:
    identity = Identity(settings=dict(settings), seed=seed, producer={"loop.py": "abcdef" * 8})
    record = RunRecord(identity=identity, settings=dict(settings), seed=seed, status="completed", facts=facts)
    (folder / identity.key).mkdir(parents=True)
    arrays = {} if steps is None else {"step_losses": np.array(steps, dtype=np.float32)}
    return KeptRecord(save_record(folder / identity.key, record, arrays), folder / identity.key)


def decode(text: str) -> np.ndarray[Any, Any]:
    return np.frombuffer(base64.b64decode(text), dtype="<f4")


def decode_steps(text: str) -> np.ndarray[Any, Any]:
    parts = np.frombuffer(base64.b64decode(text), dtype="u1").reshape(-1, 3)
    return np.pad(parts, ((0, 0), (1, 0))).view("<f4")[:, 0]


def unpack(data: dict[str, Any]) -> dict[tuple[int, str], tuple[list[Any], np.ndarray[Any, Any]]]:
    """Return (grids per axis, values) of each curve by run and metric, read as the script reads them."""
    streams = {False: decode(data["values"]), True: decode_steps(data["steps"])}
    numbers, offsets, curves = decode(data["places"]), {False: 0, True: 0}, {}
    for run, metric, width, *grids in data["series"]:
        name = data["metrics"][metric]["name"]
        stream = name == "step_loss"
        at = []
        for index in grids:
            grid = data["grids"][index] if index >= 0 else None
            if grid is None:
                at.append(None)
            elif len(grid) == 3:
                at.append([grid[0] + i * grid[1] for i in range(grid[2])])
            else:
                at.append(numbers[grid[0] : grid[0] + grid[1]].tolist())
        n = width * next(len(positions) for positions in at if positions is not None)
        curves[run, name] = (at, streams[stream][offsets[stream] : offsets[stream] + n].reshape(width, -1))
        offsets[stream] += n
    assert all(offsets[stream] == len(values) for stream, values in streams.items())
    return curves


def test_every_recorded_value_is_there() -> None:
    data = explore(make_study()).data
    assert [axis["name"] for axis in data["axes"]] == ["epoch"]
    assert data["runs"] == [[0, 0, "completed"], [0, 1, "diverged"], [1, 0, "completed"], [1, 1, "completed"]]
    curves = unpack(data)
    for run, (level, seed) in enumerate([(0.1, 0), (0.1, 1), (0.01, 0), (0.01, 1)]):
        [at], values = curves[run, "val_loss"]
        assert at == list(range(len(LOSSES[level][seed])))
        np.testing.assert_allclose(values[0], LOSSES[level][seed], rtol=1e-6)
    finals = decode(data["finals"]).reshape(4, 2)
    np.testing.assert_allclose(finals[:, 0], [0.8, np.nan, 0.7, 0.75], rtol=1e-6)
    np.testing.assert_allclose(finals[:, 1], [0.4, np.nan, 0.8, 0.9], rtol=1e-6)  # the last of a finished run's curve


def test_levels_factors_and_metrics_are_described() -> None:
    scores = {(0.1, 16): [0.8], (0.1, 64): [0.7], (0.01, 16): [0.6], (0.01, 64): [0.5]}
    data = explore(make_measurements(scores, factors=("learning_rate", "batch_size"))).data
    assert [level["values"] for level in data["levels"]] == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert data["levels"][1]["name"] == "0.1 with batch size 64"
    rate, batch = data["factors"]
    assert (rate["label"], rate["log"], rate["values"], rate["at"]) == (
        "Learning rate",
        True,
        ["0.1", "0.01"],
        [0.1, 0.01],
    )
    assert batch["names"] == ["batch size 16", "batch size 64"]
    assert len(data["colors"]) == 2
    assert data["metrics"][0]["label"] == "Validation accuracy"
    assert data["series"] == []


def test_named_levels_have_no_position_on_an_axis() -> None:
    [factor] = explore(make_measurements({"adam": [0.8], "sgd": [0.7]}, factors=("optimizer",))).data["factors"]
    assert (factor["values"], factor["at"], factor["log"]) == (["Adam", "SGD"], None, False)


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [([0.0, 2.0, 3.0, 2.5], [0.0, 2.0, 5.0, 7.5]), ([0.0, 2.0, 4.5, 6.0], [0.0, 2.0, 4.5, 6.0])],
)
def test_seconds_are_an_axis(recorded: list[float], expected: list[float]) -> None:
    measurements = make_measurements({0.1: [0.8]}, curves={"val_loss": {0.1: [[2.3, 1.0, 0.5, 0.4]]}})
    metric = Metric(name="cpu_seconds", label="CPU time", split="train", better="lower", unit="s")
    rows = [(0, 0, "cpu_seconds", "epoch", float(at), value) for at, value in enumerate(recorded)]
    data = explore(add_rows(measurements, rows, metric)).data
    assert [axis["name"] for axis in data["axes"]] == ["epoch", "seconds"]
    assert data["axes"][1]["title"] == "CPU time (s)"
    (_, seconds), _ = unpack(data)[0, "val_loss"]
    assert seconds == pytest.approx(expected)
    assert decode(data["finals"])[-1] == pytest.approx(expected[-1])


def test_a_metric_keeps_each_axis_on_which_it_was_recorded() -> None:
    rows = [(0, 0, "val_accuracy", "samples", 1000.0 * at, 0.1 * at) for at in range(3)]
    rows += [(0, 0, "val_accuracy", "seconds", at**2 / 7, 0.1 * at) for at in range(3)]
    data = explore(add_rows(make_measurements({0.1: [0.8]}), rows)).data
    assert [axis["name"] for axis in data["axes"]] == ["samples", "seconds"]
    assert [[grid >= 0 for grid in row[3:]] for row in data["series"]] == [[True, False], [False, True]]


def test_step_losses_come_from_records(tmp_path: Path) -> None:
    steps = {run: np.linspace(2.3, 0.3, 12 if run == (0, 1) else 18) for run in [(0, 0), (0, 1), (1, 0), (1, 1)]}
    records = {run: keep(tmp_path / str(run), {"lr": run[0]}, run[1], losses.tolist()) for run, losses in steps.items()}
    data = explore(make_study(), records).data
    assert data["metrics"][-1]["label"] == "Training loss of each step"
    assert [axis["name"] for axis in data["axes"]] == ["epoch", "step"]
    curves = unpack(data)
    for run, key in enumerate(steps):
        (epochs, at), values = curves[run, "step_loss"]
        assert at == list(range(1, len(steps[key]) + 1))
        np.testing.assert_allclose(epochs, np.arange(1, len(steps[key]) + 1) / 6, rtol=1e-6)  # 18 steps, 3 epochs
        np.testing.assert_allclose(values[0], steps[key], rtol=2**-16)
    (_, at), _ = curves[0, "val_loss"]
    assert at == [0, 6, 12, 18]


def test_many_points_are_thinned_to_every_kth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "N_VALUES", 40)
    curve = np.arange(101) / 100
    measurements = make_measurements(
        metric="val_loss", curves={"val_loss": {0.1: [curve.tolist()] * 2, 0.01: [curve[:30].tolist()]}}
    )
    data = explore(measurements).data
    [every] = data["reduced"]
    assert every == 6  # 18 + 18 points at every 6th of 101; the last always among them
    for (_, name), ([at], values) in unpack(data).items():
        assert name == "val_loss"
        assert set(at[:-1]) == set(range(0, int(at[-1]), every))
        np.testing.assert_allclose(values[0], np.array(at) / 100, rtol=1e-6)
    assert unpack(data)[2, "val_loss"][0][0][-1] == 29


def test_many_steps_are_binned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(explorer_data, "N_STEP_VALUES", 30)
    losses = [2.0, 1.5, 1.7, 1.0, 0.9, 1.2, 0.8, *[0.5] * 50]
    measurements = make_measurements({0.1: [0.8]})
    data = explore(measurements, {(0, 0): keep(tmp_path, {}, 0, losses)}).data
    size = data["reduced"][-1]
    assert size == 6
    (at,), values = unpack(data)[0, "step_loss"]
    parts = [losses[start : start + size] for start in range(0, len(losses), size)]
    np.testing.assert_allclose(values, [[f(part) for part in parts] for f in (np.mean, np.min, np.max)], rtol=2**-16)
    assert at[:2] == [3.5, 9.5]


def test_bins_of_steps() -> None:
    assert bin_steps(np.zeros(0), 4).shape == (3, 0)
    assert bin_steps(np.arange(3.0), 1).tolist() == [[0, 1, 2]]
    assert bin_steps(np.array([1.0, 3.0, 8.0]), 2).tolist() == [[2, 8], [1, 8], [3, 8]]
    assert np.isnan(bin_steps(np.array([1.0, np.nan, 8.0]), 2)[:, 0]).all()


def test_short_floats_are_close_and_keep_gaps() -> None:
    values = np.array([0.0, 1.0, 0.3021, 2.5e-7, 123456.0, np.nan, -0.7])
    decoded = decode_steps(encode(values, n_bytes=3))
    np.testing.assert_allclose(decoded, values, rtol=2**-16)


def test_bytes_are_the_same_each_time_and_hold_no_nan() -> None:
    study = make_study()
    shuffled = replace(study, values=study.values.sample(frac=1, random_state=1), runs=study.runs[::-1])
    page = explore(study)._repr_html_()
    assert explore(study)._repr_html_() == page
    assert explore(shuffled)._repr_html_() == page
    assert "NaN" not in re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)[0]


def test_text_of_a_study_cannot_end_the_script() -> None:
    name = "</script><script>alert(1)</script>"
    page = explore(make_measurements({name: [0.8], "b&<i>": [0.7]}, factors=("optimizer",)))._repr_html_()
    assert "<script>alert" not in page
    assert "<i>" not in page
    [text] = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    assert json.loads(text)["levels"][0]["name"] == name


def test_the_script_is_one_function_without_requests() -> None:
    page = explore(make_study())._repr_html_()
    script = re.findall(r"<script>\n(.*?)</script>", page, re.DOTALL)[0]
    assert script.startswith('(() => {\n"use strict";')
    assert script.endswith("})();\n")
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|https?://(?!www\.w3\.org)", page)


def test_the_table_has_what_varies_and_lists_the_rest_below() -> None:
    explorer = explore(make_study(facts={"host": ["a", "a"], "cpu": ["x", "y"]}))
    shown, body = explorer.table.to_html().split("</thead>")
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)<', shown)
    assert heads == ["Learning rate", "Seed", "Status", "Validation accuracy", "Validation loss", "Last epoch", "CPU"]
    assert explorer.table.constant == {"Host": "a"}
    assert explorer.frame["Validation accuracy"].tolist() == ["80.00 %", "–", "70.00 %", "75.00 %"]
    assert explorer.frame["Last epoch"].tolist() == ["3", "2", "3", "3"]
    assert 'data-metric="val_accuracy" data-unit="%">Validation accuracy<span>, %</span></th>' in shown
    assert "<td>80.00</td>" in body  # the unit stands in the heading alone
    assert "<summary>The same in all runs</summary><p><span><b>Host</b> a</span>.</p>" in body


def test_the_table_has_settings_and_facts_of_records(tmp_path: Path) -> None:
    settings = {"learning_rate": 0.1, "optimizer": {"name": "adam", "betas": [0.9, 0.999]}, "batch_size": 16}
    records = {
        (0, seed): keep(tmp_path / str(seed), settings | {"epochs": 3 + seed}, seed, wall_seconds=1.25 + seed)
        for seed in (0, 1)
    }
    explorer = explore(make_measurements({0.1: [0.8, 0.7]}), records)
    assert explorer.frame["Epochs"].tolist() == ["3", "4"]
    assert explorer.frame["Wall seconds"].tolist() == ["1.25", "2.25"]
    assert explorer.table.constant == {
        "Status": "completed",
        "Optimizer": "adam",
        "Betas": "(0.9, 0.999)",
        "Batch size": "16",
    }
    assert explorer.data["common"]["code of loop.py"] == "abcdefabcdef"
    assert explorer.data["facts"][1] == {"epochs": "4", "wall seconds": "2.25"}


def test_one_run_is_enough() -> None:
    explorer = explore(make_measurements(metric="val_loss", curves={"val_loss": {0.1: [[2.3, 1.0]]}}))
    assert repr(explorer) == "[Explorer: 1 run and 1 metric with curves]"
    assert explorer.table.to_html().count("<tr>") == 2


@pytest.mark.slow
def test_a_thousand_runs_fit() -> None:
    n_levels, n_seeds, n_points = 200, 5, 1000
    study = make_measurements({0.9**i: [0.8] * n_seeds for i in range(n_levels)})
    at = np.arange(1.0, n_points + 1)
    names = ["val_loss", "val_accuracy", "train_loss", "train_accuracy", "test_loss"]
    rows = pd.DataFrame(
        {
            "level": np.repeat(np.arange(n_levels), n_seeds * n_points),
            "seed": np.tile(np.repeat(np.arange(n_seeds), n_points), n_levels),
            "axis": "epoch",
            "at": np.tile(at, n_levels * n_seeds),
            "value": np.random.default_rng(0).random(n_levels * n_seeds * n_points),
        }
    )
    frames = [rows.assign(metric=name) for name in names]
    metrics = {name: study.metrics["val_accuracy"].model_copy(update={"name": name}) for name in names}
    study = replace(study, values=pd.concat([study.values, *frames]), metrics=metrics)
    page = explore(study)._repr_html_()
    assert len(page.encode()) < 3_500_000


def test_facts_have_names_that_a_reader_knows() -> None:
    names = [name_fact(path) for path in ("cpu_seconds", "packages.torch", "wall_seconds", "host")]
    assert names == ["CPU seconds", "version of torch", "wall seconds", "host"]
