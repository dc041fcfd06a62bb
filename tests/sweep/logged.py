"""Helpers for tests of logged runs: expected metrics, a run, and a reader."""

from pathlib import Path

from lrreport.record.provenance import Identity
from lrreport.study.metrics import find_metric
from lrreport.sweep.lines import LogReader
from lrreport.sweep.producer import Run
from lrreport.sweep.record_log import Expected

NAMES = ("train_loss", "val_loss", "val_accuracy", "test_accuracy")
EXPECTED = Expected({name: find_metric(name) for name in NAMES}, ("val_accuracy",))  # type: ignore[misc]


def make_run(seed: int = 0) -> Run:
    identity = Identity(settings={"learning_rate": 0.1, "optimizer": {"name": "sgd"}}, seed=seed)
    return Run("learning rate 0.1", identity, None, 0)  # type: ignore[arg-type]


def read(path: Path) -> LogReader:
    reader = LogReader(path)
    reader.read(to_the_end=True)
    return reader
