"""A notebook that keeps runs as lrreport's own does, but computes in no time; and studies that use it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from lrreport.record.provenance import Identity
from lrreport.study.settings import Training
from lrreport.sweep.builtin import BuiltinProducer
from lrreport.sweep.producer import Run

DATA = {"train-images": "0" * 64}
PARAMETERS = """learning_rate = 0.1
seeds = [0]
dataset = "sample"
model = {}
optimizer = {}
batch_size = 64
epochs = 2
settings = {}
run_dir = ""
context = {}"""
SETUP = """import os, time
import numpy as np
from pathlib import Path
from lrreport.record.provenance import identify
from lrreport.record.record import RunRecord, declare_metrics, keep_records, make_series, mark_progress
from lrreport.study.settings import Training
setup = Training(learning_rate=learning_rate, dataset=dataset, model=model, optimizer=optimizer, batch_size=batch_size,
                 epochs=epochs, **settings)
identities = [identity.model_copy(update={"producer": {}})
              for identity in identify(setup, seeds, DATA, context["code_folder"], "cpu")]
note = mark_progress(run_dir, len(seeds))""".replace("DATA", repr(DATA))
TRAIN = """made = []
for identity in identities:
    values = np.random.default_rng(identity.seed).random(epochs + 1)
    record = RunRecord(identity=identity, settings=identity.settings, seed=identity.seed, status="completed",
                       metrics=declare_metrics(["val_accuracy"]), history=(make_series("val_accuracy", values),),
                       final={"val_accuracy": values[-1]}, facts={"pid": os.getpid()})
    made.append((record, {"step_losses": values.astype("float32")}))
for _ in range(epochs):
    time.sleep(batch_size / 1000)
    note()
if learning_rate == 0.5:
    raise ValueError("no\\nluck")
if learning_rate == 0.7:
    os.kill(os.getpid(), 9)"""


@dataclass(frozen=True)
class TinyLoop(BuiltinProducer):
    """Identifies runs without the code of the training wing, which they do not use."""

    def identify(self, seeds: Sequence[int]) -> list[Identity]:
        return [identity.model_copy(update={"producer": {}}) for identity in super().identify(seeds)]


def write_notebook(path: Path, *sources: str) -> Path:
    """Write a notebook of these code cells, the first of them with its parameters."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


def make_runs(folder: Path, rates: dict[float, list[int]], one_by_one: bool = False, **settings: Any) -> list[Run]:
    """Return runs of these seeds by learning rate, made by the tiny notebook; `batch_size` is milliseconds an epoch."""
    notebook = folder / "tiny.ipynb"
    keep = [
        "for pair in made:\n    keep_records(run_dir, [pair])\n    time.sleep(1)"
        if one_by_one
        else "keep_records(run_dir, made)"
    ]
    if not notebook.exists():
        write_notebook(notebook, PARAMETERS, SETUP, TRAIN, *keep)
    runs = []
    for level, (rate, seeds) in enumerate(rates.items()):
        setup = Training(**{"learning_rate": rate, "dataset": "sample", "validation_size": 100, "batch_size": 1, "epochs": 2,
                            **settings})  # fmt: skip
        producer = TinyLoop(setup, device="cpu", notebook=notebook, data=DATA)
        runs += [
            Run(f"learning rate {rate:g}", identity, producer, level, setup.epochs)
            for identity in producer.identify(seeds)
        ]
    return runs
