"""Real JupyterLab in a real browser: the notebooks run there and show what the page shows."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lrreport.project import find_reference
from lrreport.record.contents import read_contents

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab on copies of the notebooks without their outputs; training has fewer seeds and epochs."""
    folder = tmp_path_factory.mktemp("lab")
    for name in ("summary", "train"):
        shutil.copyfile(repository / f"notebooks/{name}.ipynb", folder / f"{name}.ipynb")
    training = (folder / "train.ipynb").read_text(encoding="utf-8")
    for usual, small in (
        ("seeds: list = [0, 1, 2, 3, 4]", "seeds: list = [0, 1]"),
        ("epochs: int = 5", "epochs: int = 1"),
    ):
        assert usual in training
        training = training.replace(usual, small)
    (folder / "train.ipynb").write_text(training, encoding="utf-8")
    command = [sys.executable, "-m", "nbconvert", "--clear-output", "--inplace", *map(str, folder.glob("*.ipynb"))]
    subprocess.run(command, check=True, capture_output=True)
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", "--IdentityProvider.token=x",
         f"--ServerApp.root_dir={folder}", f"--ServerApp.info_file={folder}/info.json"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "JUPYTER_CONFIG_DIR": str(folder / "config")},
    )  # fmt: skip
    try:
        assert server.stderr is not None
        yield next(m.group(1) for line in server.stderr if (m := re.search(r"(http://127\.0\.0\.1:\d+)/lab", line)))
    finally:
        server.terminate()
        server.wait(20)


def run_all(browser: Any, lab: str, name: str) -> Any:
    """Open a notebook in a new workspace and run all its cells; return the page."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(f"{lab}/lab/workspaces/{name}/tree/{name}.ipynb?token=x")
    page.get_by_text("| Idle").wait_for(timeout=60_000)  # an open menu does not notice that the kernel has come
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All( Cells)?$")).click()
    return page


def test_the_summary_runs_and_its_explorer_works(browser: Any, lab: str) -> None:
    page = run_all(browser, lab, "summary")
    page.locator(".jp-OutputArea h1#answer").wait_for(timeout=120_000)
    explorer = page.locator(".jp-OutputArea .explorer")
    explorer.locator("canvas").first.wait_for(timeout=60_000)
    explorer.scroll_into_view_if_needed()
    n_runs = len(read_contents(find_reference()).runs)
    assert explorer.locator("table tbody tr").count() >= n_runs
    assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
    page.close()


def test_the_training_runs(browser: Any, lab: str) -> None:
    page = run_all(browser, lab, "train")
    page.get_by_text("Not kept: run_dir is empty.").wait_for(timeout=180_000)  # the output of the penultimate cell
    assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
    assert page.locator(".jp-RenderedSVG").count() >= 1
    page.close()
