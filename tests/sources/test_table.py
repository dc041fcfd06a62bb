"""Tables: runs from CSV, TSV and JSON files of other tools, exact to the digit, and refusals."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lrreport.errors import LrreportError
from lrreport.sources import SOURCES, Import, inspect
from lrreport.study.metrics import MetricDeclaration

Read = Callable[..., Import]


def find_notes(imported: Import, kind: str) -> list[tuple[str, int]]:
    return [(note.text, note.count) for note in imported.notes if note.kind == kind]


def test_depth_study_comes_out_as_published(data: Path) -> None:
    """Differences from logistic regression, paired by seed, are those of the authors' README: −0.04 … 0.29 points."""
    imported = inspect(data / "csv-depth-study", paths=["results/results.csv"])
    runs = imported.runs
    assert [factor.name for factor in imported.grid.factors] == ["architecture"]
    assert imported.grid.seeds == ("1", "2", "3", "4", "5")
    assert len(runs) == 30
    assert imported.spec.percent == ("train_accuracy", "test_accuracy")
    assert imported.spec.ignore == ("layer_dims", "hidden_layers")
    assert not imported.spec.paired
    table = runs.pivot(index="seed", columns="level", values="final.test_accuracy")
    differences = (table.sub(table[0], axis=0).mean() * 100).round(6).tolist()
    assert differences == [0, -0.04, -0.01, 0.29, 0.29, 0.07]
    assert table.loc["1", 0] == 0.844
    assert imported.metrics["test_accuracy"].split == "test"
    assert imported.metrics["test_accuracy"].margin is None  # a default exists for validation fractions alone
    assert any("final_cost" in text for text, _ in find_notes(imported, "excluded"))


def test_a_run_that_the_source_calls_collapsed_is_a_failure(data: Path) -> None:
    imported = inspect(data / "csv-depth-study", paths=["results/learning_rate_sweep.csv"])
    assert [(factor.name, len(factor.values)) for factor in imported.grid.factors] == [
        ("learning_rate", 5),
        ("architecture", 3),
    ]
    failed = imported.runs[imported.runs["status"] == "diverged"]
    assert failed[["setting.learning_rate", "setting.architecture", "seed", "reason"]].values.tolist() == [
        [0.25, "4 hidden layers", "1", "the source says collapsed"]
    ]
    assert failed["final.test_accuracy"].tolist() == [0.5]
    assert imported.runs["seconds"].iloc[0] == 9.4


def test_the_same_run_fails_by_a_declared_chance(data: Path, read: Read) -> None:
    chance = {"test_accuracy": MetricDeclaration(chance=0.5)}
    imported = read(folder=data / "csv-depth-study", paths=["results/learning_rate_sweep.csv"], metrics=chance)
    assert (
        "runs that end no better than chance in test_accuracy (50.00 %); they count as failures",
        1,
    ) not in find_notes(imported, "failure")  # the source has said so already
    assert imported.metrics["test_accuracy"].chance == 0.5


@pytest.mark.parametrize("name", ["learning_rate_summary", "baseline_comparison"])
def test_means_without_runs_are_refused(data: Path, name: str) -> None:
    with pytest.raises(
        LrreportError, match=f"results/{name}.csv: holds means or intervals over runs, and single runs are needed"
    ):
        inspect(data / "csv-depth-study", paths=[f"results/{name}.csv"])


def test_tables_of_different_studies_are_not_mixed(data: Path) -> None:
    with pytest.raises(LrreportError, match="are tables with different columns; select those that belong together"):
        inspect(data / "csv-depth-study")


def test_exact_repeats_count_once(data: Path) -> None:
    imported = inspect(data / "csv-bert-seeds", paths=["data/bbase*"])
    assert imported.spec.settings == {"learning_rate": "--learning_rate"}
    assert imported.spec.seed == "--seed"
    assert imported.grid.counts["present"].tolist() == [75, 75]
    assert find_notes(imported, "duplicate") == [("runs that repeat another exactly and are counted once", 27)]
    means = imported.runs.groupby("level")["final.val_accuracy"].mean() * 100
    assert round(means[0] - means[1], 2) == 0.17


