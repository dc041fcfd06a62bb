"""The explorer's data: every recorded value in its place, thinned only where there are too many."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrreport.report import explorer
from lrreport.report.results import Results, load_results


def unpack(data: dict[str, Any]) -> list[dict[str, np.ndarray[Any, Any]]]:
    """The values of each run, read as the page's script reads them."""
    values = np.frombuffer(base64.b64decode(data["values"]), dtype="<f4")
    found, offset = [], 0
    for run in data["runs"]:
        parts = {}
        n_epochs = len(explorer.list_epochs(run["last"], data["every"]))
        for metric in explorer.BY_EPOCH:
            parts[metric] = values[offset : offset + n_epochs]
            offset += n_epochs
        for name in ("step_loss", "lowest", "highest") if data["each"] > 1 else ("step_loss",):
            parts[name] = values[offset : offset + run["n_steps"]]
            offset += run["n_steps"]
        found.append(parts)
    assert offset == len(values)
    return found


@pytest.fixture(scope="module")
def reference() -> Results:
    return load_results()


def test_every_recorded_value_is_there(reference: Results) -> None:
    data = explorer.collect_data(reference)
    assert data["each"] == data["every"] == 1
    assert data["steps_per_epoch"] == [860]
    for run, values in zip(data["runs"], unpack(data), strict=True):
        rate, seed = reference.rates[run["rate"]], data["seeds"][run["seed"]]
        np.testing.assert_array_equal(values["step_loss"], reference.step_losses(rate)[seed])
        for metric in explorer.BY_EPOCH:
            np.testing.assert_allclose(values[metric], reference.curves(rate, metric)[seed], rtol=1e-6)


def test_many_steps_are_binned_and_many_epochs_thinned(
    write_study: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = load_results(write_study(tmp_path / "some", 2, 2, 10))
    monkeypatch.setattr(explorer, "N_VALUES", 100)
    data = explorer.collect_data(results)
    n_steps = sum(len(losses) for rate in results.rates for losses in results.step_losses(rate).values())
    assert data["each"] == -(-3 * n_steps // 100)
    assert data["every"] == 2
    for run, values in zip(data["runs"], unpack(data), strict=True):
        losses = results.step_losses(results.rates[run["rate"]])[data["seeds"][run["seed"]]]
        parts = [losses[start : start + data["each"]] for start in range(0, len(losses), data["each"])]
        np.testing.assert_allclose(values["step_loss"], [part.mean() for part in parts], rtol=1e-5)
        np.testing.assert_array_equal(values["lowest"], [part.min() for part in parts])
        np.testing.assert_array_equal(values["highest"], [part.max() for part in parts])
        assert run["last"] == (5 if run["status"] == "diverged" else 10)
        shown = explorer.list_epochs(run["last"], 2)
        assert shown == ([0, 2, 4, 5] if run["status"] == "diverged" else [0, 2, 4, 6, 8, 10])
        curve = results.curves(results.rates[run["rate"]], "val_loss")[data["seeds"][run["seed"]]]
        np.testing.assert_allclose(values["val_loss"], curve[shown], rtol=1e-6)


def test_no_steps_give_no_bins() -> None:
    assert explorer.bin_steps(np.zeros(0), 4).shape == (3, 0)
    assert explorer.bin_steps(np.arange(3.0), 1).tolist() == [[0, 1, 2]]


def test_what_runs_share_is_kept_once(reference: Results) -> None:
    common, own = explorer.describe_records(reference)
    assert common["batch size"] == "64"
    assert common["hidden sizes"] == "128 × 64"
    assert all("wall seconds" in one for one in own)
    assert not set(common) & {name for one in own for name in one}


def test_the_table_of_runs_has_what_differs_first(reference: Results) -> None:
    table = explorer.tabulate_runs(reference)
    assert list(table.frame.columns[:5]) == ["Learning rate", "Seed", "Status", "Validation accuracy", "Test accuracy"]
    assert list(table.frame.columns[-2:]) != ["Learning rate", "Seed"]
    assert len(table.frame) == len(reference.runs)
    assert table.frame.iloc[0]["Validation accuracy"] == f"{100 * reference.runs.val_accuracy[0]:.2f} %"
    assert set(table.frame["Batch size"]) == {"64"}


def test_text_of_a_record_cannot_end_the_script(reference: Results) -> None:
    rate, record = next(iter(reference.records.items()))
    odd = record.model_copy(update={"facts": {"host": "</script><script>alert(1)</script>"}})
    page = explorer.explore(replace(reference, records=reference.records | {rate: odd}))._repr_html_()
    assert "<script>alert" not in page
    [text] = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    assert json.loads(text)["facts"][0]["host"] == "</script><script>alert(1)</script>"


def test_the_text_counts_what_is_there(reference: Results) -> None:
    assert repr(explorer.explore(reference)) == "[Explorer: 15 runs, 90 epochs and 64,500 steps]"
