"""Try a study's own functions in a process of its own before anything runs; this side of it needs no torch."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from io import StringIO

from lrreport.errors import LrreportError
from lrreport.study.settings import IMPORT_PATH, Training
from lrreport.training.files import export_data_root, find_digests, notify_on_stderr

PATIENCE = 5  # seconds until a line says what is waited for; a dataset that takes longer is loaded once for all runs
Setups = tuple[Training, ...]  # by level of a study


@dataclass(frozen=True)
class Check:
    """What trying a study's functions gave: the digests of a dataset of the user's, and its key if it was kept for all runs.

    `notes` are lines for the user; `problem` is the line that refuses a function, or empty.
    """

    digests: dict[str, str]
    prepared: str = ""
    notes: list[str] = field(default_factory=list)
    problem: str = ""


def find_data(setups: Sequence[Training], code_folder: str) -> tuple[dict[str, str], str]:
    """Return the digests of a dataset's files, or of the tensors of the user's own, and the key if these were kept.

    Raises as `check_setups` does.
    """
    export_data_root()
    if not IMPORT_PATH.match(setups[0].dataset):
        return find_digests(setups[0].dataset), ""
    check = check_setups(setups, code_folder)
    return check.digests, check.prepared


def check_setups(setups: Sequence[Training], code_folder: str) -> Check:
    """Try every function of the user's that the settings of a study's levels name.

    Raises LrreportError, in one line, for the first that does not fit.
    """
    export_data_root()
    return _check_once(json.dumps([setup.model_dump(mode="json") for setup in setups]), code_folder)


@lru_cache(maxsize=8)
def _check_once(setups: str, code_folder: str) -> Check:
    paths = _list_paths([Training(**setup) for setup in json.loads(setups)])
    if not paths:
        return Check({})
    # -P, no -m, no PYTHONPATH: modules of the folder we were called from must not come before what is installed.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from lrreport.training import check; check.main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ours | {"PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"},  # as runs have it
    )
    request = json.dumps({"setups": json.loads(setups), "code_folder": code_folder})
    try:
        try:
            answer, errors = process.communicate(request, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            notify_on_stderr(f"lrreport: trying {', '.join(paths)} ...")
            answer, errors = process.communicate()
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0 or not answer.strip():
        raise LrreportError(f"trying {', '.join(paths)} ended with {_describe_end(process.returncode, errors)}")
    check = Check(**json.loads(answer))
    if check.problem:
        raise LrreportError(check.problem)
    return check


def _list_paths(setups: Sequence[Training]) -> list[str]:
    return list(dict.fromkeys(path for setup in setups for path in setup.import_paths().values()))


def _describe_end(status: int, errors: str) -> str:
    """Return how a process ended that gave no answer: a signal, the last line of its errors, or its exit status."""
    if status < 0:
        return signal.Signals(-status).name
    return (errors.strip().splitlines() or [f"exit status {status}"])[-1]


def main() -> None:
    """Answer the request on standard input with a check on standard output."""
    request = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)  # what libraries print from elsewhere than Python
        check = _check([Training(**setup) for setup in request["setups"]], request["code_folder"])
        print(json.dumps(asdict(check)), file=answer)


def _check(setups: list[Training], code_folder: str) -> Check:
    from lrreport.training.user_code.validate import validate_setups  # imports torch

    with redirect_stdout(StringIO()) as printed:
        try:
            digests, prepared, notes = validate_setups(setups, code_folder, PATIENCE)
        except LrreportError as err:
            return Check({}, problem=str(err))
    if text := printed.getvalue().strip():
        paths = " and ".join(_list_paths(setups))
        notes += [f"what {paths} printed is left out of the runs: {text.splitlines()[0][:80]!r}"]
    return Check(digests, prepared, notes)
