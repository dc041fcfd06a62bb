"""TensorBoard, W&B, MLflow, Lightning, the Trainer, Optuna: files of the real writers, and files cut and damaged."""

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from lrreport.errors import LrreportError
from lrreport.sources import SOURCES, Import, ImportSpec, inspect
from lrreport.sources.folder import Folder, hide_host
from lrreport.study.metrics import MetricDeclaration

Read = Callable[..., Import]
Table = dict[tuple[float, str, float], tuple[float, float]]
Events = Callable[[Iterable[tuple[int, str, float]]], bytes]


@pytest.mark.parametrize(
    ("source", "folder", "axis"),
    [("wandb", "wandb", "epoch"), ("mlflow", "mlruns", "step"), ("tensorboard", "tensorboard", "step")],
)
def test_files_of_the_real_writers_give_what_was_written(
    data: Path, formula: Table, tabulate: Callable[[Import], Table], source: str, folder: str, axis: str
) -> None:
    if source == "tensorboard":
        pytest.importorskip("tensorboard")
    imported = inspect(data / "written" / folder)
    assert imported.spec.source == source
    assert tabulate(imported) == formula
    assert imported.grid.counts["present"].tolist() == [3, 3, 3]
    assert set(imported.history["axis"]) == {axis}
    assert set(imported.runs["status"]) == {"unknown" if source == "tensorboard" else "completed"}
    assert set(imported.metrics) == {"val_accuracy", "train_loss"}
    text = imported.runs.to_csv() + repr(imported.notes) + repr(imported.files)
    assert "somebody" not in text
    assert "/home" not in text
    assert ".host" not in text


def test_event_files_agree_with_the_csv_of_the_same_run(data: Path) -> None:
    """77 validation scores, within the precision of float32."""
    pytest.importorskip("tensorboard")
    logs, _ = SOURCES["tensorboard"].read(Folder(data / "tensorboard-algoperf"), ImportSpec(source="tensorboard"))
    (points,) = [p for p in logs[0].points if p.metric == "validation/mean_average_precision"]
    table = (data / "csv-algoperf/baseline/study_0/ogbg_jax/trial_1/eval_measurements.csv").read_text().splitlines()[1:]
    rows = [list(map(float, line.split(","))) for line in table]
    assert points.at.tolist() == [row[0] for row in rows]
    assert len(points.at) == 77
    assert max(abs(points.values - [row[2] for row in rows])) < 1e-6


def test_a_repeated_step_with_another_value_is_refused_unless_declared(data: Path, tmp_path: Path, read: Read) -> None:
    pytest.importorskip("tensorboard")
    for rate in (0.1, 0.01):
        shutil.copytree(data / "tensorboard-reducer/duplicate_steps/run_1", tmp_path / f"lr{rate}")
    declared = {"val_foo": MetricDeclaration(**{"from": "dup_steps/foo", "better": "lower"})}
    with pytest.raises(LrreportError, match=r"lr0\.01: val_foo at step 90 is .* such points\); set import.duplicates"):
        read("tensorboard", name="auto", metrics=declared)
    imported = read("tensorboard", name="auto", metrics=declared, duplicates="last")
    assert imported.history.groupby("run", observed=True).size().tolist() == [200, 200]


def test_steps_that_differ_between_runs_are_told(data: Path, tmp_path: Path, read: Read) -> None:
    pytest.importorskip("tensorboard")
    shutil.copytree(data / "tensorboard-reducer/strict/run_1", tmp_path / "lr0.1")
    shutil.copytree(data / "tensorboard-reducer/lax/run_1", tmp_path / "lr0.01")
    declared = {"val_foo": MetricDeclaration(**{"from": ("strict/foo", "lax/foo"), "better": "lower"})}
    imported = read("tensorboard", name="auto", metrics=declared)
    (note,) = [note for note in imported.notes if note.kind == "length"]
    assert note.text == (
        "val_foo: runs end at step 109 (1 run), 495 (1 run), with 100 to 110 values each; the last that all have is 105"
    )


