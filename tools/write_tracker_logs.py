"""Write the runs of the committed reference through the real writers, for tests: `python tools/write_tracker_logs.py`.

It needs torch, tensorboard, wandb, mlflow and lightning in a separate environment, beside pandas; and the reference as
CSV files (`lrreport export`). What each of them wrote is packed into tests/sources/data/trackers, without host and user,
beside the export itself, so that tests compare both even when the reference has changed since.
"""

import contextlib
import io
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

TARGET = Path(__file__).resolve().parents[1] / "tests/sources/data/trackers"
METRICS = [
    "train_loss", "train_accuracy", "val_loss", "val_accuracy", "cpu_seconds", "final_train_loss", "final_train_accuracy",
    "test_loss", "test_accuracy",
]  # fmt: skip
Values = dict[str, float]


class Reference:
    """The exported runs: settings, values by epoch, and values of the finished model alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = pd.read_csv(folder / "runs.csv")
        history = pd.read_csv(folder / "history.csv")
        self.history = history[history["metric"].isin(METRICS)]

    def __iter__(self) -> Iterator[tuple[dict[str, Any], dict[int, Values], Values]]:
        for row in self.runs.to_dict("records"):
            history = self.history[self.history["run"] == row["run"]]
            curves = {
                int(at): dict(zip(rows["metric"], rows["value"], strict=True)) for at, rows in history.groupby("at")
            }
            settings = {"learning_rate": row["setting.learning_rate"], "seed": row["seed"], "batch_size": 64}
            names = [name for name in METRICS if name not in set(history["metric"])]
            yield settings, curves, {name: row[f"final.{name}"] for name in names}


def name_run(settings: dict[str, Any]) -> str:
    return f"lr{settings['learning_rate']}_seed{settings['seed']}"


def write_tensorboard(reference: Reference, folder: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    for settings, curves, final in reference:
        run_folder = folder / name_run(settings)
        with SummaryWriter(str(run_folder)) as writer:
            for epoch, values in curves.items():
                for name, value in values.items():
                    writer.add_scalar(name, value, epoch)
            for name, value in final.items():
                writer.add_scalar(name, value, max(curves))
        for path in run_folder.iterdir():  # its name holds the host
            path.rename(path.with_name("events.out.tfevents.1.host.1.0"))


def write_wandb(reference: Reference, folder: Path) -> None:
    import wandb

    options = wandb.Settings(
        mode="offline", silent=True, console="off", host="host", x_disable_meta=True, x_disable_stats=True,
        disable_git=True, disable_code=True, x_disable_machine_info=True, program="train.py", program_abspath="train.py",
    )  # fmt: skip
    for settings, curves, final in reference:
        run = wandb.init(
            project="reference", name=name_run(settings), config=settings, dir=str(folder), settings=options
        )
        for epoch, values in curves.items():
            run.log({"epoch": epoch, **values})
        run.summary.update(final)
        run.finish()
    for path in [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".wandb"]:
        path.unlink()  # logs of wandb itself


def write_mlflow(reference: Reference, folder: Path, uri: str) -> None:
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.create_experiment("reference", artifact_location="file:///artifacts")
    for settings, curves, final in reference:
        run = client.create_run(experiment, run_name=name_run(settings)).info.run_id
        for name, value in settings.items():
            client.log_param(run, name, value)
        for epoch, values in curves.items():
            for name, value in values.items():
                client.log_metric(run, name, value, step=epoch)
        for name, value in final.items():
            client.log_metric(run, name, value)
        client.set_terminated(run)


def write_lightning(reference: Reference, folder: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger

    for settings, curves, final in reference:
        logger = CSVLogger(str(folder))
        logger.log_hyperparams(settings)
        for epoch, values in curves.items():
            logger.log_metrics({"epoch": epoch, **values}, step=epoch)
        logger.log_metrics({"epoch": max(curves), **final}, step=max(curves))
        logger.save()


WRITERS: dict[str, Callable[[Reference, Path], object]] = {
    "export": lambda reference, folder: shutil.copytree(reference.folder, folder, dirs_exist_ok=True),
    "tensorboard": write_tensorboard,
    "wandb": write_wandb,
    "mlflow": lambda reference, folder: write_mlflow(reference, folder, str(folder)),
    "mlflow-database": lambda reference, folder: write_mlflow(reference, folder, "sqlite:///mlflow.db"),
    "lightning": write_lightning,
}


def pack(folder: Path, archive: Path) -> None:
    """Pack the files of a folder, links left out, with nothing in it of who packed them and when."""
    with tarfile.open(archive, "w:xz") as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size = path.stat().st_size
            tar.addfile(entry, io.BytesIO(path.read_bytes()))


def main(export: str, *names: str) -> None:
    reference = Reference(Path(export))
    TARGET.mkdir(exist_ok=True)
    for name in names or WRITERS:
        with tempfile.TemporaryDirectory(dir="/tmp") as made:
            with contextlib.chdir(made):  # MLflow notes it for files that nobody writes
                WRITERS[name](reference, Path(made))
            pack(Path(made), TARGET / f"{name}.tar.xz")


if __name__ == "__main__":
    main(*sys.argv[1:])
