"""The page in real browsers: what a reader sees, reads, clicks and types, at three widths, in light, dark and forced colours."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import papermill
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from axe_playwright_python.sync_playwright import Axe

from lrreport.errors import LrreportError
from lrreport.inference.story.paragraph import count_words
from lrreport.print_pdf import print_page
from lrreport.record.contents import CONTENTS, Contents, RunPlace
from lrreport.record.record import save_record
from lrreport.report.freshness import SUMMARY_NOTEBOOK
from lrreport.report.render import render_page
from lrreport.study.study import parse_study
from lrreport.testing import draw_record, write_report_folder
from tests.browsers import Firefox

pytestmark = pytest.mark.slow
NU_CHECKER = "vnu-jar@26.9.27"
SIZES = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"), (320, "light")]
WORDS = r"""root => {
  const copy = root.cloneNode(true);
  document.body.append(copy);
  copy.querySelectorAll(".actions, .spoken, option:not(:first-child), .explorer .runs tbody tr:nth-child(n + 20)").forEach(element => element.remove());
  const words = copy.innerText.split(/\s+/).filter(word => /[\p{L}\p{N}]/u.test(word)).length;
  copy.remove();
  return words;
}"""


def write_report(folder: Path) -> Path:
    """Write the report on the records that a folder's study.json names, as the command does; return the page."""
    parameters = {"folder": str(folder), "target": str(folder)}
    papermill.execute_notebook(SUMMARY_NOTEBOOK, folder / "summary.ipynb", parameters, progress_bar=False)
    render_page(folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report like the default study's: three rates, five seeds, five epochs, and an earlier report."""
    import numpy as np

    folder = tmp_path_factory.mktemp("page") / "three"
    published = {
        "title": "A report on the same rates",
        "result": [{"learning_rate": 0.001, "test_accuracy": 0.7}],
        "claim": [
            {
                "says": "0.001 <is> best",
                "claim": "best",
                "arguments": {"learning_rate": 0.001, "metric": "val_accuracy"},
            }
        ],
    }
    study = parse_study(
        {
            "name": "three", "title": "Three rates on a sample", "vary": {"learning_rate": [0.001, 0.0005, 0.0001]},
            "seeds": [0, 1, 2, 3, 4], "fixed": {"dataset": "sample", "validation_size": 500, "epochs": 5},
            "published": published, "author": "A. Author", "note": "Made for a test.",
        },
        "test",
    )  # fmt: skip
    rng, places = np.random.default_rng(0), []
    for planned in study.plan():
        record, arrays = draw_record(rng, planned, broken=False)
        save_record_in(folder / record.identity.key, record, arrays)
        places.append(RunPlace(planned.level.index, planned.seed, record.identity.key))
    (folder / CONTENTS).write_text(Contents(study, tuple(places)).to_text())
    return write_report(folder)


def save_record_in(folder: Path, record: Any, arrays: Any) -> None:
    folder.mkdir(parents=True)
    save_record(folder, record, arrays)


@pytest.fixture(scope="module")
def grid_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on a study of two factors with a diverged run."""
    return write_report(
        write_report_folder(tmp_path_factory.mktemp("grid") / "made", 8, 5, 5, batch_sizes=[16, 64, 1024])
    )


@pytest.fixture(scope="module")
def default_file(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """The report on the recorded runs of the default study."""
    folder = tmp_path_factory.mktemp("default") / "reference"
    return write_report(Path(shutil.copytree(repository / "outputs" / "reference", folder)))


@pytest.fixture(params=["page_file", "grid_file"])
def either_page(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.goto(page_file.as_uri())
    yield opened
    context.close()


@pytest.fixture(scope="module")
def findings(page_file: Path) -> dict[str, Any]:
    return dict(json.loads((page_file.parent / "findings.json").read_text()))


def find_violations(page: Any) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {rule['help']} ({rule['nodes'][0]['html'][:150]})" for rule in violations]


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [*(("page_file", *size) for size in SIZES), ("grid_file", 1280, "light"), ("grid_file", 390, "dark")],
)
def test_the_page_is_whole_and_accessible(
    request: pytest.FixtureRequest, browser: Any, name: str, width: int, scheme: str
) -> None:
    file = request.getfixturevalue(name)
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    requests: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(file.as_uri())
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert name == "grid_file" or find_violations(page) == []  # of a large page only once, with all of it in sight
    page.get_by_role("button", name="Show code").click()
    page.evaluate("document.querySelectorAll('details').forEach(element => { element.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate("document.querySelector('.contents').open = false")
    assert find_violations(page) == []
    assert messages == []
    context.close()


@pytest.mark.parametrize(("name", "width"), [("page_file", 1280), ("page_file", 320), ("grid_file", 320)])
def test_firefox_shows_the_page_whole(
    request: pytest.FixtureRequest, firefox_socket: Any, name: str, width: int
) -> None:
    file = request.getfixturevalue(name)
    window = Firefox(firefox_socket)
    window.resize(width, 800)
    window.open(file.as_uri())
    assert window.evaluate("document.querySelector('h1').innerText.trim()").startswith(("Choose", "Undecided"))
    for open_all in ("null", "document.querySelectorAll('main details').forEach(element => { element.open = true; })"):
        window.evaluate(open_all)
        assert window.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    window.evaluate(f"void eval({json.dumps(AXE_SCRIPT)})")
    violations = window.evaluate(
        "axe.run({resultTypes: ['violations']}).then(results => results.violations.map(element => element.help))"
    )
    assert violations == []
    assert window.evaluate("performance.getEntriesByType('resource').map(element => element.name)") == []
    window.close()
    assert window.problems == []


def test_forced_colors_keep_marks_apart(browser: Any, page_file: Path) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, forced_colors="active")
    page = context.new_page()
    page.goto(page_file.as_uri())
    fills = page.evaluate(
        """() => [...document.querySelectorAll("#decision .wide .disc")].map(element => getComputedStyle(element).fill)"""
    )
    assert "none" not in fills
    assert find_violations(page) == []
    context.close()


def test_text_of_twice_the_size_does_not_overflow(browser: Any, either_page: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(either_page.as_uri())
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.documentElement.scrollWidth") == 1280
    page.close()


def test_the_first_screen_answers(page: Any, findings: dict[str, Any]) -> None:
    assert page.locator("h1").inner_text().replace("\N{NO-BREAK SPACE}", " ") == findings["answer"]
    box = page.locator(".next").bounding_box()
    assert box["y"] + box["height"] < 800
    assert page.locator("#decision svg:visible").count() == 1
    assert page.locator(".kicker").inner_text().replace("\N{NO-BREAK SPACE}", " ") == findings["kicker"]


def test_the_first_screen_takes_two_screens_of_a_phone(browser: Any, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(page_file.as_uri())
    box = page.locator(".next").bounding_box()
    assert box["y"] + box["height"] < 2 * 844
    page.close()


def test_few_words_are_in_sight(page: Any, default_file: Path, grid_file: Path) -> None:
    for file, most in ((default_file, 1500), (grid_file, 2500)):
        page.goto(file.as_uri())
        assert page.locator("main").evaluate(WORDS) <= most


def test_the_first_screen_is_short(page: Any, default_file: Path, grid_file: Path) -> None:
    for file in (default_file, grid_file):
        page.goto(file.as_uri())
        texts = page.locator(".kicker, h1, .trade-offs, .next > p").all_inner_texts()
        assert count_words(*texts) <= 131  # with "Next:"
        box = page.locator(".next").bounding_box()
        assert box["y"] + box["height"] < 800
    page.goto(default_file.as_uri())
    assert page.locator(".kicker").bounding_box()["height"] < 25  # a single line


def test_pages_are_small(default_file: Path, grid_file: Path) -> None:
    assert default_file.stat().st_size <= 500_000
    assert grid_file.stat().st_size <= 700_000


def test_a_finding_opens_its_sentence_and_has_a_link(page: Any, findings: dict[str, Any]) -> None:
    cell = page.locator("#levels .finding").first
    cell.click()
    shown = page.locator("[popover]:popover-open")
    sentences = [finding["sentence"] for finding in findings["findings"]]
    text = shown.locator("p").first.inner_text().replace("\N{NO-BREAK SPACE}", " ")
    assert text.removesuffix(" ¶") in sentences
    anchor = shown.get_attribute("id")
    page.keyboard.press("Escape")
    assert page.locator("[popover]:popover-open").count() == 0
    page.goto(f"{page.url.split('#')[0]}#{anchor}")
    page.locator("[popover]:popover-open").wait_for()
    page.locator("[popover]:popover-open .rule a").click()
    assert page.locator(f"#{page.evaluate('location.hash').removeprefix('#')}").is_visible()


def test_terms_open_their_explanation(page: Any) -> None:
    page.locator(".trade-offs .term").first.click()
    assert page.locator("[popover]:popover-open").count() == 1


def test_contents_lead_to_sections(page: Any) -> None:
    page.get_by_text("Contents", exact=True).click()
    links = page.locator(".contents a")
    assert links.count() == page.locator("main h2").count() >= 7
    link = links.last
    link.click()
    assert not link.is_visible()
    assert page.evaluate("location.hash") == "#made"


def test_the_command_is_copied(browser: Any, page_file: Path, findings: dict[str, Any]) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == findings["next_step"]["command"]
    context.close()


def test_figures_and_tables_are_saved(page: Any, tmp_path: Path) -> None:
    figure = page.locator("#curves")
    figure.hover()
    for kind in ("SVG", "PNG", "CSV"):
        with page.expect_download() as caught:
            figure.get_by_role("button", name=kind).click()
        target = tmp_path / caught.value.suggested_filename
        caught.value.save_as(target)
        assert target.name == f"curves.{kind.lower()}"
        assert target.stat().st_size > 100
    assert "<svg" in (tmp_path / "curves.svg").read_text()
    assert "fill:" in (tmp_path / "curves.svg").read_text()
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "curves.csv").read_text().splitlines()) >= 3


def test_the_page_without_javascript_tells_everything(browser: Any, page_file: Path, findings: dict[str, Any]) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.locator("h1").inner_text().replace("\N{NO-BREAK SPACE}", " ") == findings["answer"]
    page.locator("#pairs .finding").first.click()
    assert page.locator("[popover]:popover-open").count() == 1
    assert page.locator(".explorer .runs tbody tr").count() == 15
    assert page.locator("details.code summary").first.is_visible()
    assert not page.get_by_role("button", name="Copy", exact=True).is_visible()
    context.close()


def test_the_policy_forbids_every_request(page: Any) -> None:
    refused = page.evaluate("""() => new Promise(resolve => {
        addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
        const image = new Image(); image.src = "http://127.0.0.1:9/x.png"; document.body.append(image);
    })""")
    assert refused == "img-src"
    assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'came through', () => 'refused')") == "refused"


def test_the_page_is_valid_html(either_page: Path, tmp_path: Path) -> None:
    if not (shutil.which("npm") and shutil.which("java")):
        pytest.skip("npm and java, which the Nu HTML checker needs, are not installed")
    packed = subprocess.run(
        ["npm", "pack", "--silent", NU_CHECKER], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    subprocess.run(["tar", "xzf", packed.stdout.split()[-1]], cwd=tmp_path, check=True)
    command = ["java", "-jar", str(tmp_path / "package/build/dist/vnu.jar"), "--errors-only", "--format", "json"]
    done = subprocess.run([*command, str(either_page)], capture_output=True, text=True, check=False)
    assert [(message["message"], message.get("extract")) for message in json.loads(done.stderr)["messages"]] == []
    broken = tmp_path / "broken.html"
    broken.write_text(either_page.read_text().replace('<main id="report"', '<main id="show-code"', 1))
    assert "error" in subprocess.run([*command, str(broken)], capture_output=True, text=True, check=False).stderr


def test_the_same_records_give_the_same_page(page_file: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(page_file.parent, tmp_path / "again"))
    write_report(again)
    for name in ("report.html", "findings.json", "summary.md", "scores.pdf", "card.png"):
        ours, theirs = (folder.joinpath(name).read_bytes() for folder in (again, page_file.parent))
        assert ours.replace(str(again).encode(), b"") == theirs.replace(str(page_file.parent).encode(), b""), name


def test_marks_of_figures_are_printed(page: Any) -> None:
    page.emulate_media(media="print")
    shown = page.locator("#decision .wide .bar").first.evaluate("element => getComputedStyle(element).display")
    assert shown != "none"
    assert not page.locator("header").is_visible()


def test_paper_has_no_scrollbar_and_nothing_is_cut(browser: Any, either_page: Path) -> None:
    page = browser.new_page(viewport={"width": 688, "height": 1000})  # A4 without its margins
    page.goto(either_page.as_uri())
    page.emulate_media(media="print")
    cut = page.evaluate(
        """() => [...document.querySelectorAll("main table, main .table, main svg")].filter(element => element.checkVisibility())
          .filter(element => element.getBoundingClientRect().right > innerWidth || element.scrollWidth > element.clientWidth + 1)
          .map(element => element.id || element.outerHTML.slice(0, 80))"""
    )
    assert cut == []
    assert page.locator("#results").is_visible()
    assert page.locator(".on-paper").is_visible()
    assert not page.locator(".explorer .runs").is_visible()
    page.close()


def test_the_report_prints_to_few_pages(default_file: Path, grid_file: Path) -> None:
    for file, most in ((default_file, 4), (grid_file, 6)):
        target = print_page(file)
        data = target.read_bytes()
        assert data.startswith(b"%PDF")
        assert {tuple(map(round, map(float, box.split()))) for box in re.findall(rb"/MediaBox \[([^\]]*)\]", data)} == {
            (0, 0, 595, 842)
        }
        assert len(re.findall(rb"/Type\s*/Page\b", data)) <= most


def test_without_a_browser_the_pdf_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LrreportError, match="^no browser to print with: install chromium, "):
        print_page(tmp_path / "report.html")


def test_the_tables_to_take_away_hold_the_numbers_of_the_page(page_file: Path) -> None:
    page = unescape(page_file.read_text())
    numbers = re.findall(r"\d+\.\d+ ± \d+\.\d+", (page_file.parent / "table.md").read_text())
    assert len(numbers) == 15
    assert all(number in page for number in numbers)
    latex = (page_file.parent / "table.tex").read_text().replace(r"$\pm$", "±")
    assert all(number in latex for number in numbers)


def test_the_footer_says_where_the_runs_come_from(page: Any, findings: dict[str, Any]) -> None:
    footer = page.locator("footer").inner_text()
    assert footer == findings["colophon"]
    assert "15 runs at commit 3333333, with Python 3.11.2 and torch 2.13.0" in footer
