"""Numbers as text."""

import pytest

from lrreport.report import formats


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("percent", 0.8712, "87.12 %"), ("percent", 1, "100.00 %"), ("points", 0.0062, "0.62"),
        ("points", -0.0062, "−0.62"), ("points", -0.00001, "0.00"), ("loss", 0.29687, "0.2969"),
        ("loss", 123456.0, "1.23e+05"), ("rate", 0.0005, "0.0005"), ("rate", 1e-5, "0.00001"), ("rate", 10.0, "10.0"),
        ("rate", 3e-8, "3e-8"), ("rate", 1.0, "1.0"), ("p", 0.0312, "= 0.031"), ("p", 0.0001, "< 0.001"),
        ("p", 1.0, "> 0.999"), ("count", 55000, "55,000"), ("epochs", 1.238, "1.24"), ("seconds", 7.25, "7.25"), ("seconds", 17.26, "17.3"),
        ("ratio", 1.836, "1.84"),
    ],
)  # fmt: skip
def test_each_kind(kind: str, value: float, text: str) -> None:
    assert str(formats.Quantity(value, kind)) == text


def test_lists_and_counts() -> None:
    assert formats.list_words(["a"]) == "a"
    assert formats.list_words(["a", "b"]) == "a and b"
    assert formats.list_words(["a", "b", "c"]) == "a, b and c"
    assert formats.count_nouns(1, "seed") == "1 seed"
    assert formats.count_nouns(1200, "seed") == "1,200 seeds"


def test_json_has_no_nan() -> None:
    assert formats.Quantity(float("inf"), "ratio").to_json()["value"] is None
