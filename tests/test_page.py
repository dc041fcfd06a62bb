"""The page in a real browser: what a reader sees, reads, clicks and types, at two widths, in light and dark."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from lrreport import LrreportError
from lrreport.print_pdf import print_page
from lrreport.report.freshness import SUMMARY_NOTEBOOK
from lrreport.report.narrative import answer
from lrreport.report.render import render_page, write_takeaways
from lrreport.report.results import REFERENCE, Results, load_results
from lrreport.sweep.execute import execute

pytestmark = pytest.mark.slow
NU_CHECKER = "vnu-jar@26.9.27"
SIZES = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


def write_report(folder: Path) -> Path:
    """Write the report on the records that a folder's study.json names, as the command does; return the page."""
    execute(SUMMARY_NOTEBOOK, folder / "summary.ipynb", {"folder": str(folder)})
    write_takeaways(folder)
    render_page(folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on the reference, which is the default study."""
    folder = tmp_path_factory.mktemp("page") / "default"
    shutil.copytree(REFERENCE, folder)
    return write_report(folder)


@pytest.fixture(scope="module")
def page_of_levels(write_study: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on a study of two axes."""
    return write_report(write_study(tmp_path_factory.mktemp("levels") / "made", 7, 3, 4, batch_sizes=[16, 64, 1024]))


@pytest.fixture(params=["page_file", "page_of_levels"])
def either_page(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def reference() -> Results:
    return load_results()


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.goto(page_file.as_uri())
    yield opened
    context.close()


def find_violations(page: Any) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:150]})" for one in found]


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_the_page_is_whole_and_accessible(browser: Any, either_page: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(either_page.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [either_page.as_uri()]
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0 && image.alt.length > 30)")
    assert find_violations(page) == []
    page.get_by_role("button", name="Show code").click()
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate("if (innerWidth < 1280) document.querySelector('.contents').open = false")
    assert find_violations(page) == []
    assert said == []
    context.close()


def test_the_page_is_small_and_soon_interactive(browser: Any, page_file: Path) -> None:
    assert page_file.stat().st_size < 2_500_000
    ready = []
    for _ in range(3):
        page = browser.new_page()
        page.goto(page_file.as_uri())
        ready.append(int(page.locator(".explorer").get_attribute("data-ready")))
        page.close()
    assert min(ready) < 1000


def test_the_page_is_valid_html(either_page: Path, tmp_path: Path) -> None:
    if not (shutil.which("npm") and shutil.which("java")):
        pytest.skip("npm and java, which the Nu HTML checker needs, are not installed")
    packed = subprocess.run(
        ["npm", "pack", "--silent", NU_CHECKER], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    subprocess.run(["tar", "xzf", packed.stdout.split()[-1]], cwd=tmp_path, check=True)
    command = ["java", "-jar", str(tmp_path / "package/build/dist/vnu.jar"), "--errors-only", "--format", "json"]
    done = subprocess.run([*command, str(either_page)], capture_output=True, text=True, check=False)
    assert json.loads(done.stderr)["messages"] == []
    broken = tmp_path / "broken.html"
    broken.write_text(either_page.read_text().replace('<main id="report"', '<main id="show-code"', 1))
    assert "error" in subprocess.run([*command, str(broken)], capture_output=True, text=True, check=False).stderr


def test_the_policy_forbids_every_request(page: Any) -> None:
    refused = page.evaluate("""() => new Promise(resolve => {
        addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
        const image = new Image(); image.src = "http://127.0.0.1:9/x.png"; document.body.append(image);
    })""")
    assert refused == "img-src"
    assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'came through', () => 'refused')") == "refused"


def test_the_first_screen_answers(page: Any, reference: Results) -> None:
    said = answer(reference).text
    box = page.locator(".answer").bounding_box()
    assert box["y"] + box["height"] < 900
    assert page.locator(".answer").inner_text().replace("\N{NO-BREAK SPACE}", " ") == said
    assert page.locator(".card").count() == 3
    figure = page.locator("figure").first.bounding_box()
    assert figure["y"] < 600
    assert page.locator("h2").first.evaluate("node => getComputedStyle(node, '::before').content") != "none"


def test_the_contents_follow_the_reader(page: Any) -> None:
    current = page.locator(".contents a[aria-current]")
    assert current.count() == 0
    page.get_by_role("link", name="Observations").click()
    page.locator(".contents a[aria-current]", has_text="Observations").wait_for()
    page.keyboard.press("End")
    page.locator(".contents a[aria-current]", has_text="How this was made").wait_for()
    assert current.count() == 1


def test_the_contents_fold_away_on_a_phone(browser: Any, page_file: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(page_file.as_uri())
    link = page.get_by_role("link", name="Conclusion")
    assert not link.is_visible()
    page.get_by_text("Contents", exact=True).click()
    link.click()
    assert not link.is_visible()
    assert page.evaluate("location.hash") == "#Conclusion"
    context.close()


def test_the_page_without_javascript_tells_everything(browser: Any, page_file: Path, reference: Results) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.locator(".explorer .runs tbody tr").count() == len(reference.runs)
    assert page.locator("details.code summary").first.is_visible()
    assert page.locator("figure img").count() >= 2
    context.close()


def test_the_footer_tells_where_it_comes_from(page: Any, reference: Results) -> None:
    footer = page.locator("footer").inner_text()
    record = next(iter(reference.records.values()))
    assert record.facts["commit"][:7] in footer
    assert next(iter(record.identity.data.values()))[:12] in footer
    assert f"torch {record.facts['packages']['torch']}" in footer
    assert footer.endswith("The command that makes it all again: make report")


# The explorer


def read_points(page: Any) -> int:
    return int(page.locator(".explorer .note").get_attribute("data-points"))


def read_hover(page: Any, across: float, down: float = 0.5) -> dict[str, str]:
    """Hover over the figure, at fractions of its width and height, and return what the readout lists."""
    plot = page.locator(".explorer .plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
    rows = page.locator(".explorer .readout div")
    texts = [rows.nth(place).locator("span:not(.swatch), b").all_inner_texts() for place in range(rows.count())]
    return {"at": page.locator(".explorer .readout p").inner_text()} | {
        text[0]: text[1] for text in texts if len(text) == 2
    }


def test_hover_reads_the_recorded_values(page: Any, reference: Results) -> None:
    last = reference.study.fixed.epochs
    read = read_hover(page, 0.99)
    assert read == {"at": f"epoch {last}"} | {
        f"{rate:g}": f"{reference.curves(rate, 'val_loss').loc[last].mean():.4f}" for rate in sorted(reference.rates)
    }
    page.locator(".explorer select").first.select_option("train_accuracy")
    page.get_by_text("Lines", exact=True).click()
    read = read_hover(page, 0.08)
    assert read["at"] == "epoch 1"
    first = reference.curves(0.001, "train_accuracy").at[1, 0]
    assert read["0.001, seed 0"] == f"{100 * first:.2f} %"


def test_steps_are_drawn_one_by_one(page: Any, reference: Results) -> None:
    page.locator(".explorer select").first.select_option("step_loss")
    page.get_by_text("Lines", exact=True).click()
    page.get_by_text("Steps", exact=True).click()
    n_steps = sum(len(losses) for rate in reference.rates for losses in reference.step_losses(rate).values())
    assert read_points(page) == n_steps
    assert (
        page.locator(".explorer .note").inner_text().startswith(f"Every recorded point is drawn: {n_steps:,} points.")
    )
    read = read_hover(page, 0.5)
    step = int(read["at"].split()[1])
    rate, seed = next(
        (rate, seed) for rate in reference.rates for seed in (0, 1, 2, 3, 4) if f"{rate:g}, seed {seed}" in read
    )
    assert read[f"{rate:g}, seed {seed}"] == f"{reference.step_losses(rate)[seed][step - 1]:.4f}"
    assert page.locator(".explorer .readout").inner_text().endswith("and 3 more")


def test_lines_of_each_value_are_toggled(browser: Any, page_of_levels: Path) -> None:
    page = browser.new_page()
    page.goto(page_of_levels.as_uri())
    drawn = page.locator(".explorer .plot")
    assert "for 21 combinations, the mean over seeds" in drawn.get_attribute("aria-label")
    page.get_by_role("button", name="1,024").click()
    assert "for 14 combinations" in drawn.get_attribute("aria-label")
    page.get_by_role("group", name="Seeds as").get_by_text("Lines").click()
    assert "for 42 runs" in drawn.get_attribute("aria-label")
    names = page.locator(".comparison select").first.locator("option").all_inner_texts()
    assert names[0] == "1.0, batch size 16, seed 0"
    assert len(names) == 63
    page.get_by_label("Metric").select_option("step_loss")
    page.get_by_role("group", name="Across").get_by_text("Steps").click()
    drawn.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".readout p").inner_text() == "step 1"
    told = page.locator("details.level")
    assert told.count() == 6
    heading = told.first.get_by_role("heading", name="Learning rate 1.0", exact=True)
    assert not heading.is_visible()
    told.first.locator("summary").first.click()
    assert heading.is_visible()
    page.close()


def test_rates_and_seeds_are_toggled(page: Any) -> None:
    assert read_points(page) == 3 * 5 * 5
    chip = page.locator(".explorer .chips button", has_text="0.0001")
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    assert read_points(page) == 2 * 5 * 5
    assert "0.0001" not in read_hover(page, 0.5)
    page.get_by_role("button", name="3", exact=True).click()
    assert read_points(page) == 2 * 4 * 5
    page.locator(".explorer .chips button", has_text="0.0005").dblclick()
    assert read_points(page) == 4 * 5
    page.get_by_role("button", name="All or none").first.click()
    assert read_points(page) == 3 * 4 * 5
    page.get_by_role("button", name="All or none").first.click()
    assert page.locator(".explorer .note").inner_text() == "Every run is hidden."


def test_the_untrained_network_can_be_shown(page: Any) -> None:
    page.get_by_text("Untrained", exact=True).click()
    assert read_points(page) == 3 * 5 * 6
    assert read_hover(page, 0.08)["at"] == "epoch 0"


def test_zoom_log_and_smoothing(page: Any) -> None:
    page.locator(".explorer select").first.select_option("step_loss")
    reset = page.get_by_role("button", name="Reset zoom")
    assert reset.is_disabled()
    plot = page.locator(".explorer .plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 105, steps=4)
    page.mouse.up()
    assert reset.is_enabled()
    left, right = (float(read_hover(page, across)["at"].split()[1]) for across in (0.08, 0.98))
    assert 2 < left < right < 3.2
    reset.click()
    assert float(read_hover(page, 0.98)["at"].split()[1]) > 4.9
    before = plot.locator("canvas").first.screenshot()
    page.get_by_text("Log", exact=True).click()
    logged = plot.locator("canvas").first.screenshot()
    assert logged != before
    page.locator(".explorer input[type=range]").fill("0.95")
    assert page.locator(".explorer .slider output").inner_text() == "0.95"
    assert plot.locator("canvas").first.screenshot() != logged
    assert "(smoothed " in read_hover(page, 0.5)["0.001"]


def test_the_table_of_runs_sorts_and_filters(page: Any, reference: Results) -> None:
    page.get_by_role("button", name="Test accuracy").click()
    column = page.locator(".explorer .runs tbody td:nth-child(5)")
    shown = [float(text.removesuffix(" %")) for text in column.all_inner_texts()]
    assert shown == sorted(round(100 * one, 2) for one in reference.runs.test_accuracy)
    page.get_by_role("button", name="Test accuracy").click()
    assert float(column.first.inner_text().removesuffix(" %")) == max(shown)
    assert page.locator(".explorer th[aria-sort=descending]").count() == 1
    page.get_by_label("Filter the runs").fill("test accuracy > 87 and 0.001")
    wanted = (reference.runs.test_accuracy.round(4) > 0.87) & (reference.runs.learning_rate == 0.001)
    assert page.locator(".explorer .runs tbody tr:visible").count() == wanted.sum() > 0
    assert page.locator(".explorer .runs output").inner_text() == f"{wanted.sum()} of 15 runs"


def test_two_runs_side_by_side(page: Any) -> None:
    page.get_by_label("This run").select_option(label="0.001, seed 0")
    page.get_by_label("and this one").select_option(label="0.001, seed 1")
    names = page.locator(".comparison > .table > table th[scope=row]").all_inner_texts()
    assert names[0] == "seed"
    assert "learning rate" not in names
    assert "test accuracy" in names
    page.get_by_label("and this one").select_option(label="0.0001, seed 0")
    names = page.locator(".comparison > .table > table th[scope=row]").all_inner_texts()
    assert names[0] == "learning rate"
    assert "wall seconds" in names
    page.locator(".comparison summary").click()
    assert "code of training/loop.py" in page.locator(".comparison details").inner_text()
    page.get_by_label("and this one").select_option(label="0.001, seed 0")
    assert "one and the same run" in page.locator(".comparison").inner_text()


def test_everything_works_from_the_keyboard(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#report"
    page.get_by_role("button", name="Show code").focus()
    page.keyboard.press("Enter")
    assert page.locator("details.code").first.evaluate("node => node.open")
    page.get_by_role("radio", name="Linear").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name="Log").is_checked()
    page.locator(".explorer .chips button").first.focus()
    page.keyboard.press("Space")
    assert read_points(page) == 2 * 5 * 5
    page.locator(".explorer .plot").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator(".explorer .spoken").inner_text().startswith("epoch 2: 0.0001 0.")
    page.keyboard.press("+")
    assert page.get_by_role("button", name="Reset zoom").is_enabled()
    page.keyboard.press("Escape")
    assert page.get_by_role("button", name="Reset zoom").is_disabled()
    page.get_by_role("button", name="Seed ", exact=False).first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".explorer th[aria-sort]").count() == 1
    page.locator(".claim summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".claim dl").first.is_visible()


# Other sizes, and paper


@pytest.mark.parametrize(("n_rates", "n_seeds", "n_epochs"), [(12, 10, 100), (200, 5, 5)])
def test_large_studies_stay_small_and_responsive(
    browser: Any, write_study: Callable[..., Path], tmp_path: Path, n_rates: int, n_seeds: int, n_epochs: int
) -> None:
    page_file = write_report(write_study(tmp_path / "large", n_rates, n_seeds, n_epochs))
    assert page_file.stat().st_size < 5_000_000
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 1280
    assert page.locator(".card").count() == 12
    page.locator(".explorer select").first.select_option("step_loss")
    page.get_by_text("Lines", exact=True).click()
    seconds = page.evaluate("""() => {
        const start = performance.now();
        for (let turn = 0; turn < 4; turn += 1) document.querySelector(".explorer .chips button").click();
        return (performance.now() - start) / 4000;
    }""")
    assert seconds < 0.5
    assert page.locator(".explorer .runs tbody tr").count() == n_rates * n_seeds
    assert said == []
    page.close()


def test_the_report_is_printed_to_a_pdf(browser: Any, page_file: Path) -> None:
    target = print_page(page_file)
    data = target.read_bytes()
    assert target.name == "report.pdf"
    assert data.startswith(b"%PDF")
    assert 6 <= len(re.findall(rb"/Type\s*/Page\b", data)) <= 20


def test_without_a_browser_the_pdf_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LrreportError, match="^no browser to print with: install one of chromium, "):
        print_page(tmp_path / "report.html")


def test_the_tables_to_take_away_hold_the_numbers_of_the_page(page_file: Path) -> None:
    page = unescape(page_file.read_text()).replace("\N{NO-BREAK SPACE}", " ")
    numbers = re.findall(r"\d+\.\d+ ± \d+\.\d+(?: %)?", (page_file.parent / "table.md").read_text())
    assert len(numbers) == 12
    assert all(number in page for number in numbers)
    latex = (page_file.parent / "table.tex").read_text().replace(r"$\pm$", "±").replace(r"\%", "%")
    assert all(number in latex for number in numbers)
