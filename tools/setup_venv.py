"""Build .venv from requirements.lock; run by the system's Python, so it needs no packages and parses on old versions."""

import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
OLD = VENV + "-old"  # the previous environment, until the new one is complete
STAMP = os.path.join(VENV, "made-from")
LOG = os.path.join(ROOT, ".venv-setup.log")
# Settings of pip that say where packages come from; the rest, such as PIP_USER or PIP_TARGET, would put them elsewhere.
KEPT = [
    "INDEX_URL",
    "EXTRA_INDEX_URL",
    "FIND_LINKS",
    "NO_INDEX",
    "TRUSTED_HOST",
    "CERT",
    "CLIENT_CERT",
    "PROXY",
    "TIMEOUT",
    "DEFAULT_TIMEOUT",
    "RETRIES",
    "CACHE_DIR",
    "NO_CACHE_DIR",
    "CONFIG_FILE",
    "KEYRING_PROVIDER",
]
OFF = ["DRY_RUN", "NO_DEPS"]  # in a configuration file of pip they would leave .venv empty; variables come before that
PYTHON = os.path.join(VENV, "bin", "python")
PIP = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-user"]
UV = [os.path.join(VENV, "bin", "uv"), "pip", "install", "--python", PYTHON, "--no-deps", "--no-index"]
UV += ["--no-cache", "--no-config"]
# What commands and tests import, in two halves. uv leaves it to Python to compile packages, at their first import.
IMPORTED = [
    "torch, lrreport.training.loop, scipy.stats, statsmodels.api, sklearn.metrics",
    "pandas, matplotlib.pyplot, seaborn, papermill, nbconvert, ipykernel.kernelapp, lrreport.report.document, pytest, "
    "hypothesis, nbval, distributed, jsonschema, playwright.sync_api",
]


def fail(problem, remedy):
    """Exit with a line that states the problem and the remedy."""
    sys.stderr.write("setup: %s; %s\n" % (problem, remedy))
    sys.exit(2)


def describe_target():
    """Return what .venv depends on, as a digest: the lock, the dependencies, and where the clone is."""
    digest = hashlib.sha256(ROOT.encode("utf-8"))
    for name in ("requirements.lock", "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def is_up_to_date(target):
    """Return whether .venv was completely made from just this."""
    try:
        with open(STAMP) as file:
            return file.read() == target
    except (IOError, OSError):
        return False


def start(command):
    """Start a command with its output in the log."""
    environment = dict(os.environ)
    for name in os.environ:
        if name in ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE") or (
            name.startswith("PIP_") and name[4:] not in KEPT
        ):
            del environment[name]
    environment.update(("PIP_%s" % name, "0") for name in OFF)
    with open(LOG, "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)


def run(command):
    """Run a command with its output in the log; return whether it succeeded."""
    return start(command).wait() == 0


def install():
    """Install what the lock pins, checked by digest, and the package itself in editable mode; end with a line if that fails."""
    project = ["--no-build-isolation", "--editable"]
    # Installed first, since they show whether the index can be reached. The pip bundled with Python may be years old; a current
    # one resolves in a third of the time.
    small = ["hatchling", "editables", "pip"]
    if not (
        install_locked(["--only-binary=uv", "uv"] + small) or install_locked(small)
    ):  # uv is not built for all systems
        give_up("pip cannot reach the package index", "connect to a network, or set pip's index (log: %s)" % LOG)
    if not install_locked(project + [".[dev]"]) or not run(PIP + ["--no-deps"] + project + ["."]):
        give_up("pip could not install the lock", "see the end of %s" % LOG)
    check = "import sys; from importlib.util import find_spec; sys.exit(not all(map(find_spec, ['lrreport', 'torch'])))"
    if not run([PIP[0], "-c", check]):
        give_up("pip installed it elsewhere", "remove target, prefix or root from what `pip config list` shows")
    shorten_paths()
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):  # else each process compiles all that it imports: half of its start
        processes = [start([PYTHON, "-c", "import %s" % modules]) for modules in IMPORTED]
        run([PYTHON, "-m", "compileall", "-q", os.path.join(ROOT, "src")])
        for process in processes:
            process.wait()


