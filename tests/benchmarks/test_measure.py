"""A row of the bench: its median and range, its ratio turn by turn, and what counts as reached."""

import pytest

from benchmarks.measure import Row, compare, take_turns


def test_ratios_are_taken_turn_by_turn() -> None:
    times = {"ours": [1.0, 4.0, 2.0], "theirs": [2.0, 2.0, 5.0]}
    slower = compare("epoch", "bare loop", "slower", times, 1.2)
    assert slower.readings == (0.5, 2.0, 0.4)
    assert slower.median == 0.5
    faster = compare("epoch", "tutorial", "faster", times, 6.0)
    assert faster.readings == (2.0, 0.5, 2.5)
    assert faster.times == times


@pytest.mark.parametrize(("kind", "reading", "target", "verdict"), [
    ("slower", 1.1, 1.2, "reached"), ("slower", 1.3, 1.2, "MISSED"), ("faster", 7.0, 6.0, "reached"),
    ("faster", 5.0, 6.0, "MISSED"), ("seconds", 0.4, 0.4, "reached"), ("share", 0.3, 0.25, "MISSED"), ("slower", 9.0, None, ""),
])  # fmt: skip
def test_a_target_is_the_most_that_is_allowed_or_the_least(
    kind: str, reading: float, target: float | None, verdict: str
) -> None:
    row = Row("what", "", kind, (reading,), target)  # type: ignore[arg-type]
    assert row.describe()[-1] == verdict
    assert row.to_json()["reached"] == {"reached": True, "MISSED": False, "": None}[verdict]


def test_rows_are_written_with_units() -> None:
    assert Row("epoch", "bare", "slower", (1.0, 1.126, 3.0), 1.2).describe() == [
        "epoch", "bare", "1.13 ×", "1.00 × … 3.00 ×", "≤ 1.20 ×", "reached",
    ]  # fmt: skip
    assert Row("overhead", "", "share", (0.2, 0.25), 0.25).describe()[2:5] == ["22.5 %", "20.0 % … 25.0 %", "≤ 25.0 %"]
    assert Row("page", "", "megabytes", (4.9,), 5.0).describe()[2] == "4.90 MB"


def test_calls_take_turns_and_warm_up_without_counting() -> None:
    order: list[str] = []
    times = take_turns({name: lambda name=name: order.append(name) for name in "ab"}, 2, n_warm=1)  # type: ignore[misc]
    assert order == list("ababab")
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 2, "b": 2}
