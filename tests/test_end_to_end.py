"""Whole studies from the command line to the page, in real processes and a real browser."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lrreport.report import narrative
from lrreport.report.results import load_results

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


def report(outputs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lrreport.cli", "report", "studies/quick.toml", "--outputs", str(outputs)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


def read_metrics(outputs: Path) -> dict[str, Any]:
    """Return all that the records hold but facts and times."""
    metrics = {}
    for path in sorted(outputs.glob("runs/*/record.json")):
        record = json.loads(path.read_text())
        for seed in record["seeds"]:
            for row in seed["epochs"]:
                del row["cpu_seconds"]
        metrics[path.parent.name] = {key: record[key] for key in ("identity", "seeds", "arrays", "n_parameters")}
    return metrics


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs of a 'study' ü")
    done = report(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(folder / "quick/report.html")
    return folder


def test_a_report_asks_for_nothing_and_carries_its_findings(outputs: Path) -> None:
    page = (outputs / "quick/report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "default-src 'none'" in page
    answer = json.loads((outputs / "quick/findings.json").read_text())["answer"]
    assert answer in html.unescape(page).replace("\N{NO-BREAK SPACE}", " ")
    assert page.count("<img ") == page.count('alt="') == 2
    assert "nan" not in re.sub(r"base64,[^\"]*|<details class=\"code\">.*?</details>", "", page, flags=re.DOTALL)


def test_a_second_report_does_nothing(outputs: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in outputs.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert report(outputs).returncode == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_the_same_records_give_the_same_bytes(outputs: Path) -> None:
    page = outputs / "quick/report.html"
    first = page.read_bytes()
    (outputs / "quick/.made-from").unlink()
    assert report(outputs).returncode == 0
    assert page.read_bytes() == first


def test_one_job_gives_the_same_bits(outputs: Path, tmp_path: Path) -> None:
    assert report(tmp_path, "--jobs", "1").returncode == 0
    assert read_metrics(tmp_path) == read_metrics(outputs)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--learning-rates", "10", "1e30", "0.001"], "Only 0.001|Choose 0.001|No single rate"),
        (["--learning-rates", "0.001"], "with one rate there is nothing to choose from"),
        (["--learning-rates", "0.001 0.0001", "--seeds", "0"], "one seed cannot tell a difference from chance"),
        (["--learning-rates", "0.001 0.0001", "--epochs", "1"], "Choose 0.001|No single rate"),
        (["--seeds", "0 1", "--learning-rates", " ".join(str(1 / 2**place) for place in range(3, 15))], "Choose|No single rate"),
    ],
)  # fmt: skip
def test_unusual_studies_make_a_report(tmp_path: Path, arguments: list[str], expected: str) -> None:
    done = report(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert re.search(expected, done.stdout), done.stdout
    findings = json.loads((Path(done.stdout.splitlines()[-1]).parent / "findings.json").read_text())
    assert all("nan" not in one["sentence"] for one in findings["claims"])


def test_a_range_test_is_shown_behind_the_grid(outputs: Path, repository: Path, tmp_path: Path) -> None:
    study = tmp_path / "ranged.toml"
    text = (repository / "studies/quick.toml").read_text()
    study.write_text(f"{text}\n[range_test]\nlowest = 1e-6\nhighest = 10.0\nsteps = 300\n")
    command = [sys.executable, "-m", "lrreport.cli", "report", str(study), "--outputs", str(outputs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [contents] = outputs.glob("ranged*/study.json")
    curves = load_results(contents.parent).range_test
    assert curves is not None
    assert curves.losses.shape == (5, 300)
    said = json.loads((contents.parent / "findings.json").read_text())["paragraphs"]["range_test"]
    assert said["text"].startswith("A range test from 0.000001 to 10, one step at each rate, suggests about 0.00")
    assert 1e-4 < said["evidence"]["suggestion"]["value"] < 1e-2
    page = html.unescape((contents.parent / "report.html").read_text()).replace("\N{NO-BREAK SPACE}", " ")
    assert said["text"] in page
    assert "The vertical lines are the 3 rates of the study." in page
    ran = {path: path.stat().st_mtime_ns for path in outputs.glob("runs/*/record.json")}
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert ran == {path: path.stat().st_mtime_ns for path in outputs.glob("runs/*/record.json")}


def test_a_title_is_text_not_markup(outputs: Path, repository: Path, tmp_path: Path) -> None:
    study = tmp_path / "quick.toml"
    text = (repository / "studies/quick.toml").read_text()
    study.write_text(re.sub(r'title = ".*"', "title = '<script>alert(1)</script>'", text))
    command = [
        sys.executable,
        "-m",
        "lrreport.cli",
        "report",
        str(study),
        "--outputs",
        str(outputs),
        "--name",
        "marked",
    ]
    assert subprocess.run(command, check=False).returncode == 0
    page = (outputs / "marked/report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_training_notebook_runs_from_any_folder(repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "papermill", str(repository / "notebooks/train.ipynb"), "out.ipynb"]
    settings = {"learning_rate": "0.003", "dataset": "sample", "validation_size": "500", "epochs": "1"}
    options = [word for item in settings.items() for word in ("-p", *item)]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", "--output-dir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(repository / "notebooks/summary.ipynb")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(outputs: Path, browser: Any, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    address = (outputs / "quick/report.html").as_uri()
    page.goto(address)
    assert [url for url in asked if not url.startswith("data:")] == [address]
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0 && image.alt.length > 30)")
    codes = page.locator("details.code")
    assert not codes.first.is_visible()
    page.get_by_role("button", name="Show code").click()
    assert all(codes.nth(place).is_visible() for place in range(codes.count()))
    page.get_by_text("Contents", exact=True).click()
    page.get_by_role("link", name="Conclusion").click()
    assert page.get_by_role("heading", name="Conclusion").is_visible()
    assert page.evaluate("location.hash") == "#Conclusion"
    context.close()


def test_the_page_without_javascript(outputs: Path, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((outputs / "quick/report.html").as_uri())
    assert page.locator("table").first.is_visible()
    assert page.locator("details.code summary").first.is_visible()
    context.close()


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