def test_exact_repeats_can_be_refused(data: Path, read: Read) -> None:
    with pytest.raises(LrreportError, match="repeats another run exactly \\(27 such runs\\)"):
        read(folder=data / "csv-bert-seeds", paths=["data/bbase*"], settings={"learning_rate": "--learning_rate"},
             duplicates="error")  # fmt: skip


def test_runs_near_guessing_fail_once_its_accuracy_is_declared(data: Path, read: Read) -> None:
    paths = ["data/blarge*"]
    guessed = inspect(data / "csv-bert-seeds", paths=paths)
    assert any("declare its chance" in text for text, _ in find_notes(guessed, "remark"))
    assert ("0.00004: 74 of 75 runs (without seeds 143)", 1) in find_notes(guessed, "hole")
    imported = read(
        folder=data / "csv-bert-seeds", paths=paths, settings={"learning_rate": "--learning_rate"},
        metrics={"val_accuracy": MetricDeclaration(**{"from": "dev_acc", "chance": 0.51})},
    )  # fmt: skip
    collapsed = imported.runs["reason"].str.startswith("collapsed")
    assert collapsed.groupby(imported.runs["level"]).sum().tolist() == [5, 4]
    assert set(imported.runs["status"]) == {"unknown"}  # judged against chance only when levels are compared


def test_nothing_that_varies_is_refused(data: Path) -> None:
    with pytest.raises(LrreportError, match="no setting that is known varies between the 59 runs"):
        inspect(data / "csv-bert-seeds", paths=["data/birnn*"])


def test_grouping_by_rate_alone_names_the_other_settings(data: Path) -> None:
    """Trials 1 and 3 share a rate and differ in label smoothing."""
    with pytest.raises(LrreportError) as caught:
        inspect(data / "csv-algoperf/baseline", vary=["learning_rate"])
    assert "at learning_rate 0.001308209823469072 other settings vary" in str(caught.value)
    assert "label_smoothing is 0.1 in 2 runs and 0 in 2 runs" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_label_takes_its_settings_along(data: Path) -> None:
    imported = inspect(data / "csv-algoperf/baseline")
    assert [factor.name for factor in imported.grid.factors] == ["trial"]
    assert imported.spec.seed == "rng_seed"
    assert {"learning_rate", "label_smoothing", "weight_decay"} <= set(imported.spec.ignore)
    assert imported.grid.seeds == ("356686224", "1480595982")
    assert len(imported.history) == 6 * 77
    assert imported.metrics["val_mean_average_precision"].better == "higher"


def test_unequal_lengths_are_told(data: Path, read: Read) -> None:
    """The first method stops at a target after 25 evaluations, the second has 77."""
    imported = read(
        folder=data / "csv-algoperf", name="{method}/study_*/*/trial_{trial}", vary={"method": ()},
        paths=["*/study_0/*/trial_1/*"], ignore=["learning_rate", "trial", *NOT_COMPARED],
    )  # fmt: skip
    (length,) = find_notes(imported, "length")
    assert "with 25 to 78 values each" in length[0] or "with 25 to 77 values each" in length[0]
    assert length[0].endswith("; the last that all have is 1")


NOT_COMPARED = [
    "dropout_rate", "label_smoothing", "one_minus_beta1", "beta2", "weight_decay", "warmup_factor", "submission_path",
    "framework", "tuning_search_space", "data_dir",
]  # fmt: skip


