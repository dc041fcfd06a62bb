"""What goes wrong on real machines, brought about for real: kills, full disks, races, and a hostile home."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from lrreport.record.record import PROGRESS, load_arrays, load_record
from lrreport.sweep.environment import PRIVATE

pytestmark = pytest.mark.slow

N_KILLS = int(os.environ.get("LRREPORT_KILLS", "2"))
N_RACES = int(os.environ.get("LRREPORT_RACES", "1"))
SETTINGS = ["--learning-rates", "0.01", "0.001", "--seeds", "0", "1", "--epochs", "2", "--name", "small"]
Process = subprocess.Popen[str]


def listen_to_interrupts() -> None:
    """Undo what shells do to commands in the background: they start them deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(
    outputs: Path, *arguments: str, prepare: Callable[[], object] = listen_to_interrupts, **options: Any
) -> Process:
    """Start the report of a small study in a new session."""
    command = [
        sys.executable,
        "-m",
        "lrreport.cli",
        "report",
        "studies/quick.toml",
        "--outputs",
        str(outputs),
        *SETTINGS,
    ]
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=prepare, **options,
    )  # fmt: skip


def finish(outputs: Path, *arguments: str, **options: Any) -> tuple[int, str, str]:
    process = start(outputs, *arguments, **options)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def read_results(outputs: Path) -> dict[str, Any]:
    """Return every metric, prediction and sentence of a report that is not about time."""
    results: dict[str, Any] = {}
    for folder in outputs.glob("runs/[!.]*"):
        record = load_record(folder).model_dump(mode="json")
        record["history"] = [series for series in record["history"] if series["metric"] != "cpu_seconds"]
        record["final"].pop("cpu_seconds", None)
        del record["facts"], record["arrays"]
        results[folder.name] = record
        results |= {f"{folder.name} {name}": array.tobytes() for name, array in load_arrays(folder).items()}
    document = json.loads((outputs / "small/findings.json").read_text())
    for number, finding in enumerate(document["findings"]):
        if "CPU" not in json.dumps(finding):
            results[f"finding {number}"] = finding
    assert sum(name.startswith("finding") for name in results) > 10
    return results | {"answer": document["answer"]}


def list_records(outputs: Path) -> dict[Path, tuple[int, int]]:
    """Return the inode and time of every stored record, all of which must be whole."""
    records = {}
    for folder in outputs.glob("runs/[!.]*"):
        load_record(folder)
        records[folder] = ((folder / "record.json").stat().st_ino, (folder / "record.json").stat().st_mtime_ns)
    return records


def list_family(process: Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def find_kernels(outputs: Path) -> list[psutil.Process]:
    """Return the processes that work for a report in `outputs`: the workers name it, their kernels are their children."""
    processes = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        if str(outputs) in " ".join(process.info["cmdline"] or []) or (process.info["environ"] or {}).get(
            "LRREPORT_TEST"
        ) == str(outputs):
            processes.append(process)
    return processes


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float]:
    """The results of a report that nothing disturbs, and how many seconds it takes."""
    outputs = tmp_path_factory.mktemp("undisturbed")
    started = time.monotonic()
    status, _, err = finish(outputs)
    assert status == 0, err
    return read_results(outputs), time.monotonic() - started


def test_kills_at_random_moments_lose_and_repeat_nothing(
    tmp_path: Path, undisturbed: tuple[dict[str, Any], float]
) -> None:
    expected, seconds = undisturbed
    tally: Counter[str] = Counter()
    rng = random.Random(20)
    for trial in range(N_KILLS):
        outputs = tmp_path / str(trial)
        who, moment = rng.choice(["parent", "children", "both"]), rng.uniform(0, 1.1 * seconds)
        process = start(outputs, env=os.environ | {"LRREPORT_TEST": str(outputs)})
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        victims = list_family(process) if who != "parent" else []
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        if who != "children":
            process.kill()
        process.communicate(timeout=300)
        _, alive = psutil.wait_procs(find_kernels(outputs), timeout=30)
        assert not alive, f"left after killing {who} at {moment:.1f} s: {alive}"
        finished = list_records(outputs)  # each of them whole
        status, _, err = finish(outputs)
        assert status == 0, err
        after = list_records(outputs)
        assert len(after) == 4
        tally["runs finished before the kill"] += len(finished)
        tally["of these repeated"] += sum(after[folder] != stat for folder, stat in finished.items())
        tally["results that differ"] += sum(read_results(outputs)[name] != value for name, value in expected.items())
        tally["leftovers"] += len([*outputs.glob("runs/.[!l]*"), *outputs.glob("small/.making-*")])
        tally[f"killed: {who}"] += 1
        shutil.rmtree(outputs)
    print(f"\n{N_KILLS} kills in {seconds:.0f} s of work each: {dict(tally)}; {len(expected)} results compared")
    assert tally["of these repeated"] == tally["results that differ"] == tally["leftovers"] == 0


