"""Metrics: their names, and how their values are written."""

import pytest

from lrreport.study.metrics import QUANTITIES, Metric, find_metric, split_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("val_accuracy", ("val", "accuracy")),
        ("final_train_loss", ("final_train", "loss")),
        ("train_balanced_accuracy", ("train", "balanced_accuracy")),
        ("accuracy", None),
        ("val_", None),
        ("evaluation_loss", None),
    ],
)
def test_a_name_is_a_split_and_a_quantity(name: str, parts: tuple[str, str] | None) -> None:
    assert split_name(name) == parts


def get(name: str) -> Metric:
    metric = find_metric(name)
    assert metric is not None
    return metric


def test_every_quantity_is_a_metric_on_every_split() -> None:
    for quantity in QUANTITIES:
        assert {get(f"{prefix}_{quantity}").split for prefix in ("train", "val", "test")} == {
            "train",
            "validation",
            "test",
        }
    assert find_metric("val_bleu") is None


def test_values_are_written_in_the_unit_of_the_metric() -> None:
    accuracy, loss, rmse = get("val_accuracy"), get("test_loss"), get("val_rmse").model_copy(update={"unit": "kg"})
    assert (accuracy.format(0.87345), accuracy.format_difference(-0.0192)) == ("87.34 %", "−1.92 points")
    assert (loss.format(0.30206), loss.format_difference(0.004)) == ("0.3021 nats", "0.0040 nats")
    assert (rmse.format(1234.5678), rmse.format(1.25, unit=False)) == ("1,235 kg", "1.2500")
    assert accuracy.format(0.5, unit=False) == "50.00"
    assert (accuracy.sign, loss.sign) == (1, -1)


def test_limits_stay_inside_what_is_possible() -> None:
    assert [get("val_accuracy").clip(value) for value in (-0.1, 0.5, 1.2)] == [0.0, 0.5, 1.0]
    assert get("val_loss").clip(-3.0) == -3.0
    assert get("val_rmse").clip(-3.0) == 0.0
