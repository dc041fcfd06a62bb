"""A study's own code, tried in a process of its own before anything runs; this side of it needs no torch."""

import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from io import StringIO

from lrreport.errors import LrreportError
from lrreport.settings import IMPORT_PATH, Fixed
from lrreport.training.files import find_digests, say_on_stderr

PATIENCE = 5  # seconds until it is said what is waited for; a dataset that takes longer is loaded once for all runs


@dataclass(frozen=True)
class Check:
    """What was found: of a dataset of the user's own the digests, and its key if it was kept for all runs.

    Also what to tell of the code before runs are made, or what is wrong, each in one line.
    """

    digests: dict[str, str]
    prepared: str = ""
    notes: list[str] = field(default_factory=list)
    problem: str = ""


def find_data(setups: tuple[Fixed, ...], code_folder: str) -> tuple[dict[str, str], str]:
    """Return the SHA-256 of a dataset's files, or of the tensors of a user's own, and the key if these were kept.

    Raises as `check_setups` does.
    """
    if not IMPORT_PATH.match(setups[0].dataset):
        return find_digests(setups[0].dataset), ""
    found = check_setups(setups, code_folder)
    return found.digests, found.prepared


@lru_cache(maxsize=8)
def check_setups(setups: tuple[Fixed, ...], code_folder: str) -> Check:
    """Try every function of the user's own that the settings of a study's levels name.

    Raises LrreportError, in one line that says what was expected.
    """
    paths = list(dict.fromkeys(path for setup in setups for path in setup.imported().values()))
    if not paths:
        return Check({})
    # No -m: the folder where we were called must not come before what is installed.
    command = [sys.executable, "-P", "-c", "from lrreport.training import check; check.main()"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"},  # as runs have it
    )
    question = json.dumps({"setups": [one.model_dump(mode="json") for one in setups], "code_folder": code_folder})
    try:
        try:
            said, errors = process.communicate(question, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            say_on_stderr(f"lrreport: trying {', '.join(paths)} ...")
            said, errors = process.communicate()
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0 or not said.strip():
        raise LrreportError(f"trying {', '.join(paths)} ended with {_describe_end(process.returncode, errors)}")
    found = Check(**json.loads(said))
    if found.problem:
        raise LrreportError(found.problem)
    return found


def _describe_end(status: int, errors: str) -> str:
    """Return how a process ended that gave no answer: a signal, the last line of its errors, or its exit status."""
    if status < 0:
        return signal.Signals(-status).name
    return (errors.strip().splitlines() or [f"exit status {status}"])[-1]


def main() -> None:
    """Answer the question on standard input with a check on standard output."""
    question = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)  # what libraries print from elsewhere than Python
        print(
            json.dumps(asdict(_check([Fixed(**one) for one in question["setups"]], question["code_folder"]))),
            file=answer,
        )


def _check(setups: list[Fixed], code_folder: str) -> Check:
    from lrreport.training.trial import try_code  # imports torch

    with redirect_stdout(StringIO()) as heard:
        try:
            digests, prepared, notes = try_code(setups, code_folder, PATIENCE)
        except LrreportError as err:
            return Check({}, problem=str(err))
    if printed := heard.getvalue().strip():
        paths = dict.fromkeys(path for setup in setups for path in setup.imported().values())
        notes += [f"what {' and '.join(paths)} printed is left out of the runs: {printed.splitlines()[0][:80]!r}"]
    return Check(digests, prepared, notes)
