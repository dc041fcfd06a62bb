"""Scales and ticks of figures: round values, no collision, no axis without a label."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrreport.report.scales import Scale, label_levels, list_ticks, make_scale, scale_factor, spread_labels, write_value
from lrreport.report.svg import measure_text
from lrreport.study.factors import Factor


def is_apart(scale: Scale, ticks: list[tuple[float, str]], size: float = 13.0) -> bool:
    boxes = sorted(
        (scale(v) - measure_text(text, size) / 2, scale(v) + measure_text(text, size) / 2) for v, text in ticks
    )
    return all(left[1] <= right[0] for left, right in itertools.pairwise(boxes))


@given(
    low=st.floats(-1e6, 1e6, allow_nan=False),
    span=st.floats(1e-6, 1e6),
    length=st.floats(120, 900),
    factor=st.sampled_from([1.0, 100.0]),
)
def test_ticks_are_round_labelled_and_apart(low: float, span: float, length: float, factor: float) -> None:
    if abs(low) > 1e4 * span:
        span = 1e-4 * abs(low) + span
    scale = Scale(low, low + span, 0, length)
    ticks = list_ticks(scale, factor)
    assert ticks
    assert all(low - 1e-5 * span <= value <= low + (1 + 1e-5) * span for value, _ in ticks)
    assert is_apart(scale, ticks)
    assert len({text for _, text in ticks}) == len(ticks)


def test_ticks_are_no_finer_than_needed() -> None:
    assert [text for _, text in list_ticks(Scale(0.851, 0.88, 0, 300), 100.0, most=4)] == ["86", "87", "88"]
    assert [text for _, text in list_ticks(Scale(-0.021, 0.006, 0, 300), 100.0, most=4)] == ["−2", "−1", "0"]
    assert [text for _, text in list_ticks(Scale(0.31, 0.36, 0, 300))] == [
        "0.31",
        "0.32",
        "0.33",
        "0.34",
        "0.35",
        "0.36",
    ]


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (1e-4, 1e-1, ["0.0001", "0.001", "0.01", "0.1"]),
        (1e-5, 1.0, ["1e-5", "1e-4", "1e-3", "1e-2", "1e-1", "1e0"]),
        (0.002, 0.004, ["0.002", "0.003", "0.004"]),
    ],
)
def test_log_axes_have_labels_over_any_span(low: float, high: float, labels: list[str]) -> None:
    scale = Scale(low, high, 0, 600, log=True)
    assert [text for _, text in list_ticks(scale)] == labels
    assert is_apart(scale, list_ticks(scale))


def test_many_decades_are_written_with_exponents() -> None:
    assert write_value(0.00001, 5) == "1e-5"
    assert write_value(0.00001, 2) == "0.00001"
    assert write_value(0.0003, 5) == "3e-4"


@pytest.mark.parametrize("n", [1, 2, 3, 11, 200])
@pytest.mark.parametrize(("low", "high"), [(1e-5, 1.0), (0.002, 0.004)])
@pytest.mark.parametrize("length", [200.0, 700.0])
def test_levels_on_an_axis_never_collide_and_never_all_vanish(n: int, low: float, high: float, length: float) -> None:
    values = tuple(low * (high / low) ** (i / max(1, n - 1)) for i in range(n))
    factor = Factor("learning_rate", "learning rate", values, True)
    scale = scale_factor(factor, 0, length)
    ticks = label_levels(factor, scale, 12.0)
    assert 1 <= len(ticks) <= n
    assert len(ticks) >= min(n, 2)
    assert is_apart(scale, ticks, 12.0)


def test_named_levels_are_cut_to_their_room() -> None:
    factor = Factor("optimizer", "optimizer", ("adam", "a very long name of an optimizer indeed", "sgd"), False)
    ticks = label_levels(factor, scale_factor(factor, 0, 300), 12.0)
    assert [text for _, text in ticks][::2] == ["Adam", "SGD"]
    assert ticks[1][1].endswith("…")
    assert is_apart(scale_factor(factor, 0, 300), ticks, 12.0)


def test_a_scale_holds_its_values_on_both_kinds_of_axis() -> None:
    assert make_scale([1.0, 3.0], 0, 100, pad=0)(2.0) == 50
    assert make_scale([0.01, 1.0], 0, 100, pad=0, log=True)(0.1) == pytest.approx(50)
    assert make_scale([5.0], 0, 100)(5.0) == pytest.approx(50)
    assert make_scale([math.nan, math.inf], 0, 100).low == pytest.approx(-0.05)


@given(st.lists(st.floats(0, 200), min_size=1, max_size=12))
def test_labels_beside_lines_keep_their_distance(wanted: list[float]) -> None:
    placed = spread_labels(wanted, 0, 200, 14)
    assert all(-1e-9 <= at <= 200 + 1e-9 for at in placed)
    ordered = sorted(placed)
    assert all(
        later - earlier >= min(14, 200 / max(1, len(wanted) - 1)) - 1e-6
        for earlier, later in itertools.pairwise(ordered)
    )
    assert [placed[i] for i in sorted(range(len(wanted)), key=lambda i: wanted[i])] == ordered