def test_event_files_cut_anywhere(tmp_path: Path, encode_events: Events) -> None:
    pytest.importorskip("tensorboard")
    points = [(step, "val/acc", step / 100) for step in range(1, 40)]
    content = encode_events(points)
    starts = len(encode_events([])), len(content)
    size = (starts[1] - starts[0]) // len(points)
    file = tmp_path / "events.out.tfevents.1.host"
    for cut in range(0, len(content), 97):
        file.write_bytes(content[:cut])
        logs, notes = SOURCES["tensorboard"].read(Folder(tmp_path), ImportSpec(source="tensorboard"))
        whole = max(0, (cut - starts[0]) // size)
        assert sum(len(p.at) for p in logs[0].points) == whole
        assert bool(notes) == ((cut - starts[0]) % size != 0 if cut > starts[0] else 0 < cut < starts[0])
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(
        LrreportError,
        match=r"events.out.tfevents.1: damaged at byte [\d,]+ of [\d,]+ \(checksum\); copy it again, or exclude the file with import.exclude",
    ):
        SOURCES["tensorboard"].read(Folder(tmp_path), ImportSpec(source="tensorboard"))


def test_a_resume_in_a_second_event_file(tmp_path: Path, encode_events: Events) -> None:
    pytest.importorskip("tensorboard")
    for rate in (0.1, 0.01):
        folder = tmp_path / f"lr{rate}"
        folder.mkdir()
        for start, last in ((1, 6), (5, 10)):
            points = [(step, "val/acc", round(step / 100 + rate, 6)) for step in range(start, last)]
            folder.joinpath(f"events.out.tfevents.{start}.host").write_bytes(encode_events(points))
    imported = inspect(tmp_path)
    assert len(imported.history) == 2 * 9
    assert imported.history["value"].tolist()[:3] == [0.02, 0.03, 0.04]  # float32 as its shortest decimal
    assert ("points that repeat another exactly and are counted once", 2) in [(n.text, n.count) for n in imported.notes]


def test_folders_of_keras_are_one_run(tmp_path: Path, encode_events: Events) -> None:
    pytest.importorskip("tensorboard")
    for rate in (0.1, 0.01):
        for split in ("train", "validation"):
            folder = tmp_path / f"lr{rate}" / split
            folder.mkdir(parents=True)
            folder.joinpath("events.out.tfevents.1.host").write_bytes(
                encode_events([(1, "epoch_accuracy", 0.5), (2, "epoch_accuracy", 0.6)])
            )
    imported = inspect(tmp_path)
    assert imported.runs["run"].tolist() == ["lr0.01", "lr0.1"]
    assert list(imported.metrics) == ["train_accuracy", "val_accuracy"]


def test_without_tensorboard_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboard.backend.event_processing.event_file_loader", None)
    (tmp_path / "events.out.tfevents.1.host").write_bytes(b"")
    with pytest.raises(
        LrreportError,
        match=re.escape(
            "events.out.tfevents.1: reading event files needs the package tensorboard; run: pip install tensorboard"
        ),
    ):
        inspect(tmp_path)


def test_names_of_hosts_are_hidden() -> None:
    assert (
        hide_host("a/events.out.tfevents.1622543341.janoshs-mbp.lan.86862.4")
        == "a/events.out.tfevents.1622543341.86862.4"
    )
    assert hide_host("runs/Jun01_12-00-00_mybox/x") == "runs/Jun01_12-00-00/x"


def write_wandb(folder: Path, content: bytes, run_id: str, summary: dict[str, Any] | None = None) -> Path:
    run_folder = folder / f"offline-run-20250101_000000-{run_id}"
    (run_folder / "files").mkdir(parents=True)
    path = run_folder / f"run-{run_id}.wandb"
    path.write_bytes(content)
    if summary is not None:
        (run_folder / "files/wandb-summary.json").write_text(json.dumps(summary))
    return path


def test_wandb_files_cut_and_damaged(tmp_path: Path, encode_wandb: Callable[..., bytes]) -> None:
    rows = [{"_step": step, "_timestamp": 1.0, "val_acc": step / 1000, "text": "x" * 60} for step in range(600)]
    content = encode_wandb("a", {"lr": 0.1}, rows)
    assert len(content) > 2 * 32768  # records lie across blocks
    path = write_wandb(tmp_path, content, "a")

    def read() -> tuple[Any, Any]:
        logs, notes = SOURCES["wandb"].read(Folder(tmp_path), ImportSpec(source="wandb"))
        return logs[0], notes

    log, notes = read()
    assert (log.status, len(log.points[0].at), notes) == ("completed", 600, [])
    previous = 0
    for cut in range(1000, len(content), 1000):
        path.write_bytes(content[:cut])
        log, notes = read()
        n_points = sum(len(p.at) for p in log.points)
        assert log.status == "unknown"
        assert "no exit code" in log.reason
        assert previous <= n_points <= 600
        assert n_points == (0 if n_points == 0 else log.points[0].at[-1] + 1)
        previous = n_points
    assert previous > 580
    damaged = bytearray(content)
    damaged[40000] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(LrreportError, match=r"run-a.wandb: damaged at byte [\d,]+ \(checksum\)"):
        read()
    path.write_bytes(b"nothing")
    with pytest.raises(LrreportError, match="not a W&B run file"):
        read()


def test_a_wandb_file_that_ends_before_its_summary(tmp_path: Path, encode_wandb: Callable[..., bytes]) -> None:
    """Files of long runs are cut at a block's end, without a broken record: the summary's last step tells."""
    rows = [{"_step": step, "val_acc": step / 1000} for step in range(10)]
    write_wandb(tmp_path, encode_wandb("a", {"lr": 0.1}, rows, exit_code=None), "a", {"_step": 62509})
    (log,), notes = SOURCES["wandb"].read(Folder(tmp_path), ImportSpec(source="wandb"))
    assert (log.status, log.reason) == ("stopped", "the file ends at step 9, the run went on to 62,509")
    assert [(note.kind, note.count) for note in notes] == [("cut", 1)]


def test_a_resumed_wandb_run_and_a_scheduled_rate(tmp_path: Path, encode_wandb: Callable[..., bytes]) -> None:
    for index, rate in enumerate((0.1, 0.01)):
        for part, (start, last) in enumerate(((0, 5), (4, 9))):
            rows = [
                {
                    "_step": step,
                    "epoch": step,
                    "val_acc": step / 100,
                    "learning_rate": rate / (1 + step),
                    "max_val_acc": 1.0,
                    "loss": "NaN",
                }
                for step in range(start, last)
            ]
            folder = tmp_path / f"offline-run-2025010{part + 1}_000000-r{index}"
            folder.mkdir()
            content = encode_wandb(
                f"r{index}",
                {"learning_rate": {"value": rate}, "seed": {"value": 7}, "_wandb": {"value": {"host": "h"}}},
                rows,
            )
            (folder / f"run-r{index}.wandb").write_bytes(content)
    imported = inspect(tmp_path)
    assert imported.grid.factors[0].values == (0.01, 0.1)
    assert imported.runs["seed"].tolist() == ["7", "7"]
    assert list(imported.metrics) == ["val_accuracy", "train_loss"]
    assert len(imported.history) == 2 * 9
    texts = {note.text: note.count for note in imported.notes}
    assert texts["folders with the id of an earlier run, whose points are put together"] == 2
    assert texts["train_loss: no value of any run is finite"] == 18


def test_exit_codes_of_wandb(tmp_path: Path, encode_wandb: Callable[..., bytes]) -> None:
    for code in (0, 1, 255, None):
        write_wandb(tmp_path, encode_wandb(f"c{code}", {"lr": 0.1}, [{"_step": 0, "val_acc": 0.5}], code), f"c{code}")
    logs, _ = SOURCES["wandb"].read(Folder(tmp_path), ImportSpec(source="wandb"))
    assert {log.run: log.status for log in logs} == {
        "c0": "completed",
        "c1": "failed",
        "c255": "stopped",
        "cNone": "unknown",
    }


def test_a_chart_of_wandb_reads_unless_it_is_grouped(data: Path, tmp_path: Path) -> None:
    imported = inspect(data / "wandb-chart-2")
    assert [level.name for level in imported.grid.levels] == ["colu", "relu"]
    assert len(imported.history) == 2 * 59
    assert any("may be sampled or smoothed" in note.text for note in imported.notes)
    lines = (data / "wandb-chart-2/cifar10.csv").read_text().splitlines()
    fields = lines[5].split(",")
    fields[2] = '"0.0001"'
    (tmp_path / "chart.csv").write_text("\n".join([*lines[:5], ",".join(fields), *lines[6:]]) + "\n")
    with pytest.raises(
        LrreportError,
        match=re.escape(
            "chart.csv: colu - train/loss is the mean of a group (MIN differs from it), and single runs are needed; export"
        ),
    ):
        inspect(tmp_path)


def write_mlflow_run(root: Path, run: str, params: dict[str, str], metrics: dict[str, str], meta: str = "") -> None:
    folder = root / "1" / run
    for kind, entries in (("params", params), ("metrics", metrics)):
        for name, text in entries.items():
            path = folder / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    lines = {"run_id": run, "status": "3", "lifecycle_stage": "active", "start_time": "1000", "end_time": "3000"}
    text = "\n".join(f"{key}: {value}" for key, value in lines.items() if f"{key}:" not in meta)
    (folder / "meta.yaml").write_text(f"{text}\n{meta}\n")


def test_traps_of_mlflow_files(tmp_path: Path) -> None:
    for index, (rate, seed) in enumerate([("0.1", 0), ("0.1", 1), ("0.01", 0), ("0.01", 1)]):
        lines = "".join(f"{1000 + step} {0.5 + step / 100} {step} data 0123\n" for step in (1, 2, 3))
        write_mlflow_run(
            tmp_path, f"r{index}", {"learning_rate": "constant", "learning_rate_init": rate, "seed": str(seed)},
            {"val/acc": lines * 2, "test_acc": "5 0.7\n", "val_mape": "5 inf 1\n6 0.5 2\n"},
        )  # fmt: skip
    write_mlflow_run(
        tmp_path, "gone", {"learning_rate_init": "9"}, {"val/acc": "1 0.1 1\n"}, "lifecycle_stage: deleted"
    )
    write_mlflow_run(
        tmp_path,
        "failed",
        {"learning_rate": "constant", "learning_rate_init": "0.1", "seed": "2"},
        {"val/acc": "1 0.1 1\n"},
        "status: 4",
    )
    imported = inspect(tmp_path)
    assert imported.spec.settings == {}
    assert [factor.name for factor in imported.grid.factors] == ["learning_rate_init"]
    assert sorted(imported.runs["status"]) == ["completed"] * 4 + ["failed"]
    texts = {note.text: note.count for note in imported.notes}
    assert texts["runs that were deleted in MLflow"] == 1
    assert texts["lines of metrics that repeat another exactly"] == 4 * 3
    assert imported.history[imported.history["metric"] == "val_accuracy"].groupby(
        "run", observed=True
    ).size().tolist() == [1, 3, 3, 3, 3]
    assert imported.runs["final.test_accuracy"].dropna().tolist() == [0.7] * 4
    assert imported.runs["seconds"].tolist() == [2.0] * 5


def test_an_mlflow_database(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    write_database(path)
    imported = inspect(tmp_path)
    assert imported.spec.source == "mlflow"
    assert imported.grid.counts["present"].tolist() == [2, 2]
    assert sorted(imported.runs["status"]) == ["completed", "completed", "completed", "diverged"]
    assert len(imported.history) == 4 * 3 - 1
    content = path.read_bytes()
    for cut in range(1000, len(content), 1000):
        path.write_bytes(content[:cut])
        with pytest.raises(LrreportError, match=r"^[^\n]*$"):
            inspect(tmp_path)


def write_database(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE runs (run_uuid TEXT, status TEXT, start_time INT, end_time INT, lifecycle_stage TEXT);"
            "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT); CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);"
            "CREATE TABLE metrics (key TEXT, value REAL, timestamp INT, run_uuid TEXT, step INT, is_nan INT);"
        )
        for rate in (0.1, 0.01):
            for seed in (0, 1):
                run = f"{rate}-{seed}"
                database.execute("INSERT INTO runs VALUES (?, 'FINISHED', 1000, 2000, 'active')", (run,))
                for key, value in (("lr", rate), ("seed", seed)):
                    database.execute("INSERT INTO params VALUES (?, ?, ?)", (key, str(value), run))
                for step in (1, 2, 3):
                    nan = run == "0.1-1" and step == 3
                    row = ("val_loss", 0 if nan else 1 / step + rate, step, run, step, nan)
                    database.execute("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", row)
    database.close()


def test_an_optuna_search_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.executescript(
            "CREATE TABLE studies (study_id INT); CREATE TABLE trials (trial_id INT); CREATE TABLE trial_params (param_name TEXT);"
        )
    with pytest.raises(LrreportError, match="study.db: an Optuna database without trials; there is nothing to compare"):
        inspect(tmp_path)
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.executemany("INSERT INTO trials VALUES (?)", [(index,) for index in range(500)])
        database.execute("INSERT INTO trial_params VALUES ('h')")
    with pytest.raises(
        LrreportError,
        match="study.db: an Optuna search of 500 trials over h, which has no seeds .* with several seeds and log those",
    ):
        inspect(tmp_path)
    database.close()


def test_lightning_without_settings_is_refused(data: Path) -> None:
    with pytest.raises(LrreportError, match="no setting that is known varies between the 3 runs"):
        inspect(data / "lightning-no-settings")


def test_lightning_with_settings(tmp_path: Path) -> None:
    for index, (rate, seed) in enumerate([(0.1, 0), (0.1, 1), (0.01, 0), (0.01, 1)]):
        folder = tmp_path / f"lightning_logs/version_{index}"
        folder.mkdir(parents=True)
        (folder / "hparams.yaml").write_text(
            f"lr: {rate}\nseed: {seed}\nmodel: !!python/object/apply:os.system ['x']\n"
        )
        (folder / "metrics.csv").write_text(
            "epoch,lr-Adam,step,train_loss_epoch,train_loss_step,val_acc\n0,,9,,,0.5\n0,0.1,9,,1.5,\n0,,9,1.4,,\n1,,19,,,0.6\n1,,19,1.2,,\n"
        )
    imported = inspect(tmp_path)
    assert imported.spec.source == "lightning"
    assert imported.grid.counts["present"].tolist() == [2, 2]
    assert len(imported.history) == 4 * 4
    assert set(imported.history["axis"]) == {"epoch"}
    assert ("columns METRIC_step beside METRIC_epoch", 4) in [(note.text, note.count) for note in imported.notes]


def test_checkpoints_of_the_trainer_are_one_run(data: Path) -> None:
    logs, notes = SOURCES["trainer_state"].read(Folder(data / "trainer-state"), ImportSpec(source="trainer_state"))
    assert [(log.run, log.status) for log in logs] == [("results", "completed")]
    points = {p.metric: p for p in logs[0].points}
    assert len(points["loss"].at) + len(points["eval_loss"].at) == 24
    assert points["eval_accuracy"].values[-1] == 0.9135802469135802
    assert "learning_rate" not in logs[0].settings
    assert "learning_rate" not in points
    assert [(note.kind, note.count) for note in notes] == [("duplicate", 2), ("guess", 1)]
    with pytest.raises(
        LrreportError, match=re.escape("trainer-state: holds a single run (results), and a comparison needs two levels")
    ):
        inspect(data / "trainer-state")


def test_a_trainer_with_rates_in_folder_names(data: Path, tmp_path: Path) -> None:
    for rate in ("5e-5", "2e-5"):
        for seed in (0, 1):
            shutil.copytree(data / "trainer-state/results", tmp_path / f"out_lr{rate}_seed{seed}")
    imported = inspect(tmp_path)
    assert imported.grid.factors[0].values == (2e-5, 5e-5)
    assert imported.grid.counts["present"].tolist() == [2, 2]
    assert set(imported.metrics) == {"train_loss", "val_accuracy", "val_loss"}
    checkpoint = tmp_path / "out_lr5e-5_seed0/checkpoint-500/trainer_state.json"
    state = json.loads(checkpoint.read_text())
    state["log_history"][0]["loss"] = 9.0
    checkpoint.write_text(json.dumps(state))
    with pytest.raises(LrreportError, match="its history differs from that of .*, so the folder holds two runs"):
        inspect(tmp_path)
    checkpoint.write_text('{"log_history": {}}')
    with pytest.raises(LrreportError, match="has no list log_history, so it is not the Trainer's"):
        inspect(tmp_path)


def test_entries_of_the_trainer_that_are_no_points_are_counted(tmp_path: Path) -> None:
    rows = [{"step": 1, "eval_loss": 0.5}, {"eval_loss": 0.4}, {"step": 2, "train_runtime": 7.5, "train_loss": 0.6}]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": rows}))
    logs, notes = SOURCES["trainer_state"].read(Folder(tmp_path), ImportSpec(source="trainer_state"))
    assert logs[0].seconds == 7.5
    assert [note.text for note in notes if note.kind == "excluded"] == [
        "run: entries of log_history without step",
        "last entries of log_history, which hold means over the whole training",
    ]


def test_a_wandb_run_of_which_only_its_files_are_left(tmp_path: Path) -> None:
    for rate in (0.1, 0.01):
        folder = tmp_path / f"run-20250101_000000-r{rate}/files"
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(
            f"wandb_version: 1\n_wandb:\n  desc: null\n  value:\n    host: me\noptimizer:\n  desc: null\n  value:\n    lr: {rate}\nseed:\n  value: 3\n"
        )
        (folder / "wandb-summary.json").write_text(
            json.dumps({"_step": 9, "_runtime": 12.5, "test/acc": rate, "hist": {"_type": "histogram"}})
        )
    imported = inspect(tmp_path)
    assert imported.spec.settings == {"learning_rate": "optimizer.lr"}
    assert imported.runs["final.test_accuracy"].tolist() == [0.01, 0.1]
    assert imported.runs["seconds"].tolist() == [12.5, 12.5]
    assert imported.runs["seed"].tolist() == ["3", "3"]
    assert "me" not in imported.runs.to_csv().split(",")
