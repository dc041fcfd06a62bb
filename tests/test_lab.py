"""Real JupyterLab in a real browser: the notebooks run there and show what the page shows."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lrreport.report import narrative
from lrreport.report.results import load_results

pytestmark = pytest.mark.slow


def test_jupyterlab_runs_the_summary(repository: Path, browser: Any, tmp_path: Path) -> None:
    """Real JupyterLab on a copy of the notebook: Run All, figures visible, no error."""
    shutil.copyfile(repository / "notebooks/summary.ipynb", tmp_path / "summary.ipynb")
    subprocess.run([sys.executable, "-m", "nbconvert", "--clear-output", "--inplace", str(tmp_path / "summary.ipynb")],
                   check=True, capture_output=True)  # fmt: skip
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", "--IdentityProvider.token=x",
         f"--ServerApp.root_dir={tmp_path}", f"--ServerApp.info_file={tmp_path}/info.json"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path / "config")},
    )  # fmt: skip
    try:
        assert server.stderr is not None
        address = next(m.group(1) for line in server.stderr if (m := re.search(r"(http://127\.0\.0\.1:\d+)/lab", line)))
        page = browser.new_page()
        page.goto(f"{address}/lab/tree/summary.ipynb?token=x")
        page.get_by_text("| Idle").wait_for(timeout=60_000)  # an open menu does not notice that the kernel has come
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name=re.compile("^Run All( Cells)?$")).click()
        page.locator(".jp-RenderedSVG img, .jp-RenderedSVG svg").nth(1).wait_for(timeout=90_000)
        page.get_by_text(narrative.answer(load_results()).text.partition(":")[0]).first.wait_for(timeout=30_000)
        assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
        page.close()
    finally:
        server.terminate()
        server.wait(20)