def test_a_search_and_its_winner_run_again(data: Path) -> None:
    """Most rates have a single seed; the best was run again, its rate printed with fewer digits."""
    imported = inspect(data / "json-deepobs")
    (factor,) = imported.grid.factors
    assert factor.values == (0.01, 0.015848931925, 0.1, 100.0)
    assert imported.grid.counts["present"].tolist() == [1, 3, 1, 1]
    diverged = imported.runs[imported.runs["status"] == "diverged"]
    assert diverged["setting.learning_rate"].tolist() == [100, 0.1]
    diverged = diverged.iloc[0]
    assert "is not finite from epoch 1 on" in diverged["reason"]
    history = imported.history[imported.history["run"] == diverged["run"]]
    assert history[history["metric"] == "test_loss"][["at", "value"]].values.tolist() == [[0, 353.44676426478793]]
    assert set(imported.metrics) == {"train_loss", "test_loss", "train_minibatch_loss"}


def test_text_logs_give_the_final_losses(data: Path) -> None:
    """Welch's test of the authors' two groups has p = 0.8587465 on these 26 values."""
    from scipy.stats import ttest_1samp, ttest_ind

    imported = inspect(data / "text-nanogpt")
    last = imported.history.groupby("run", observed=True)["value"].last()
    levels = imported.runs.set_index("run")["level"]
    baseline, change = (last[levels[levels == index].index].to_numpy() for index in (0, 1))
    assert len(baseline) == len(change) == 13
    assert [level.name for level in imported.grid.levels] == ["baseline", "this_pr"]
    assert ttest_1samp(baseline, 3.28, alternative="less").pvalue == pytest.approx(0.0042976481, abs=1e-9)
    assert ttest_1samp(change, 3.28, alternative="less").pvalue == pytest.approx(0.0006690604, abs=1e-9)
    assert ttest_ind(baseline, change, equal_var=False).pvalue == pytest.approx(0.8587465, abs=1e-6)
    assert ("runs with unknown seeds; they count as repeats and are not paired", 26) in find_notes(imported, "guess")
    assert imported.runs["replicate"].tolist() == [*range(13), *range(13)]
    assert set(imported.runs["status"]) == {"completed"}  # step 1390 of 1390


def test_one_file_in_long_form_reads_as_in_wide_form(write_table: Callable[..., Path], read: Read) -> None:
    path = write_table("wide.csv")
    wide = read(settings={"learning_rate": "lr"})
    frame = pd.read_csv(path).melt(["lr", "seed", "epoch"], var_name="metric", value_name="value")
    path.unlink()
    frame.sample(frac=1, random_state=0).to_csv(path.with_name("long.csv"), index=False)
    long = read(settings={"learning_rate": "lr"})
    assert len(wide.history) == len(frame) == 48
    for from_wide, from_long in zip(wide.tabulate(), long.tabulate(), strict=True):
        names = [name for name in from_wide.columns if name in ("level", "seed", "metric", "axis", "at", "value")]
        left, right = (part[names].sort_values(names).reset_index(drop=True) for part in (from_wide, from_long))
        pd.testing.assert_frame_equal(left, right)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json"])
def test_one_file_per_run_with_settings_in_names(
    tmp_path: Path, read: Read, write_table: Callable[..., Path], suffix: str
) -> None:
    frame = pd.read_csv(write_table())
    (tmp_path / "runs.csv").unlink()
    for (rate, seed), part in frame.groupby(["lr", "seed"]):
        part = part.drop(columns=["lr", "seed"])
        path = tmp_path / f"out/lr{rate}_s{seed}{suffix}"
        path.parent.mkdir(exist_ok=True)
        if suffix.startswith(".json"):
            part.to_json(path, orient="records", lines=suffix == ".jsonl")
        else:
            part.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    imported = inspect(tmp_path)
    assert imported.spec.settings == {"learning_rate": "lr"}
    assert imported.grid.counts["present"].tolist() == [3, 3]
    assert len(imported.history) == 48
    explicit = read(name="lr{learning_rate}_s{seed}")
    pd.testing.assert_frame_equal(imported.tabulate()[1], explicit.tabulate()[1])


