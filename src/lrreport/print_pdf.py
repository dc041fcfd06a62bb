"""The report as a PDF, printed by a browser of the Chromium family."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from lrreport.errors import FailedError, LrreportError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "brave-browser")
FLAGS = ("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--no-pdf-header-footer")
TIMEOUT_SECONDS = 120


def print_page(page: Path) -> Path:
    """Print a page to a PDF beside it and return its path.

    Raises LrreportError if no browser is installed, FailedError if it prints nothing.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise LrreportError(
            f"no browser to print with: install {', '.join(BROWSERS[:-1])} or {BROWSERS[-1]}, or print {page} by hand"
        )
    target = page.with_suffix(".pdf")
    with tempfile.TemporaryDirectory(dir=page.parent) as folder:
        printed = Path(folder) / target.name
        # Chromium's sandbox refuses to work for root; the page is trusted and makes no requests.
        command = [browser, *FLAGS, "--no-sandbox", f"--user-data-dir={folder}/profile", f"--print-to-pdf={printed}"]
        try:
            done = subprocess.run(
                [*command, page.as_uri()], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as err:
            raise FailedError(f"{browser} printed nothing within {TIMEOUT_SECONDS} seconds") from err
        if done.returncode != 0 or not printed.exists():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise FailedError(f"{browser} could not print {page}: {last}")
        printed.replace(target)
    return target
