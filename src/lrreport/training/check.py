"""A study's own code, tried in a process of its own before anything runs; this side of it needs no torch."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from lrreport import LrreportError
from lrreport.study import IMPORT_PATH, Fixed
from lrreport.training.files import find_digests, say_on_stderr

PATIENCE = 5  # seconds until it is said what is waited for; a dataset that takes longer is not loaded twice


@dataclass(frozen=True)
class Check:
    """What was found: the digests of a dataset of the user's own, or what is wrong, in one line."""

    digests: dict[str, str]
    problem: str = ""


def find_data_digests(setup: Fixed, code_folder: str) -> dict[str, str]:
    """Return the SHA-256 of a dataset's files, or of the tensors of a user's own; raises as `check_setup` does."""
    return check_setup(setup, code_folder).digests if IMPORT_PATH.match(setup.dataset) else find_digests(setup.dataset)


@lru_cache(maxsize=8)
def check_setup(setup: Fixed, code_folder: str) -> Check:
    """Try every function of the user's own that the settings name; raise LrreportError that says what was expected."""
    if not setup.imported():
        return Check({})
    # No -m: the folder where we were called must not come before what is installed.
    command = [sys.executable, "-P", "-c", "from lrreport.training import check; check.main()"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    question = json.dumps({"setup": setup.model_dump(mode="json"), "code_folder": code_folder})
    try:
        try:
            said, errors = process.communicate(question, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            say_on_stderr(f"lrreport: trying {', '.join(setup.imported().values())} ...")
            said, errors = process.communicate()
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0 or not said.strip():
        last = (errors.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        raise LrreportError(f"{', '.join(setup.imported().values())}: trying it ended with {last}")
    found = Check(**json.loads(said.splitlines()[-1]))
    if found.problem:
        raise LrreportError(found.problem)
    return found


def main() -> None:
    """Answer the question on standard input with a check on standard output."""
    question = json.load(sys.stdin)
    try:
        found = try_code(Fixed(**question["setup"]), question["code_folder"])
    except LrreportError as err:
        found = Check({}, str(err))
    print(json.dumps(asdict(found)))


def try_code(setup: Fixed, code_folder: str) -> Check:
    """Return the digests of the data after trying each function; raise LrreportError for one that does not do."""
    import time

    from lrreport.training import own_code
    from lrreport.training.data import divide, prepare
    from lrreport.training.datasets import load_dataset

    start = time.monotonic()
    dataset = load_dataset(setup.dataset, code_folder)
    if IMPORT_PATH.match(setup.dataset) and time.monotonic() - start < PATIENCE:
        again: Any = load_dataset(setup.dataset, code_folder)
        if again.digests != dataset.digests:
            raise LrreportError(
                f"dataset = {setup.dataset!r}: called twice it gives different tensors; let it give the same each time, such as "
                "with a torch.Generator of a fixed seed"
            )
    splits = divide(prepare(dataset, setup.validation_size, setup.split_seed))
    imported, n_classes = setup.imported(), len(splits.class_names)
    found = {name: own_code.import_function(name, path, code_folder) for name, path in imported.items()}
    if "model" in imported:
        own_code.check_model(setup.model, found["model"], splits.train.inputs[:3], n_classes)
    if "loss" in imported:
        own_code.check_loss(setup.loss, found["loss"], n_classes)
    if "optimizer" in imported:
        own_code.check_optimizer(setup.optimizer, found["optimizer"])
    return Check(dataset.digests if IMPORT_PATH.match(setup.dataset) else {})