def test_three_at_once_make_each_run_once(tmp_path: Path) -> None:
    """Two processes make the same report, so the second waits. A third makes another report and shares a run with them."""
    tally: Counter[str] = Counter()
    for trial in range(N_RACES):
        outputs = tmp_path / str(trial)
        changes = ["--name", "other", "--learning-rates", "0.001", "0.0001"]
        processes = [start(outputs), start(outputs), start(outputs, *changes)]
        workspaces = set()
        while any(process.poll() is None for process in processes):
            workspaces |= set(outputs.glob("runs/.*-*"))  # each execution has a separate workspace, for seconds
            time.sleep(0.02)
        ends = [(*process.communicate(timeout=300), process.returncode) for process in processes]
        assert [status for _, _, status in ends] == [0, 0, 0], ends
        assert ends[0][0] == ends[1][0]  # the same answer and the same page
        assert any("waiting for process" in err and "report studies/quick.toml" in err for _, err, _ in ends[:2]), ends
        assert {path.parent.name for path in outputs.glob("*/report.html")} == {"small", "other"}
        tally["runs asked for"] += 12
        tally["runs stored"] += len(list_records(outputs))
        tally["executions"] += len(workspaces)
        shutil.rmtree(outputs)
    print(f"\n{N_RACES} races of three: {dict(tally)}")
    assert tally["runs stored"] == 6 * N_RACES
    assert tally["executions"] == 3 * N_RACES  # a single execution per rate


@pytest.mark.parametrize(
    ("sent", "status", "moment"), [(signal.SIGINT, 130, 1.0), (signal.SIGTERM, 143, 2.5), (signal.SIGINT, 130, 4.0)]
)
def test_a_signal_stops_everything_soon(tmp_path: Path, sent: int, status: int, moment: float) -> None:
    temporary = tmp_path.parent / f"t{sent}{moment:.0f}"
    temporary.mkdir()
    process = start(tmp_path, env=os.environ | {"LRREPORT_TEST": str(tmp_path), "TMPDIR": str(temporary)})
    with suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    started = time.monotonic()
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - started < 20  # 5 on an idle machine
    assert process.returncode == status
    assert err.splitlines()[-1] == "lrreport: stopped; finished runs are kept, the same command goes on from there"
    _, alive = psutil.wait_procs(find_kernels(tmp_path), timeout=5)  # a kernel that nobody launches ends by itself
    assert not alive
    assert not list(temporary.glob(f"{PRIVATE}*"))
    assert not list(tmp_path.glob("runs/.[!l]*"))