def test_settings_in_a_file_beside(tmp_path: Path, read: Read) -> None:
    for index, (rate, seed) in enumerate([(0.1, 0), (0.1, 1), (0.01, 0), (0.01, 1)]):
        folder = tmp_path / f"run{index}"
        folder.mkdir()
        folder.joinpath("metrics.csv").write_text(f"epoch,val_loss\n1,{1 + rate}\n2,{rate + seed / 10}\n")
        folder.joinpath("config.yaml").write_text(
            f"optimizer:\n  lr: {rate}\nseed: {seed}\nhost: me\nout: /home/me/x\nloss: !!python/object:os.system {{a: 1}}\n"
        )
    imported = inspect(tmp_path)
    assert imported.spec.settings == {"learning_rate": "optimizer.lr"}
    assert imported.grid.counts["present"].tolist() == [2, 2]
    assert "setting.host" not in imported.runs
    assert imported.runs["setting.out"].str.fullmatch("path-[0-9a-f]{6}").all()
    assert any("settings that hold a host" in text for text, _ in find_notes(imported, "excluded"))
    assert [file.path for file in imported.files][:2] == ["run0/config.yaml", "run0/metrics.csv"]
    assert all(len(file.sha256) == 64 and file.size > 0 for file in imported.files)


def test_a_table_of_runs_beside_histories(tmp_path: Path) -> None:
    rows = ["name,lr,seed,State"]
    for index, (rate, seed) in enumerate([(0.1, 0), (0.1, 1), (0.01, 0), (0.01, 1)]):
        rows.append(f"r{index},{rate},{seed},{'crashed' if index == 3 else 'finished'}")
        (tmp_path / f"r{index}.csv").write_text(f"step,val_loss\n10,{rate}\n20,{rate / 2 + seed}\n")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    imported = inspect(tmp_path)
    assert imported.runs["status"].tolist() == ["completed"] * 3 + ["failed"]
    assert imported.runs["seed"].tolist() == ["0", "1", "0", "1"]
    assert len(imported.history) == 8


def test_lines_of_our_own_log(tmp_path: Path) -> None:
    for rate in (0.1, 0.01):
        for seed in (0, 1):
            lines = [f'{{"run": {{"learning_rate": {rate}, "seed": {seed}}}}}']
            lines += [
                f'{{"epoch": {epoch}, "val_accuracy": {0.5 + epoch / 10}, "train_loss": {1 / epoch}}}'
                for epoch in (1, 2, 3)
            ]
            if rate == 0.1 and seed == 1:
                lines[-1] = '{"epoch": 3, "val_accuracy": null, "train_loss": NaN}'
                lines.append('{"end": "diverged"}')
            elif seed == 0:
                lines.append('{"end": "completed", "final": {"test_accuracy": 0.77}}')
            (tmp_path / f"{rate}-{seed}.jsonl").write_text("\n".join(lines) + "\n")
    imported = inspect(tmp_path)
    by_run = imported.runs.set_index(["setting.learning_rate", "seed"])
    assert by_run["status"].to_dict() == {
        (0.1, "0"): "completed", (0.1, "1"): "diverged", (0.01, "0"): "completed", (0.01, "1"): "stopped",
    }  # fmt: skip
    assert by_run.loc[(0.1, "0"), "final.test_accuracy"] == 0.77
    assert math.isnan(by_run.loc[(0.01, "1"), "final.test_accuracy"])
    assert len(imported.history) == 3 * 3 * 2 + 2 * 2
    _, values = imported.tabulate()
    assert (values["axis"] == "end").sum() == 2


def test_our_own_export_reads_back(tmp_path: Path, read: Read, write_table: Callable[..., Path]) -> None:
    write_table()
    first = read(settings={"learning_rate": "lr"})
    (tmp_path / "runs.csv").unlink()
    first.runs.drop(columns=["level", "last"]).to_csv(tmp_path / "runs.csv", index=False)
    first.history.to_csv(tmp_path / "history.csv", index=False)
    again = read(vary={"learning_rate": [0.01, 0.1]})
    pd.testing.assert_frame_equal(first.tabulate()[1], again.tabulate()[1])
    assert again.runs["status"].tolist() == first.runs["status"].tolist()


