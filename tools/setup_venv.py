"""Build .venv from requirements.lock; run by the system's own Python, so it needs nothing and parses on old ones."""

import glob
import hashlib
import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "made-from")
LOG = os.path.join(ROOT, ".venv-setup.log")


def fail(problem, remedy):
    """End with one line that says what was found and what to do."""
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


def run(command):
    """Run a command with its output in the log; return whether it succeeded."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    with open(LOG, "ab") as log:
        return subprocess.call(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=environment) == 0


def install():
    """Install the lock's versions and the package itself, in editable mode; end with a line if that fails."""
    pip = [os.path.join(VENV, "bin", "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    # The lock constrains: of its pins only those are installed that something here needs, so a CPU build of
    # torch brings no CUDA libraries.
    locked = pip + ["--constraint", "requirements.lock"]
    if not run(locked + ["hatchling", "editables"]):  # small, so it tells whether the index is there
        give_up("pip cannot reach the package index", "connect to a network, or set pip's index (log: %s)" % LOG)
    if not run(locked + ["--no-build-isolation", "--editable", ".[dev]"]):
        give_up("pip could not install the lock", "see the end of %s" % LOG)
    shorten_paths()


def shorten_paths():
    """Let .venv find our modules by a relative path: Python reads an absolute one in the encoding of the user's locale."""
    for name in glob.glob(os.path.join(glob.escape(VENV), "lib", "python*", "site-packages", "*.pth")):
        with open(name, "rb") as file:
            lines = file.read().decode("utf-8").splitlines()
        if os.path.join(ROOT, "src") in lines:
            with open(name, "w") as file:
                file.write(os.path.relpath(os.path.join(ROOT, "src"), os.path.dirname(name)) + "\n")


def give_up(problem, remedy):
    """Remove what is half made, and end with one line."""
    shutil.rmtree(VENV, ignore_errors=True)
    fail(problem, remedy)


def main():
    """Build .venv unless it is up to date."""
    found = "Python %d.%d" % sys.version_info[:2]
    if sys.version_info[:2] < OLDEST:
        fail("%s is too old" % found, "install Python %d.%d or newer, or name one: make PYTHON=python3.11" % OLDEST)
    target = describe_target()
    if is_up_to_date(target):
        return
    sys.stderr.write("Setting up .venv from requirements.lock (a few minutes the first time) ...\n")
    shutil.rmtree(VENV, ignore_errors=True)
    open(LOG, "wb").close()
    if not run([sys.executable, "-m", "venv", VENV]):
        give_up("this Python cannot make virtual environments", "install python3-venv (log: %s)" % LOG)
    install()
    with open(STAMP, "w") as file:  # last, so that an interrupted set-up is not taken for a finished one
        file.write(target)
    os.remove(LOG)


if __name__ == "__main__":
    main()