def test_a_failed_run_is_named_and_the_report_made_without_it(tmp_path: Path) -> None:
    """A kernel is killed: the surviving run is stored, the report names the missing rate, the next call makes only that run."""
    process = start(tmp_path, "--jobs", "1", "--keep-going")
    killed = False
    while not killed and process.poll() is None:
        training = any(path.stat().st_size for path in tmp_path.glob(f"runs/.*/{PROGRESS}"))
        for member in list_family(process) if training else []:
            with suppress(psutil.NoSuchProcess):
                if member.name() == "lrreport-kernel":
                    member.kill()
                    killed = True
        time.sleep(0.05)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert " failed: its kernel was killed (SIGKILL)" in err
    notebook = tmp_path / "small/failed/learning_rate=0.01/train.ipynb"
    assert f"; see {notebook} and execution.log beside it" in err
    assert notebook.exists()
    assert notebook.with_name("execution.log").exists()
    findings = json.loads((tmp_path / "small/findings.json").read_text())
    assert out.startswith(findings["answer"])
    assert "2 runs are missing (0.01)." in json.dumps(findings)
    assert "2 of 4 runs finished" in findings["kicker"]
    records = list_records(tmp_path)
    status, out, err = finish(tmp_path)
    assert status == 0, err
    assert "missing" not in out
    assert {folder: stat for folder, stat in list_records(tmp_path).items() if folder in records} == records
    assert not notebook.exists()


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a file system in memory of this size, where the machine allows it."""
    mounted = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
        )
        if done.returncode != 0:
            pytest.skip("this machine does not allow to mount")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_named_and_nothing_half_is_left(tmp_path: Path, mount: Callable[[str], Path]) -> None:
    outputs = mount("size=2m")
    filler = outputs / "filler"
    for free in (20_000, 120_000, 400_000):  # too little for a notebook, for a record, for the report
        filler.unlink(missing_ok=True)
        with filler.open("wb") as file, suppress(OSError):
            file.write(bytes(max(0, shutil.disk_usage(outputs).free - free)))
        status, _, err = finish(outputs)
        assert status == 1, err
        assert "No space left on device" in err
        assert "free some space" in err or "cell" in err
        assert "Traceback" not in err
        list_records(outputs)  # whole, or not there
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=40m", str(outputs)], check=True)
    status, _, err = finish(outputs)
    assert status == 0, err
    assert len(list_records(outputs)) == 4
    assert not list(outputs.glob("runs/.[!l]*"))


def test_a_folder_that_is_read_only_is_named(tmp_path: Path, mount: Callable[[str], Path]) -> None:
    outputs = mount("size=40m")
    subprocess.run(["mount", "-o", "remount,ro", str(outputs)], check=True)
    status, _, err = finish(outputs)
    assert (status, err) == (
        2,
        f"lrreport: {outputs}/small: cannot make this folder (Read-only file system); choose another with --outputs\n",
    )


def test_a_full_folder_for_temporary_files_is_named(tmp_path: Path) -> None:
    """In a mount namespace, every folder for temporary files is full except the last."""
    if Path(sys.executable).is_relative_to("/tmp"):
        pytest.skip("this machine does not allow to fill /tmp: Python itself lies there")
    fill = "mount -t tmpfs -o size=8k,nr_inodes=4 full {0}; head -c 1M /dev/zero > {0}/filler 2>/dev/null"
    full = "; ".join(fill.format(folder) for folder in ("/tmp", "/var/tmp"))
    outputs = Path.home() / f".lrreport-test-{os.getpid()}"  # not under /tmp, which is full
    command = [
        sys.executable,
        "-m",
        "lrreport.cli",
        "report",
        str(Path("studies/quick.toml").resolve()),
        "--outputs",
        str(outputs),
        *SETTINGS,
    ]
    script = f"{full}; cd /proc; " + ' "$@"'
    try:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *command], capture_output=True, text=True, check=False
        )
        if "unshare" in done.stderr:
            pytest.skip("this machine does not allow namespaces")
        assert done.returncode == 1, done.stderr
        assert "No usable temporary directory found" in done.stderr
        assert "set TMPDIR to another folder, and repeat" in done.stderr
        outputs.mkdir(exist_ok=True)
        script = f"{full}; cd /proc; TMPDIR={outputs} " + ' "$@"'
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    finally:
        shutil.rmtree(outputs, ignore_errors=True)


def test_too_little_memory_is_named(tmp_path: Path) -> None:
    """Address space for a kernel and not for its networks."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1_800_000_000, 1_800_000_000))

    study = tmp_path / "large.toml"
    study.write_text(
        "seeds = [0, 1]\n[vary]\nlearning_rate = [0.01, 0.001]\n[fixed]\ndataset = 'sample'\nepochs = 1\n"
        "batch_size = 500\nvalidation_size = 1500\nmodel = { name = 'mlp', hidden_sizes = [4096, 4096] }\n"
    )
    command = [sys.executable, "-P", "-m", "lrreport.cli", "report", str(study), "--outputs", str(tmp_path / "outputs")]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    named = done.stderr.count("out of memory, so run fewer at once with --jobs 1")
    gave_up = done.stderr.count(
        "its kernel gave up (SIGABRT), as libraries do when memory runs out: then run fewer with --jobs 1"
    )
    assert named + gave_up == 2, done.stderr
    fewer = ["--learning-rates", "0.01", "--seeds", "0"]
    assert subprocess.run([*command, *fewer], capture_output=True, check=False).returncode == 0


