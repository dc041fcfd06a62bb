"""Records of runs: what they hold, for classes, numbers, early stopping and divergence; kept and read again."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lrreport.record.record import keep_records, load_runs
from lrreport.training import data, loop, make_record, mistakes

REGRESSION = """
import torch
def load():
    g = torch.Generator().manual_seed(0)
    inputs = torch.randn(400, 5, generator=g)
    targets = inputs[:, :{k}] * 2 + 10
    return inputs[:300], targets[:300], inputs[300:], targets[300:]
"""


def make(training, *seeds: int, folder: str = ""):  # type: ignore[no-untyped-def]
    splits = data.load_splits(training, seeds or (0,), folder)
    fits = loop.fit_seeds(training, splits, code_folder=folder)
    return splits, fits, make_record.make_records(training, splits, fits, folder)


def test_there_is_a_record_for_each_seed_that_says_what_the_fit_says(make_training, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    training = make_training()
    splits, fits, made = make(training, 3, 0)
    sentence = keep_records(str(tmp_path), made)
    assert sentence == f"Kept as {', '.join(record.identity.key for record, _ in made)}."
    for fit, (record, arrays) in zip(fits, made, strict=True):
        [kept] = load_runs(tmp_path / record.identity.key)
        assert kept.record.model_copy(update={"arrays": {}}) == record
        assert (record.seed, record.status, record.reason) == (fit.seed, "completed", "")
        assert record.settings == training.model_dump(mode="json", exclude_none=True)
        assert record.final == fit.final
        curves = {series.metric: series for series in record.history}
        assert curves["val_f1"].at == (0.0, 1.0, 2.0)
        assert list(curves["val_f1"].values) == [row["val_f1"] for row in fit.history]
        assert curves["cpu_seconds"].values == tuple(fit.cpu_seconds)
        assert record.metrics["cpu_seconds"].unit == "s"
        assert record.description["n_parameters"] == 109_386
        assert record.description["split_sizes"] == splits.sizes
        assert len(record.description["class_names"]) == 10
        stored = kept.load_arrays("step_losses", "test_predictions", "test_labels")
        assert set(stored) == set(arrays)
        assert fit.test_outputs is not None
        assert np.array_equal(stored["test_predictions"], fit.test_outputs.argmax(1).numpy())
        assert stored["test_predictions"].dtype == stored["test_labels"].dtype == np.uint8
        accuracy = (stored["test_predictions"] == stored["test_labels"]).mean()
        assert record.final["test_accuracy"] == pytest.approx(accuracy)


def test_the_key_depends_on_the_seed_and_not_on_its_neighbours(make_training) -> None:  # type: ignore[no-untyped-def]
    training = make_training(epochs=1)
    (_, _, [(alone, _)]), (_, _, [(first, _), (second, _)]) = make(training, 1), make(training, 0, 1)
    assert alone.identity == second.identity
    assert first.identity.key != second.identity.key


def test_chance_is_what_guessing_gives(make_training) -> None:  # type: ignore[no-untyped-def]
    _, _, [(record, _)] = make(make_training(epochs=1))
    for prefix in ("val", "final_train", "test"):
        assert record.metrics[f"{prefix}_accuracy"].chance == pytest.approx(0.1)
        assert record.metrics[f"{prefix}_balanced_accuracy"].chance == pytest.approx(0.1)
        assert record.metrics[f"{prefix}_f1"].chance == pytest.approx(0.1 * 2 * 0.1 / 1.1)
        assert record.metrics[f"{prefix}_loss"].chance is None
    assert record.metrics["train_accuracy"].chance == pytest.approx(0.1)


@pytest.mark.parametrize("k", [1, 2])
def test_a_run_of_numbers_has_no_classes(make_training, write, k: int) -> None:  # type: ignore[no-untyped-def]
    path = f"{write(REGRESSION.format(k=k))}:load"
    training = make_training(dataset=path, validation_size=50, loss="mse")
    splits, _, [(record, arrays)] = make(training, folder=str(write.folder))
    assert record.description["class_names"] == []
    shape = (100,) if k == 1 else (100, 2)
    assert arrays["test_predictions"].shape == arrays["test_labels"].shape == shape
    assert arrays["test_predictions"].dtype == arrays["test_labels"].dtype == np.float32
    rmse = math.sqrt(float(np.mean((arrays["test_predictions"].astype(float) - arrays["test_labels"]) ** 2)))
    assert record.final["test_rmse"] == pytest.approx(rmse)
    learnt, scored = splits.train.targets, splits.train.targets[splits.validation_index[0]]
    guesses = (learnt.mean(0), learnt.median(0).values)
    assert record.metrics["val_rmse"].chance == pytest.approx(
        min(float((scored - guess).square().mean().sqrt()) for guess in guesses), rel=1e-5
    )
    assert record.metrics["val_r2"].chance == 0
    assert (record.metrics["val_loss"].unit, record.metrics["val_loss"].margin) == ("", None)


def test_an_early_stop_keeps_values_at_the_best_and_at_the_last_epoch(make_training) -> None:  # type: ignore[no-untyped-def]
    training = make_training(epochs=8, learning_rate=0.03, early_stopping={"metric": "val_accuracy", "patience": 2})
    _, fits, made = make(training, 0, 1, 2)
    for fit, (record, _) in zip(fits, made, strict=True):
        [tested] = [series for series in record.history if series.metric == "test_accuracy"]
        assert tested.at[-1] == fit.n_epochs
        assert tested.values[-1] == record.final["test_accuracy"]
        assert tested.at[0] == fit.best_epoch
        assert tested.values[0] == (fit.best if fit.best_epoch != fit.n_epochs else fit.final)["test_accuracy"]
        assert record.status == "completed"


def test_a_diverged_run_has_its_history_and_nothing_final(make_training) -> None:  # type: ignore[no-untyped-def]
    _, _, [(record, arrays)] = make(make_training(learning_rate=1e30))
    assert (record.status, record.final) == ("diverged", {})
    assert record.reason == "a value was not finite in epoch 1"
    assert {series.at for series in record.history} == {(0.0,)}
    assert set(arrays) == {"step_losses", "test_labels"}


def test_confusions_and_confident_mistakes_by_hand() -> None:
    labels, predictions = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1])
    assert mistakes.share_confusions(labels, predictions, 2).tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert mistakes.share_confusions(labels[:2], predictions[:2], 2)[1].isnan().all()
    logits = torch.tensor([[9.0, 0.0], [0.0, 1.0], [5.0, 0.0], [0.0, 2.0]])
    assert mistakes.find_confident_mistakes(labels, logits, 5).tolist() == [2, 1]


def test_mistakes_of_classes_and_of_numbers_are_tables(make_training, write) -> None:  # type: ignore[no-untyped-def]
    splits, fits, _ = make(make_training())
    worst = mistakes.tabulate_mistakes(splits, fits, 5)
    assert list(worst.columns) == ["true", "predicted", "probability"]
    assert (worst["true"] != worst["predicted"]).all()
    assert mistakes.tabulate_confusions(splits, fits).sum(axis=1).tolist() == pytest.approx([1.0] * 10)
    training = make_training(dataset=f"{write(REGRESSION.format(k=1))}:load", validation_size=50, loss="l1")
    splits, fits, _ = make(training, folder=str(write.folder))
    worst = mistakes.tabulate_mistakes(splits, fits, 5)
    assert list(worst.columns) == ["true", "predicted", "error"]
    assert worst["error"].astype(float).is_monotonic_decreasing
    assert mistakes.tabulate_confusions(splits, fits).empty
    broken = [loop.Fit(0, "diverged")]
    assert mistakes.tabulate_mistakes(splits, broken).empty
