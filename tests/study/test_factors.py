"""Factors and levels: what their values are called."""

import pytest

from lrreport.study.factors import Factor, FrozenTable, freeze, name_level, thaw


def make(name: str, *values: object, label: str = "") -> Factor:
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return Factor(name, label or name.replace("_", " "), values, numeric)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((0.001, 0.0005), ["0.001", "0.0005"]),
        ((0.0021544346900318843, 0.01), ["0.00215", "0.01"]),
        ((0.1234567, 0.1234568), ["0.1234567", "0.1234568"]),
        ((1e-7, 3e-7), ["1e-7", "3e-7"]),
        ((16, 128, 55000), ["16", "128", "55,000"]),
        (((), (64,), (128, 64)), ["none", "64", "128 × 64"]),
        ((True, False), ["on", "off"]),
    ],
)
def test_values_are_short_and_told_apart(values: tuple[object, ...], texts: list[str]) -> None:
    factor = make("x", *values)
    assert [factor.format(value) for value in values] == texts


def test_names_of_values_have_a_noun_where_one_is_needed() -> None:
    assert make("learning_rate", 0.1).name_value(0.1) == "0.1"
    assert make("batch_size", 32).name_value(32) == "batch size 32"
    assert make("optimizer", "adam", "sgd").name_value("adam") == "Adam"
    table = freeze({"name": "sgd", "momentum": 0.9})
    assert isinstance(table, FrozenTable)
    assert make("optimizer", table).name_value(table) == "SGD with momentum 0.9"


def test_a_level_is_called_by_its_values() -> None:
    factors = (make("learning_rate", 0.1), make("batch_size", 32, 64))
    assert name_level(factors, {"learning_rate": 0.1, "batch_size": 32}) == "0.1 with batch size 32"


def test_an_axis_is_logarithmic_for_positive_values_far_apart() -> None:
    assert make("learning_rate", 0.1, 0.01).is_log
    assert not make("learning_rate", 0.1, 0.05).is_log
    assert not make("weight_decay", 0.0, 1.0).is_log
    assert not make("optimizer", "adam", "sgd").is_log


def test_plain_data_can_be_a_key_and_comes_back() -> None:
    value = {"name": "sgd", "betas": [0.9, 0.99], "inner": {"a": [1]}}
    assert thaw(freeze(value)) == value
    assert hash(freeze(value)) == hash(freeze(dict(value)))
