"""Take the README's pictures of the default report: its first screen, in light and dark, where Chromium is installed."""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).resolve().parents[1] / ".github"
PAGE = FOLDER.parent / "outputs" / "fashion_mnist" / "report.html"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


def main() -> None:
    """Write report-light.png and report-dark.png into .github."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("The README's pictures stay as they are: Chromium is not installed.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1080, "height": 810}, color_scheme=scheme)
            page.goto(PAGE.as_uri())
            page.screenshot(path=FOLDER / f"report-{scheme}.png")
        browser.close()


if __name__ == "__main__":
    main()