def test_a_kernel_killed_for_memory_is_named(tmp_path: Path) -> None:
    """A control group of little memory, in which the system kills the kernel."""
    group, limit = Path(f"/sys/fs/cgroup/memory/lrreport-{os.getpid()}"), "memory.limit_in_bytes"
    if not group.parent.is_dir():
        group, limit = Path(f"/sys/fs/cgroup/lrreport-{os.getpid()}"), "memory.max"
    try:
        group.mkdir()
        (group / limit).write_text("250M")
    except OSError:
        with suppress(OSError):
            group.rmdir()
        pytest.skip("this machine does not allow control groups")
    try:
        status, _, err = finish(
            tmp_path, "--jobs", "1", prepare=lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
        )
        assert status == 1
        assert "failed: its kernel was killed because memory ran out; run fewer at once with --jobs 1; see" in err
    finally:
        time.sleep(0.5)
        group.rmdir()


def test_a_home_full_of_settings_changes_nothing(tmp_path: Path, undisturbed: tuple[dict[str, Any], float]) -> None:
    home = tmp_path / "home"
    files = {
        ".ipython/profile_default/startup/00.py": "raise SystemExit('start-up file')",
        ".ipython/profile_default/ipython_config.py": "c.InteractiveShellApp.exec_lines = ['1/0']",
        ".jupyter/jupyter_config.py": "c.KernelManager.transport = 'nonsense'",
        ".local/share/jupyter/kernels/python3/kernel.json": '{"argv": ["false"], "display_name": "x", "language": "python"}',
        ".config/matplotlib/matplotlibrc": "figure.dpi: 31\nfont.size: 40\naxes.facecolor: red\nlines.linewidth: 9\n",
        "work/matplotlibrc": "figure.dpi: 31\nfont.size: 40\naxes.facecolor: red\n",
        "work/torch.py": "raise SystemExit('a module of the user')",
        "modules/numpy.py": "raise SystemExit('a module of the user')",
        "modules/sitecustomize.py": "",
    }
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    outputs, study = tmp_path / "outputs", str(Path("studies/quick.toml").resolve())
    # As the script in .venv/bin does it: modules where it is called are none of its business (-P).
    command = [sys.executable, "-P", "-m", "lrreport.cli", "report", study, "--outputs", str(outputs), *SETTINGS]
    environment = os.environ | {
        "HOME": str(home), "PYTHONPATH": str(home / "modules"), "LC_ALL": "tr_TR.UTF-8", "LANG": "de_DE.UTF-8",
        "MPLCONFIGDIR": str(home / ".config/matplotlib"), "OMP_NUM_THREADS": "7", "JUPYTER_PATH": str(home), "COLUMNS": "20",
        "IPYTHONDIR": str(home / ".ipython"), "PYTHONHASHSEED": "3", "MATPLOTLIBRC": str(home / "work/matplotlibrc"),
    }  # fmt: skip
    done = subprocess.run(command, env=environment, cwd=home / "work", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected, results = undisturbed[0], read_results(outputs)
    assert results.keys() == expected.keys()
    assert [name for name in expected if results[name] != expected[name]] == []
    page = (outputs / "small/report.html").read_bytes()
    (outputs / "small/.made-from").unlink()
    assert finish(outputs)[0] == 0  # the same records, without those settings
    assert (outputs / "small/report.html").read_bytes() == page


def test_a_clone_may_lie_anywhere(tmp_path: Path, repository: Path) -> None:
    """A path with blanks, quotes, a semicolon, braces, a percent sign and letters of foreign alphabets."""
    clone = tmp_path / 'it\'s; a "clone" {x} 100% ü名'
    for name in ("src", "studies", "notebooks"):
        shutil.copytree(repository / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copyfile(repository / name, clone / name)
    code = f"import sys; sys.path.insert(0, {str(clone / 'src')!r}); from lrreport.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "report", "studies/quick.toml", *SETTINGS]
    done = subprocess.run(command, cwd=clone, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert np.all([path.is_relative_to(clone) for path in [Path(done.stdout.splitlines()[-1])]])
    assert len(list_records(clone / "outputs")) == 4