def test_a_scheduled_rate_is_no_setting(tmp_path: Path) -> None:
    for rate in (0.1, 0.2):
        for seed in (0, 1):
            rows = [f"{epoch},{rate / epoch},{0.6 + epoch / 100 + seed / 1000}" for epoch in (1, 2, 3, 4)]
            (tmp_path / f"base_lr={rate},seed={seed}.csv").write_text("epoch,lr,val_acc\n" + "\n".join(rows) + "\n")
    imported = inspect(tmp_path)
    assert imported.grid.factors[0].values == (0.1, 0.2)
    assert imported.grid.counts["present"].tolist() == [2, 2]


def test_rows_of_keras_appended_after_a_resume(tmp_path: Path, read: Read) -> None:
    header = "epoch,accuracy,loss,val_accuracy,val_loss"
    for rate in (0.1, 0.01):
        rows = [
            "0,0.5,1.0,nan,1.1",
            "1,0.6,0.9,0.55,1.0",
            header,
            "1,0.6,0.9,0.55,1.0",
            "2,0.7,0.8,0.65,0.9",
            "3,NA,NA,NA,NA",
        ]
        (tmp_path / f"lr_{rate}.csv").write_text("\n".join([header, *rows]) + "\n")
    imported = inspect(tmp_path)
    assert imported.history[imported.history["metric"] == "val_accuracy"]["at"].tolist() == [1, 2] * 2
    assert imported.history[imported.history["metric"] == "train_loss"]["at"].tolist() == [0, 1, 2] * 2
    texts = dict(find_notes(imported, "duplicate"))
    assert texts["points that repeat another exactly and are counted once"] == 2 * 4
    assert ("values in the middle of a run that are not finite", 2) in find_notes(imported, "excluded")
    assert set(imported.runs["status"]) == {"unknown"}


def test_a_point_repeated_with_another_value(tmp_path: Path, read: Read) -> None:
    for rate in (0.1, 0.01):
        (tmp_path / f"lr{rate}.csv").write_text("epoch,val_acc\n1,0.5\n2,0.6\n2,0.7\n3,0.8\n")
    with pytest.raises(
        LrreportError,
        match=re.escape("lr0.01: val_accuracy at epoch 2 is 0.6 and 0.7 (2 such points); set import.duplicates"),
    ):
        inspect(tmp_path)
    for rule, value in (("first", 0.6), ("last", 0.7), ("mean", 0.65)):
        imported = read(name="auto", duplicates=rule)
        assert imported.history["value"].tolist() == [0.5, pytest.approx(value), 0.8] * 2
        assert find_notes(imported, "duplicate")[0][1] == 2


def test_runs_repeated_with_other_values(tmp_path: Path, read: Read) -> None:
    (tmp_path / "t.csv").write_text("lr,seed,val_acc\n0.1,0,0.5\n0.1,1,0.6\n0.1,1,0.8\n0.01,0,0.7\n0.01,1,0.7\n")
    with pytest.raises(
        LrreportError, match=re.escape("t#2 and t#3 have the same settings and seed 1 but different values; set")
    ):
        read()
    for rule, value in (("first", 0.6), ("last", 0.8), ("mean", 0.7)):
        runs = read(duplicates=rule).runs
        assert runs[(runs["setting.lr"] == 0.1) & (runs["seed"] == "1")]["final.val_accuracy"].tolist() == [
            pytest.approx(value)
        ]


