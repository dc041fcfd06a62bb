"""The study file that an import writes reads the same runs again, and says what was found."""

import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from lrreport.sources import Import, ImportSpec, inspect, print_grid, read_import, write_study
from lrreport.study.metrics import MetricDeclaration
from lrreport.study.study import parse_study


def read_study(text: str, folder: Path) -> Import:
    study = tomllib.loads(text)
    metrics = {name: MetricDeclaration(**declared) for name, declared in study["metrics"].items()}
    return read_import(
        ImportSpec(**study["import"]), folder, metrics=metrics, vary=study["vary"], seeds=study.get("seeds")
    )


@pytest.mark.parametrize(
    ("folder", "paths"),
    [
        ("csv-depth-study", ("results/results.csv",)),
        ("csv-depth-study", ("results/learning_rate_sweep.csv",)),
        ("csv-bert-seeds", ("data/b*large*",)),
        ("csv-algoperf/baseline", ("**",)),
        ("json-deepobs", ("**",)),
        ("text-nanogpt", ("**",)),
        ("wandb-chart-2", ("**",)),
        ("written/wandb", ("**",)),
        ("written/mlruns", ("**",)),
    ],
)  # fmt: skip
def test_a_written_study_reads_the_same_runs(data: Path, folder: str, paths: tuple[str, ...]) -> None:
    first = inspect(data / folder, paths=paths)
    text = write_study(first)
    again = read_study(text, data / folder)
    for left, right in zip(first.tabulate(), again.tabulate(), strict=True):
        pd.testing.assert_frame_equal(left, right)
    assert [level.name for level in first.grid.levels] == [level.name for level in again.grid.levels]
    assert first.files == again.files
    assert {n: (m.better, m.scale, m.split) for n, m in first.metrics.items()} == {
        n: (m.better, m.scale, m.split) for n, m in again.metrics.items()
    }
    assert first.spec.percent == again.spec.percent


def test_a_written_study_is_a_study(data: Path) -> None:
    imported = inspect(data / "csv-depth-study", paths=["results/results.csv"])
    text = write_study(imported, folder="../logs")
    settings = tomllib.loads(text)
    assert settings["import"]["folder"] == "../logs"
    assert settings["seeds"] == [1, 2, 3, 4, 5]
    assert 'from = "table"  # what wrote the files' in text
    assert "percent, guessed from the values; change it" in text
    assert "#   excluded: final_cost: its name does not say" in text
    study = parse_study({"name": "depth", **settings}, "study.toml")
    assert [level.name for level in study.levels] == [level.name for level in imported.grid.levels]


def test_what_decides_is_validation_then_test(data: Path) -> None:
    assert 'metric = "val_mean_average_precision"' in write_study(inspect(data / "csv-algoperf/baseline"))
    assert 'metric = "test_loss"' in write_study(inspect(data / "json-deepobs"))


def test_the_grid_in_the_terminal(data: Path) -> None:
    lines = print_grid(inspect(data / "json-deepobs").grid).splitlines()
    assert lines[0] == "learning rate (4); 3 seeds"
    assert lines[-1].split() == ["100.0", "1", "of", "3", "(1", "diverged)"]


def test_runs_that_are_evaluated_at_other_points_are_compared_at_their_ends(tmp_path: Path, data: Path) -> None:
    """The baseline's runs share step 1 alone and have 77 evaluations each; a method that stops at its target has 22."""
    baseline = inspect(data / "csv-algoperf/baseline")
    decide = tomllib.loads(write_study(baseline))["decide"]
    assert decide == {"metric": "val_mean_average_precision", "at": "end"}
    both = inspect(data / "csv-algoperf", name="{method}/*/*/trial_*", paths="**/trial_1/*")
    text = write_study(both)
    assert "at" not in tomllib.loads(text)["decide"]
    assert re.search(
        r'\n# at = "end"  # the last value of each run; runs end at step [\d,]+ to [\d,]+ and share no', text
    )


def test_the_numbers_of_trials_are_names(data: Path, tmp_path: Path) -> None:
    imported = inspect(data / "csv-algoperf/baseline")
    (factor,) = imported.grid.factors
    assert (factor.numeric, factor.values) == (False, ("1", "2", "3"))
    assert [level.name for level in imported.grid.levels] == ["trial 1", "trial 2", "trial 3"]
    again = read_study(write_study(imported), data / "csv-algoperf/baseline")
    pd.testing.assert_frame_equal(imported.runs, again.runs)


def test_what_was_declared_while_looking_is_written(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("lr,seed,acc\n0.1,0,0.9\n0.1,1,0.5\n0.01,0,0.8\n0.01,1,0.7\n")
    declared = {"val_acc": MetricDeclaration(**{"from": "acc", "better": "higher", "chance": 0.5, "margin": 0.02})}
    imported = inspect(tmp_path, metrics=declared, ignore="host", drop={"settings": {"seed": 7}}, exclude=[])
    again = read_study(write_study(imported), tmp_path)
    assert again.metrics == imported.metrics
    assert (again.metrics["val_acc"].chance, again.metrics["val_acc"].margin) == (0.5, 0.02)
    assert again.spec.drop == imported.spec.drop
    assert [note.text for note in again.notes if note.kind == "failure"] == [
        "runs that end no better than chance in val_acc (50.00 %); they count as failures"
    ]
