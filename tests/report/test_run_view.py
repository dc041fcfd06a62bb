"""Views of a notebook's runs: text stays text, many classes stay readable, nothing changes between calls."""

import numpy as np
import pandas as pd
import pytest

from lrreport.record.provenance import Identity
from lrreport.record.record import RunRecord, declare_metrics, make_series
from lrreport.report import run_view


def make_run(seed: int, n_epochs: int = 3, status: str = "completed") -> RunRecord:
    names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    history = tuple(make_series(name, np.linspace(0.1, 0.9, n_epochs + 1)) for name in names)
    final = dict.fromkeys(names, 0.9) if status == "completed" else {}
    return RunRecord(
        identity=Identity(settings={}, seed=seed), settings={}, seed=seed, status=status, history=history, final=final,
        metrics=declare_metrics(names),
    )  # fmt: skip


def test_runs_are_a_table_with_a_column_for_each_seed() -> None:
    table = run_view.tabulate_runs([make_run(0), make_run(4, 1, "diverged")])
    assert table.columns.tolist() == [0, 4]
    assert table[0].tolist() == ["completed", "3", "0.9000 nats", "90.00 %", "0.9000 nats", "90.00 %"]
    assert table[4].tolist() == ["diverged", "1", "", "", "", ""]


def test_curves_are_drawn_for_each_quantity_that_training_has() -> None:
    view = run_view.draw_seeds([make_run(0), make_run(1, 1, "diverged")], "Two seeds by epoch.")
    assert view.svg.count('id="axes_') == 2
    assert repr(view) == "[Figure: Two seeds by epoch.]"
    data, metadata = view._repr_mimebundle_()
    assert metadata["image/svg+xml"]["alt"] == data["text/plain"][9:-1] == "Two seeds by epoch."


@pytest.mark.parametrize("name", ["$", "$a$", "a$b$c", r"\frac", "$\\x{", "<b>&"])
def test_names_of_classes_are_text(name: str) -> None:
    shares = pd.DataFrame(np.eye(2), index=[name, "b"], columns=[name, "b"])
    assert run_view.draw_confusion(shares, "Confusions.") is not None
    view = run_view.draw_images(np.zeros((2, 8, 8)), [name, f"{name}\n→ b"], "Two images.")
    assert view is not None
    assert view.svg.count("<image") == 2


def test_of_many_classes_the_worst_are_drawn() -> None:
    shares = pd.DataFrame(np.diag(np.linspace(0, 1, 256)))
    view = run_view.draw_confusion(shares, "Confusions.")
    assert view is not None
    assert len(view.svg) < 1_000_000
    assert view.svg.count('id="xtick_') == run_view.MOST_CLASSES


def test_a_class_that_does_not_occur_has_no_number() -> None:
    shares = pd.DataFrame([[1.0, 0.0], [np.nan, np.nan]])
    assert run_view.draw_confusion(shares, "Confusions.") is not None


def test_without_images_or_classes_nothing_is_drawn() -> None:
    assert run_view.draw_images(None, [], "None.") is None
    assert run_view.draw_images(np.zeros((0, 8, 8)), [], "None.") is None
    assert run_view.draw_confusion(pd.DataFrame(), "None.") is None


def test_a_range_is_drawn_alike_wherever_zero_is() -> None:
    rates, losses = np.logspace(-5, 1, 60), np.linspace(2, 1, 60)[None].repeat(2, axis=0)
    losses[:, -1] = np.nan
    for shift in (0, -10, 10):
        view = run_view.draw_range(rates, losses + shift, "Loss by rate.")
        assert view.svg == run_view.draw_range(rates, losses + shift, "Loss by rate.").svg