def install_locked(wanted):
    """Install what these requirements need, in the lock's versions and with its digests; return whether that succeeded.

    Of the lock's pins only those are installed that something here needs, so a CPU build of torch brings no CUDA libraries.
    Such a build has a local version (2.13.0+cpu) with a separate digest, which no lock for all platforms can name: it alone
    is installed unchecked, from where pip's settings say. Where packages are is left to pip, whose settings users have; uv
    then fetches and unpacks them in a tenth of the time, and pip does so where uv cannot.
    """
    pins = read_lock()
    files = [os.path.join(VENV, name) for name in ("pins.txt", "needed.json", "needed.txt")]
    with open(files[0], "w") as file:
        file.write("".join("%s==%s%s\n" % (name, version, marker) for name, version, marker, _ in pins))
    if not run(PIP + ["--dry-run", "--report", files[1], "--constraint", files[0]] + wanted):
        return False
    with open(files[1]) as file:
        packages = [package for package in json.load(file)["install"] if "dir_info" not in package["download_info"]]
    digests = {(name, version): hashes for name, version, _, hashes in pins}
    locked, urls, local = [], [], []  # of each package: pin and digests; where it is and its digest; where it is
    for package in packages:
        name, version = re.sub("[-_.]+", "-", package["metadata"]["name"]).lower(), package["metadata"]["version"]
        url = "%s @ %s" % (name, package["download_info"]["url"])
        if (name, version) in digests:
            locked.append("%s==%s %s" % (name, version, " ".join(digests[name, version])))
            digest = package["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
            if "--hash=sha256:%s" % digest in digests[name, version]:
                urls.append("%s --hash=sha256:%s" % (url, digest))
        elif "+" in version:
            local.append(url)
    checked = ["--require-hashes", "--requirement", files[2]]
    done = len(urls) == len(locked) and os.path.exists(UV[0]) and run_with(urls, files[2], UV + checked)  # far faster
    done = done or run_with(locked, files[2], PIP + ["--no-deps"] + checked)
    if done and local:
        done = (os.path.exists(UV[0]) and run(UV + local)) or run(PIP + ["--no-deps"] + local)
    for name in files:
        os.remove(name)
    return done


def run_with(lines, path, command):
    """Write a file of requirements, and run the command that reads it; return whether it succeeded."""
    with open(path, "w") as file:
        file.write("".join("%s\n" % line for line in lines))
    return run(command)


def read_lock():
    """Return each pin of the lock: name, version, marker (empty or with its semicolon) and the options with its digests."""
    with open(os.path.join(ROOT, "requirements.lock")) as file:
        lines = file.read().replace("\\\n", " ").splitlines()
    pins = []
    for line in lines:
        words = line.split("--hash=")
        pin, _, marker = words[0].partition(";")
        name, _, version = pin.strip().partition("==")
        hashes = ["--hash=" + digest.strip() for digest in words[1:]]
        pins.append((name, version, " ;" + marker.rstrip() if marker else "", hashes))
    return pins


def shorten_paths():
    """Let .venv find our modules by a relative path: Python reads an absolute one in the encoding of the user's locale."""
    for name in glob.glob(os.path.join(glob.escape(VENV), "lib", "python*", "site-packages", "*.pth")):
        with open(name, "rb") as file:
            lines = file.read().decode("utf-8").splitlines()
        if os.path.join(ROOT, "src") in lines:
            with open(name, "w") as file:
                file.write(os.path.relpath(os.path.join(ROOT, "src"), os.path.dirname(name)) + "\n")


def give_up(problem, remedy):
    """Bring back the previous .venv, and exit with a line; a download with a wrong digest takes precedence over `problem`."""
    shutil.rmtree(VENV, ignore_errors=True)
    restore()
    with open(LOG, "rb") as log:
        if b"DO NOT MATCH THE HASHES" in log.read():
            fail("a download is not the file that requirements.lock names", "see the end of %s" % LOG)
    fail(problem, remedy)


def restore():
    """Bring back the environment that a set-up which was not completed had put aside."""
    if os.path.exists(OLD):
        shutil.rmtree(VENV, ignore_errors=True)
        os.rename(OLD, VENV)


def main():
    """Build .venv unless it is up to date; wait for any running set-up of this clone."""
    version = "Python %d.%d" % sys.version_info[:2]
    if sys.version_info[:2] < OLDEST:
        fail("%s is too old" % version, "install Python %d.%d or newer, or name one: make PYTHON=python3.11" % OLDEST)
    target = describe_target()
    if is_up_to_date(target):
        return
    clone = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(clone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write("setup: waiting for another set-up of this clone\n")
        fcntl.flock(clone, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        pass
    if not is_up_to_date(target):
        build(target)


def build(target):
    """Build .venv anew; the previous one is kept until then."""
    sys.stderr.write("Setting up .venv from requirements.lock (a few minutes the first time) ...\n")
    restore()
    if os.path.exists(VENV):
        os.rename(VENV, OLD)
    open(LOG, "wb").close()
    if not run([sys.executable, "-m", "venv", VENV]):
        give_up("this Python cannot make virtual environments", "install python3-venv (log: %s)" % LOG)
    install()
    with open(STAMP, "w") as file:  # last, so that an interrupted set-up does not count as finished
        file.write(target)
    os.remove(LOG)
    shutil.rmtree(OLD, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.stderr.write("setup: stopped; the same command begins it anew\n")
        sys.exit(130)