def test_percent_and_fractions(tmp_path: Path, read: Read) -> None:
    def write(values: list[float]) -> None:
        rows = [
            f"{rate},{seed},{value}"
            for (rate, seed), value in zip([(1, 0), (1, 1), (2, 0), (2, 1)], values, strict=True)
        ]
        (tmp_path / "t.csv").write_text("lr,seed,val_acc\n" + "\n".join(rows) + "\n")

    write([80, 81, 82.5, 83])
    assert inspect(tmp_path).spec.percent == ("val_acc",)
    assert read().runs["final.val_accuracy"].tolist() == [0.8, 0.81, 0.825, 0.83]
    write([0.8, 0.81, 0.82, 1.0])
    assert inspect(tmp_path).spec.percent == ()
    write([0.8, 81, 82, 83])
    with pytest.raises(LrreportError, match="val_acc is at most 1 in 1 runs and up to 83 in others, so neither"):
        read()
    assert read(percent=["val_acc"]).runs["final.val_accuracy"].max() == 0.83
    write([0.8, 1.2, 0.9, 0.9])
    with pytest.raises(LrreportError, match="up to 1.2"):
        read()


def test_confounded_rates_are_refused_by_name_and_value(tmp_path: Path, read: Read) -> None:
    rows = [f"{rate},{batch},{seed},{0.5 + seed / 10}" for rate, batch in ((0.1, 32), (0.01, 64)) for seed in (0, 1, 2)]
    (tmp_path / "t.csv").write_text("lr,batch_size,seed,val_acc\n" + "\n".join(rows) + "\n")
    with pytest.raises(
        LrreportError, match=re.escape("batch_size changes together with lr (0.1: 32, 0.01: 64), so their effects")
    ):
        read(vary={"lr": ()})
    assert len(read(vary={"lr": ()}, ignore=["batch_size"]).runs) == 6


def test_a_second_setting_inside_a_level(tmp_path: Path, read: Read) -> None:
    rows = [f"{rate},{32 if seed < 2 else 64},{seed},{0.5 + seed / 10}" for rate in (0.1, 0.01) for seed in range(6)]
    (tmp_path / "t.csv").write_text("lr,batch_size,seed,val_acc\n" + "\n".join(rows) + "\n")
    with pytest.raises(
        LrreportError, match=re.escape("at lr 0.01 other settings vary: batch_size is 64 in 4 runs and 32 in 2 runs")
    ):
        read(vary={"lr": ()})


def test_a_search_is_refused(tmp_path: Path) -> None:
    rates = np.geomspace(1e-4, 1, 30)
    (tmp_path / "t.csv").write_text(
        "lr,val_acc\n" + "\n".join(f"{rate},{0.5 + index / 100}" for index, rate in enumerate(rates)) + "\n"
    )
    with pytest.raises(LrreportError, match="each of the 30 runs has its own learning_rate, as in a search"):
        inspect(tmp_path)


def test_dropped_runs_holes_and_failures_are_counted(tmp_path: Path, read: Read) -> None:
    (tmp_path / "t.csv").write_text(
        "lr,seed,debug,status,val_acc\n0.1,0,false,finished,0.5\n0.1,1,false,crashed,\n0.1,2,false,finished,nan\n"
        "0.01,0,false,finished,0.6\n0.01,1,false,finished,0.7\n0.01,9,true,finished,0.1\n"
    )
    imported = read(drop={"settings": {"debug": True}}, settings={"learning_rate": "lr"})
    assert imported.runs["status"].tolist() == ["completed", "failed", "diverged", "completed", "completed"]
    assert find_notes(imported, "excluded") == [("runs with debug = True, by import.drop", 1)]
    assert find_notes(imported, "failure") == [("runs that diverged: a final value is not finite", 1)]
    holes = dict(find_notes(imported, "hole"))
    assert holes["0.01: 2 of 3 runs (without seeds 2)"] == 1
    assert holes["runs that failed or were stopped for other reasons than their values"] == 1
    assert imported.grid.counts["expected"].tolist() == [3, 3]
    assert read(
        drop={"settings": {"debug": True}, "status": ["failed"]}, settings={"learning_rate": "lr"}, seeds=[0, 1]
    ).grid.seeds == ("0", "1")


