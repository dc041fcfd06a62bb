"""Plans: how many seeds would decide, from the spread of finished runs, and what they cost."""

from dataclasses import replace
from pathlib import Path

import pytest

from lrreport.errors import LrreportError
from lrreport.planning import describe_plan
from lrreport.report.load import LoadedReport, load_report
from lrreport.study.study import Study
from lrreport.testing import write_report_folder


def load(folder: Path, n_rates: int, n_seeds: int, margin: float) -> tuple[Study, LoadedReport]:
    loaded = load_report(write_report_folder(folder / "made", n_rates, n_seeds, 3))
    study = loaded.study.model_copy(update={"decide": loaded.study.decide.model_copy(update={"margin": margin})})
    return study, replace(loaded, contents=replace(loaded.contents, study=study))


def test_a_plan_names_seeds_and_cost(tmp_path: Path) -> None:
    study, loaded = load(tmp_path, 4, 4, 0.004)
    first, second, third = describe_plan(study, loaded).splitlines()
    assert first == "From 16 finished runs at 4 levels:"
    assert second.endswith(" would show which is best, or that they differ by less than 0.40 points.")
    n = int(second.split()[1])
    n_levels = second.split(" each of ")[1].split(" (")[0].count(" and ") + 1
    assert n_levels == 2
    assert third == f"That is {n_levels * (n - 4)} runs more."


@pytest.mark.parametrize(("margin", "end"), [
    (0.2, "is good enough; no more seeds are needed."),
    (0.00001, "would be needed; a larger margin decides sooner."),
])  # fmt: skip
def test_a_plan_says_where_seeds_do_not_help(tmp_path: Path, margin: float, end: str) -> None:
    assert describe_plan(*load(tmp_path, 4, 4, margin)).endswith(end)


def test_one_seed_is_nothing_to_plan_from(tmp_path: Path) -> None:
    with pytest.raises(
        LrreportError,
        match="nothing to plan from: it takes two seeds or more of two levels that may be the best; make a pilot with",
    ):
        describe_plan(*load(tmp_path, 4, 1, 0.004))
