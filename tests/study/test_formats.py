"""Numbers and settings as readers see them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrreport.study.formats import capitalize, format_change, format_rate, format_setting


@pytest.mark.parametrize(("rate", "text"), [
    (0.0005, "0.0005"), (1.0, "1.0"), (1e-7, "1e-7"), (2.5e7, "2.5e7"), (0.0, "0"), (-0.5, "-0.5"), (-1e-7, "-1e-7"),
    (float("inf"), "inf"),
])  # fmt: skip
def test_rates_are_written_as_people_do(rate: float, text: str) -> None:
    assert format_rate(rate) == text
    assert float(format_rate(rate)) == rate


@pytest.mark.parametrize(
    ("value", "text"), [(1.84, "+1.8"), (-0.26, "−0.3"), (0.02, "0.0"), (-0.02, "0.0"), (0.0, "0.0")]
)
def test_a_change_has_a_sign_unless_it_rounds_to_zero(value: float, text: str) -> None:
    assert format_change(value, 1) == text


@pytest.mark.parametrize(("value", "text"), [
    (5000, "5,000"), ((128, 64), "128 × 64"), ((), "none"), ((-1.0, 1.0), "(-1.0, 1.0)"), (True, "on"), (None, "unknown"), ("adam", "adam"),
])  # fmt: skip
def test_settings_are_written_out(value: Any, text: str) -> None:
    assert format_setting(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_back_from_its_text(rate: float) -> None:
    assert float(format_rate(rate)) == rate
    if rate and 1e-6 <= abs(rate) < 1e6:
        assert format_rate(rate) == np.format_float_positional(rate, trim="0")


def test_a_sentence_begins_in_upper_case_unless_with_a_name() -> None:
    assert capitalize("validation accuracy of 0.1") == "Validation accuracy of 0.1"
    assert capitalize("kim_cnn ends higher") == "kim_cnn ends higher"
