"""Disturb a quick study in every way and let it continue: python -m benchmarks.disturb points|errors|environments [n|sites].

`points`: the machine stops before a file operation of ours (a copy of the outputs made then), and the command is repeated.
`errors`: a file operation of ours fails once with ENOSPC or EIO, and the command is repeated.
`environments`: variables, folders, file names, descriptors and a umask are drawn, as they vary between machines.
Without n every operation is tried, and 200 environments; n draws so many of them. `sites` tries one operation of each place
in the code (the innermost three of our functions), which the other runs of the study reach again.
"""

import errno
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import packages_distributions
from pathlib import Path
from threading import RLock
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
STUDY = CHECKOUT / "studies" / "quick.toml"
OPTIONS = ("--learning-rates", "0.01", "0.001", "--seeds", "0", "1", "--epochs", "1", "--name", "q", "--jobs", "2")
WORK, OUT, KIND, WHICH = "DISTURB_WORK", "DISTURB_OUT", "DISTURB_KIND", "DISTURB_WHICH"
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.chmod"}
Outcome = tuple[str, str]  # the outcome of a disturbance, and a description for the log if it is unexpected
VARIABLES = {
    "PIP_USER": "1", "PIP_TARGET": "/tmp/t", "PIP_REQUIRE_VIRTUALENV": "1", "PYTHONPATH": ".", "PYTHONHOME": "",
    "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "7", "PYTHONUTF8": "0",
    "PYTHONIOENCODING": "ascii", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1", "PYTHONFAULTHANDLER": "1",
    "PYTHONDEVMODE": "1", "JUPYTER_CONFIG_DIR": "/nonexistent", "JUPYTER_PATH": "/nonexistent",
    "JUPYTER_RUNTIME_DIR": "/nonexistent", "JUPYTER_PLATFORM_DIRS": "1", "IPYTHONDIR": "/nonexistent",
    "MPLBACKEND": "TkAgg", "MPLCONFIGDIR": "/nonexistent",
    "MATPLOTLIBRC": "/nonexistent", "MAKEFLAGS": "-n", "MAKELEVEL": "3", "NAME": "DESKTOP-1", "STUDY": "x", "EPOCHS": "9",
    "SEEDS": "9", "JOBS": "x", "WSL_DISTRO_NAME": "Ubuntu", "WSLENV": "NAME", "LANG": "C", "LC_ALL": "POSIX",
    "LC_NUMERIC": "de_DE.UTF-8", "LANGUAGE": "de", "TZ": "Pacific/Kiritimati", "COLUMNS": "3", "TERM": "dumb", "NO_COLOR": "1",
    "FORCE_COLOR": "1", "OMP_NUM_THREADS": "7", "MKL_NUM_THREADS": "5", "OPENBLAS_NUM_THREADS": "3", "CUDA_VISIBLE_DEVICES": "",
    "TORCH_NUM_THREADS": "4", "PANDAS_COPY_ON_WRITE": "warn", "DASK_CONFIG": "/nonexistent", "GITHUB_STEP_SUMMARY": "",
    "http_proxy": "http://127.0.0.1:9", "XDG_CACHE_HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", "PAGER": "false",
}  # fmt: skip


def run_report(outputs: Path, folder: Path = CHECKOUT, module: str = "lrreport", **options: Any) -> tuple[int, str]:
    """Make the report, and return the status and what was written to stderr."""
    safe = ["-P"] if module == "lrreport" else []  # this module lies in the current folder
    command = [sys.executable, *safe, "-m", module, "report", str(STUDY), "--outputs", str(outputs), *OPTIONS]
    options = {"env": dict(os.environ)} | options
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, **options
    )
    return done.returncode, done.stderr.decode(errors="replace")


def list_messages(err: str) -> list[str]:
    """Return the lines of stderr that are not about progress."""
    return [line for line in err.splitlines() if not re.match(r"lrreport: \d+ of \d+ ", line)]


def read_findings(outputs: Path) -> list[Any]:
    """Return the findings that are not about time."""
    findings = json.loads((outputs / "q" / "findings.json").read_text())["findings"]
    return [finding for finding in findings if "CPU" not in json.dumps(finding)]


def list_names(outputs: Path) -> set[str]:
    """Return all that lies in an outputs folder but locks, and the notebooks beside runs, which may be missing."""
    paths = (path.relative_to(outputs) for path in outputs.rglob("*"))
    left_out = (".lock", ".owner", "train.ipynb")
    return {str(path) for path in paths if not path.name.endswith(left_out)}


