"""Which settings become factors, what is ignored, and what is refused because it would confound."""

import re
from pathlib import Path

import pytest

from lrreport.errors import LrreportError
from lrreport.sources import Import, inspect, parse_import
from lrreport.study.metrics import MetricDeclaration


def write(folder: Path, header: str, rows: list[str]) -> Path:
    (folder / "t.csv").write_text(
        f"{header},val_acc\n" + "\n".join(f"{row},0.{index + 50}" for index, row in enumerate(rows)) + "\n"
    )
    return folder


def name_factors(imported: Import) -> list[str]:
    return [factor.name for factor in imported.grid.factors]


def test_the_learning_rate_comes_first(tmp_path: Path) -> None:
    rows = [f"{batch},{rate},{seed}" for batch in (32, 64) for rate in (0.1, 0.01) for seed in (0, 1)]
    imported = inspect(write(tmp_path, "bs,lr,seed", rows))
    assert name_factors(imported) == ["learning_rate", "batch_size"]
    assert imported.spec.settings == {"learning_rate": "lr", "batch_size": "bs"}
    assert [level.values["batch_size"] for level in imported.grid.levels] == [32, 32, 64, 64]
    assert imported.planned == (0, 1)


def test_a_learning_rate_and_a_batch_size_that_change_together(tmp_path: Path) -> None:
    rows = [f"{batch},{rate},{seed}" for batch, rate in ((32, 0.1), (64, 0.01)) for seed in (0, 1)]
    with pytest.raises(
        LrreportError,
        match=re.escape(
            "batch_size changes together with learning_rate (0.1: 32, 0.01: 64), so their effects cannot be told apart"
        ),
    ):
        inspect(write(tmp_path, "bs,lr,seed", rows))


def test_a_method_takes_its_rate_along(tmp_path: Path) -> None:
    rows = [f"{method},{rate},{seed}" for method, rate in (("sgd", 0.1), ("adam", 0.01)) for seed in (0, 1)]
    imported = inspect(write(tmp_path, "optimizer,lr,seed", rows))
    assert name_factors(imported) == ["optimizer"]
    assert imported.spec.ignore == ("learning_rate",)
    assert any(note.text == "learning_rate: goes with optimizer; it is ignored" for note in imported.notes)


def test_what_only_numbers_the_rates_is_ignored(tmp_path: Path) -> None:
    rows = [f"{trial},{rate},{seed},run-{trial}-{seed}" for trial, rate in ((1, 0.1), (2, 0.01)) for seed in (0, 1)]
    imported = inspect(write(tmp_path, "trial,lr,seed,exp_name", rows))
    assert name_factors(imported) == ["learning_rate"]
    assert set(imported.spec.ignore) == {"trial", "exp_name"}


def test_one_file_in_which_nothing_varies(tmp_path: Path) -> None:
    with pytest.raises(LrreportError, match=r"varies between the 3 runs in t\.csv; add a column with the setting"):
        inspect(write(tmp_path, "lr,seed", ["0.1,0", "0.1,1", "0.1,2"]))


@pytest.mark.parametrize("name", ["seed", "rng_seed"])
def test_runs_of_a_seed_can_be_dropped(tmp_path: Path, name: str) -> None:
    rows = [f"{rate},{seed}" for rate in (0.1, 0.01) for seed in (0, 1, 2)]
    imported = inspect(write(tmp_path, "lr,rng_seed", rows), drop={"settings": {name: [0, 2]}})
    assert imported.runs["seed"].tolist() == ["1", "1"]
    assert (f"runs with {name} = [0, 2], by import.drop", 4) in [(note.text, note.count) for note in imported.notes]


def test_three_settings_are_too_many(tmp_path: Path) -> None:
    rows = [f"{batch},{rate},{decay}" for batch in (32, 64) for rate in (0.1, 0.01) for decay in (0.5, 0.6)]
    with pytest.raises(
        LrreportError,
        match=r"3 settings vary \(learning_rate, batch_size and weight_decay\), and a report compares at most two",
    ):
        inspect(write(tmp_path, "bs,lr,wd", rows))
    chosen = inspect(tmp_path, drop={"settings": {"weight_decay": 0.5}})
    assert name_factors(chosen) == ["learning_rate", "batch_size"]
    assert ("runs with weight_decay = 0.5, by import.drop", 4) in [(note.text, note.count) for note in chosen.notes]


def test_two_names_for_the_seed(tmp_path: Path) -> None:
    rows = [f"{rate},{seed},{9 - seed * seed}" for rate in (0.1, 0.01) for seed in (0, 1, 2)]
    with pytest.raises(LrreportError, match="seed and random_state may both be the seed; select it with import.seed"):
        inspect(write(tmp_path, "lr,seed,random_state", rows))


def test_levels_that_the_study_does_not_list_are_left_out(tmp_path: Path) -> None:
    from lrreport.sources import ImportSpec, read_import

    write(tmp_path, "lr,seed", [f"{rate},{seed}" for rate in (0.1, 0.01, 0.001) for seed in (0, 1)])
    spec = ImportSpec(source="table", settings={"learning_rate": "lr"})
    imported = read_import(spec, tmp_path, vary={"learning_rate": [0.1, 0.01]})
    assert [level.values for level in imported.grid.levels] == [{"learning_rate": 0.1}, {"learning_rate": 0.01}]
    assert ("runs whose learning_rate is not listed in [vary]", 2) in [
        (note.text, note.count) for note in imported.notes
    ]
    with pytest.raises(LrreportError, match=re.escape("no run has learning_rate = 5; there are 0.1, 0.01, 0.001")):
        read_import(spec, tmp_path, vary={"learning_rate": [5, 6]})
    with pytest.raises(LrreportError, match="the runs have no setting width; they have learning_rate"):
        read_import(spec, tmp_path, vary={"width": [5, 6]})
    with pytest.raises(
        LrreportError, match="import.settings.learning_rate: no run has a setting rate; they have lr, seed"
    ):
        read_import(ImportSpec(source="table", settings={"learning_rate": "rate"}), tmp_path)
    with pytest.raises(LrreportError, match="import.seed: no run has a setting s; they have lr, seed"):
        read_import(ImportSpec(source="table", seed="s"), tmp_path)
    with pytest.raises(LrreportError, match="holds no files of the source wandb; check import.from and import.paths"):
        read_import(ImportSpec(source="wandb"), tmp_path)


def test_what_is_declared_while_looking(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("lr,seed,score\n0.1,0,3\n0.1,0,4\n0.01,0,5\n")
    declared = {"val_score": MetricDeclaration(**{"from": "score", "better": "higher"})}
    imported = inspect(tmp_path, metrics=declared, duplicates="mean")
    assert imported.runs["final.val_score"].tolist() == [3.5, 5]
    assert imported.spec.duplicates == "mean"


def test_a_table_import_with_a_wrong_key_is_refused_in_one_line() -> None:
    with pytest.raises(LrreportError, match="^s.toml: import.duplicates = 'any': there is no such duplicates"):
        parse_import({"from": "table", "duplicates": "any"}, "s.toml")
    with pytest.raises(LrreportError, match="^s.toml: .*(path|unknown key)"):
        parse_import({"from": "table", "path": "x"}, "s.toml")