def test_two_candidates_for_one_metric_are_both_listed(tmp_path: Path, read: Read) -> None:
    rows = [f"{rate},{seed},0.5,0.6,1.5" for rate in (0.1, 0.01) for seed in (0, 1)]
    (tmp_path / "t.csv").write_text("lr,seed,val_acc,eval_accuracy,val_loss\n" + "\n".join(rows) + "\n")
    assert any(
        "val_acc, eval_accuracy: may both be val_accuracy" in text
        for text, _ in find_notes(inspect(tmp_path), "excluded")
    )
    imported = read(metrics={"val_accuracy": MetricDeclaration(**{"from": "eval_accuracy"})})
    assert set(imported.runs["final.val_accuracy"]) == {0.6}


def test_a_metric_of_unknown_direction_has_to_be_declared(tmp_path: Path, read: Read) -> None:
    rows = [f"{rate},{seed},{0.51 + seed / 7}" for rate in (0.1, 0.01) for seed in (0, 1, 2)]
    (tmp_path / "t.csv").write_text("lr,seed,wibble\n" + "\n".join(rows) + "\n")
    with pytest.raises(
        LrreportError, match=re.escape("no metric whose direction is known; declare it as [metrics.val_NAME]")
    ):
        inspect(tmp_path)
    with pytest.raises(LrreportError, match=re.escape('metrics.val_wibble: set better to "higher" or "lower"')):
        read(metrics={"val_wibble": MetricDeclaration(**{"from": "wibble"})})
    imported = read(metrics={"val_wibble": MetricDeclaration(**{"from": "wibble", "better": "lower", "unit": "km"})})
    assert imported.metrics["val_wibble"].format(0.5) == "0.5000 km"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "runs.csv: no header line, perhaps cut off"),
        ("lr,seed,epoch,val_acc\n0.1,0,1,0.5\n0.01,0\n0.01,1,1,0.7\n", "runs.csv, line 3: has 2 of 4 fields; correct it, or exclude the file"),
        ("lr,lr,val_acc\n1,2,3\n", "runs.csv: two columns are called lr; rename a column"),
        ("lr,seed,epoch,val_acc\n0.1,0,1,0.5\n0.1,0,2,0.5,9,9\n", "runs.csv: not a table"),
        ("lr,seed,epoch,val_acc\n0.1,0,1,0.5\n0.01,0,,0.6\n0.01,0,2,0.7\n", "1 values of val_acc have no epoch; fill it in"),
        ("lr,seed,epoch,val_acc\n0.1,0,1,0.5\n0.01,0,1,tensor(0.6)\n", "no metric whose direction is known"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "runs.csv").write_text(content)
    with pytest.raises(LrreportError) as caught:
        inspect(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_logs(tmp_path: Path) -> None:
    (tmp_path / "training_args.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(LrreportError, match="no known logs \\(1 files\\); pickles are never read"):
        inspect(tmp_path)


def test_an_unknown_source_is_refused_with_those_known(tmp_path: Path) -> None:
    with pytest.raises(LrreportError) as caught:
        inspect(tmp_path, "tensorbord")
    assert f"there is no such source (did you mean 'tensorboard'?); there are {', '.join(SOURCES)}" in str(caught.value)


def test_two_files_of_a_run_with_the_same_columns_are_parts_of_it(tmp_path: Path) -> None:
    for rate in (0.1, 0.01):
        folder = tmp_path / f"lr{rate}_s0"
        folder.mkdir()
        (folder / "measurements.csv").write_text("epoch,val_acc\n1,0.5\n2,0.6\n3,0.7\n")
        (folder / "eval_measurements.csv").write_text("epoch,val_acc\n2,0.6\n4,0.8\n")
    imported = inspect(tmp_path)
    assert imported.runs["setting.learning_rate"].tolist() == [0.01, 0.1]
    assert imported.history["at"].tolist() == [1, 2, 3, 4] * 2
    assert find_notes(imported, "duplicate") == [("points that repeat another exactly and are counted once", 2)]