def list_written(outputs: Path) -> dict[str, int]:
    """Return the modification time of each stored record, by its folder."""
    return {path.parent.name: path.stat().st_mtime_ns for path in outputs.glob("runs/[!.]*/record.json")}


def judge(outputs: Path, expected: Path) -> str:
    """Go on with a report that was disturbed; return "clean", or what is wrong."""
    before = list_written(outputs)
    status, err = run_report(outputs)
    if status:
        return f"status {status}: {err.strip().splitlines()[-1:]}"
    if any(list_written(outputs).get(key) != written for key, written in before.items()):
        return "repeated"
    if read_findings(outputs) != read_findings(expected):
        return "other findings"
    if more := list_names(outputs) ^ list_names(expected):
        return f"left or lost {sorted(more)[:5]}"
    return "clean"


def disturb_files() -> int:
    """Run the command line with each of our file operations under the outputs counted, and copied before or made to fail."""
    from lrreport.__main__ import main

    outputs, kind, which = os.environ[OUT], os.environ[KIND], json.loads(os.environ[WHICH])
    lock, busy, n = RLock(), [False], [0]
    sites: list[str] = []

    def strike(path: object) -> None:
        if not isinstance(path, str | os.PathLike) or not os.fsdecode(path).startswith(outputs):
            return
        with lock:
            if busy[0]:  # copying by this script
                return
            n[0] += 1
            sites.append(_name_site(Path(os.fsdecode(path))))
            if kind == "points" and Path(outputs).exists():
                busy[0] = True
                with suppress(shutil.Error):  # what a kernel removes meanwhile
                    shutil.copytree(outputs, Path(os.environ[WORK], f"point-{n[0]}"), symlinks=True)
                busy[0] = False
            elif kind == "errors" and n[0] == which[0]:
                raise OSError(which[1], os.strerror(which[1]), os.fsdecode(path))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in CHANGES or writes:
            strike(arguments[0])

    sync = os.fsync

    def fsync(descriptor: int) -> None:
        strike(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    os.fsync = fsync
    sys.addaudithook(hook)
    try:
        return main()
    finally:
        Path(os.environ[WORK], "sites").write_text(json.dumps(sites))


def _name_site(path: Path) -> str:
    """Return the innermost three of our functions that are running, and the name of the file they work on."""
    frame, functions = sys._getframe(1), []
    while frame is not None and len(functions) < 3:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("lrreport."):
            functions.append(f"{name}.{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back  # type: ignore[assignment]
    return f"{' < '.join(functions)} ({path.suffix or 'no suffix'})"


def run_disturbed(outputs: Path, work: Path, kind: str, which: Sequence[int] = ()) -> tuple[int, str]:
    """Make the report with its file operations disturbed."""
    environment = os.environ | {WORK: str(work), OUT: str(outputs), KIND: kind, WHICH: json.dumps(which)}
    return run_report(outputs, CHECKOUT, "benchmarks.disturb", env=environment)


def choose(sites: Sequence[str], n: int | str | None, seed: int) -> list[int]:
    """Return the operations to try, from 1: all, n drawn ones, or the first of each site."""
    every = list(range(1, len(sites) + 1))
    if n is None:
        return every
    if isinstance(n, int):
        return random.Random(seed).sample(every, min(n, len(every)))
    return [sites.index(site) + 1 for site in dict.fromkeys(sites)]


def try_points(work: Path, n: int | str | None, expected: Path) -> list[Callable[[], Outcome]]:
    """Return what continues from a copy of the outputs before each file operation."""
    status, err = run_disturbed(work / "observed", work, "points")
    assert status == 0, err
    sites = json.loads((work / "sites").read_text())
    chosen = [work / f"point-{operation}" for operation in choose(sites, n, seed=1)]
    print(f"{len(sites)} file operations at {len(set(sites))} sites, {len(chosen)} tried", flush=True)

    def go_on(point: Path) -> Outcome:
        outcome = judge(point, expected)
        shutil.rmtree(point, ignore_errors=True)
        return outcome, point.name

    return [lambda point=point: go_on(point) for point in chosen]  # type: ignore[misc]


def try_errors(work: Path, n: int | str | None, expected: Path) -> list[Callable[[], Outcome]]:
    """Return what lets each file operation fail once, and goes on."""
    run_disturbed(work / "observed", work, "count", (0, 0))
    sites = json.loads((work / "sites").read_text())
    cases = [(operation, number) for operation in choose(sites, n, seed=2) for number in (errno.ENOSPC, errno.EIO)]
    print(f"{len(sites)} file operations at {len(set(sites))} sites, {len(cases)} errors tried", flush=True)

    def fail(operation: int, number: int) -> Outcome:
        folder = work / f"error-{operation}-{number}"
        folder.mkdir()
        status, err = run_disturbed(folder / "outputs", folder, "errors", (operation, number))
        lines = list_messages(err)
        what = f"operation {operation}, {errno.errorcode[number]}: status {status}, {lines[-2:]}"
        reaction = "reported" if status == 1 and len(lines) in (1, 2) else "done" if status == 0 else "unreported"
        outcome = judge(folder / "outputs", expected)
        shutil.rmtree(folder, ignore_errors=True)
        return f"{reaction}, then {outcome}", what

    return [lambda case=case: fail(*case) for case in cases]  # type: ignore[misc]


def try_environments(work: Path, n: int | str | None, expected: Path) -> list[Callable[[], Outcome]]:
    """Return what makes the report in drawn environments."""
    names = (sorted(sys.stdlib_module_names), sorted(packages_distributions()))
    return [
        lambda seed=seed: _try_environment(work, seed, names, expected)
        for seed in range(n if isinstance(n, int) else 200)
    ]  # type: ignore[misc]


def _try_environment(work: Path, seed: int, names: tuple[list[str], list[str]], expected: Path) -> Outcome:
    rng = random.Random(seed)
    folder = work / f"env {seed}" / rng.choice(["plain", 'it\'s; a "q" {x}', "ü名 100% $HOME", "a b"])
    folder.mkdir(parents=True)
    environment = os.environ | {name: VARIABLES[name] for name in rng.sample(sorted(VARIABLES), rng.randint(3, 15))}
    # What PYTHONPATH names Python itself imports before our first line, where it needs a module of that name.
    standard, ours = names
    for name in rng.sample(ours if "PYTHONPATH" in environment else [*standard, *ours], 12):
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the working folder was imported')\n")
    drawn = sorted(set(environment.items()) - set(os.environ.items()))
    if rng.random() < 0.3:
        environment["TMPDIR"] = str(folder / rng.choice(["t", "ü" * 40, "missing"]))
        if not environment["TMPDIR"].endswith("missing"):
            Path(environment["TMPDIR"]).mkdir()
    if rng.random() < 0.3:
        environment["HOME"] = str(folder / "home") if rng.random() < 0.5 else "/nonexistent"
        environment["LRREPORT_DATA"] = str(folder / "data")
    closed, umask = rng.choice([(), (), (0,)]), rng.choice([0o022, 0o077, 0o002])
    drawn += [
        ("TMPDIR", environment.get("TMPDIR")),
        ("HOME", environment.get("HOME")),
        ("closed", closed),
        ("umask", umask),
    ]

    def prepare() -> None:
        os.umask(umask)
        for descriptor in closed:
            os.close(descriptor)

    outputs = folder / "outputs"
    status, err = run_report(outputs, folder, env=environment, preexec_fn=prepare)
    lines = list_messages(err)
    what = f"seed {seed}: {folder.name}, {drawn}: {lines[-2:]}"
    if status == 0:
        outcome = "as undisturbed" if read_findings(outputs) == read_findings(expected) else "OTHER FINDINGS"
    else:
        outcome = "one line" if status in (1, 2) and len(lines) == 1 else f"STATUS {status}, {len(lines)} LINES"
    shutil.rmtree(work / f"env {seed}", ignore_errors=True)
    return outcome, what


def main() -> int:
    """Print the count of each outcome, and every unexpected outcome; return the exit status."""
    kind, *rest = sys.argv[1:]
    n: int | str | None = None if not rest else rest[0] if rest[0] == "sites" else int(rest[0])
    trials = {"points": try_points, "errors": try_errors, "environments": try_environments}[kind]
    with tempfile.TemporaryDirectory(prefix="disturb-") as made, ThreadPoolExecutor(2) as threads:
        work = Path(made)
        status, err = run_report(work / "expected")
        assert status == 0, err
        tally: Counter[str] = Counter()
        for outcome, what in threads.map(lambda trial: trial(), trials(work, n, work / "expected")):
            tally[outcome] += 1
            if outcome not in ("clean", "reported, then clean", "done, then clean", "as undisturbed"):
                print(f"{outcome}: {what}", flush=True)
        print(dict(tally))
    return 0


if __name__ == "__main__":
    sys.exit(disturb_files() if OUT in os.environ and sys.argv[1] == "report" else main())
