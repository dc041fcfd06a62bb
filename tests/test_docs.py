"""The pages of docs/ and the README: generated parts are up to date, links lead somewhere, commands exist."""

import importlib.util
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lrreport.arguments import make_parser
from lrreport.errors import LrreportError
from lrreport.inference.claims import VERDICTS, VOCABULARY
from lrreport.preflight import check_published_claims
from lrreport.record.contents import read_contents
from lrreport.record.record import RECORD
from lrreport.sources import SOURCES
from lrreport.study.load import load_study
from lrreport.study.printed import PrintedFloat
from lrreport.study.study import parse_study
from lrreport.training.check import check_setups

OTHERS = ("cluster.md", "performance.md")  # pages that also name options of third-party commands


@pytest.fixture(scope="module")
def generator(repository: Path) -> Any:
    sys.path.insert(0, str(repository / "tools"))
    try:
        spec = importlib.util.spec_from_file_location("write_docs", repository / "tools/write_docs.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def test_generated_pages_are_up_to_date(repository: Path, generator: Any) -> None:
    for name, text in generator.write_pages().items():
        assert (repository / "docs" / name).read_text() == text, f"docs/{name}: run make docs"


def test_every_claim_is_shown_in_each_verdict_that_it_can_have(repository: Path) -> None:
    sections = dict(
        re.findall(r"^## (\w+)\n\n(.*?)(?=^## |\Z)", (repository / "docs/claims.md").read_text(), re.M | re.S)
    )
    assert set(sections) == set(VOCABULARY)
    for name, text in sections.items():
        rows = dict(re.findall(r"^\| ([a-z ]+) \| (.+\.) \|$", text, re.MULTILINE))
        assert set(rows) == set(VERDICTS) - set(VOCABULARY[name].never), name
        assert all(f"`{key}`" in text for key in VOCABULARY[name].parameters if key != "level")
        assert " Source: " in text


def list_pages(repository: Path) -> list[Path]:
    return [repository / "README.md", repository / "CONTRIBUTING.md", *sorted((repository / "docs").glob("*.md"))]


def test_links_lead_to_files(repository: Path) -> None:
    for page in list_pages(repository):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_commands_and_options_exist(repository: Path) -> None:
    parser = make_parser()
    commands = next(action for action in parser._actions if action.dest == "command").choices
    assert isinstance(commands, dict)
    options = {option for sub in commands.values() for action in sub._actions for option in action.option_strings}
    targets = re.findall(r"^([a-z-]+):.*## ", (repository / "Makefile").read_text(), re.MULTILINE)
    for page in list_pages(repository):
        text = page.read_text()
        code = "\n".join(first or second for first, second in re.findall(r"`([^`\n]+)`|^    (.*)$", text, re.MULTILINE))
        for command in re.findall(r"(?<![\w./])lrreport ([a-z]+)", code):
            assert command in commands, f"{page.name} names lrreport {command}"
        for target in re.findall(r"`make ([a-z-]+)|^    make ([a-z-]+)", text, re.MULTILINE):
            assert "".join(target) in targets, f"{page.name} names make {''.join(target)}"
        for option in re.findall(r"`(--[a-z][a-z-]+)", text) if page.name not in OTHERS else ():
            assert option in options, f"{page.name} names {option}"


def test_pages_name_every_source(repository: Path) -> None:
    page = (repository / "docs/import.md").read_text()
    assert {*re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)} == SOURCES.keys()
    importing = next(action for action in make_parser()._actions if action.dest == "command").choices["import"]  # type: ignore[index]
    helped = next(action.help for action in importing._actions if action.dest == "source")
    assert {*re.findall(r"\w+", helped)} >= SOURCES.keys() - {"optuna"}


def test_readme_is_short(repository: Path) -> None:
    assert len((repository / "README.md").read_text().splitlines()) <= 130


def test_records_fit_the_published_schema(repository: Path) -> None:
    schema = json.loads((repository / "docs/record.schema.json").read_text())
    reference = repository / "outputs/reference"
    for run in read_contents(reference).runs:
        contents = json.loads((reference / run.folder / RECORD).read_text())
        if contents["schema_version"] == 2:
            contents.pop("digest")
            jsonschema.validate(contents, schema)
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(contents | {"status": "fine"}, schema)


def read_blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


def test_examples_of_study_files_are_valid(repository: Path) -> None:
    blocks = read_blocks(repository / "docs/study-file.md", "toml")
    assert len(blocks) == 3
    for block in blocks:
        settings = tomllib.loads(block, parse_float=PrintedFloat)
        study = parse_study({"name": "example", "vary": {"learning_rate": [0.001, 0.0001]}, **settings}, "docs")
        check_published_claims(study)


@pytest.mark.slow
def test_the_example_of_custom_functions_passes_their_checks(repository: Path, tmp_path: Path) -> None:
    [module], [study] = (read_blocks(repository / "docs/your-own.md", language) for language in ("python", "toml"))
    for folder, code in (("right", module), ("wrong", module.replace("width, n_outputs)", "width, n_outputs + 1)"))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(code)
        (tmp_path / folder / "study.toml").write_text(study)
    loaded = load_study(tmp_path / "right/study.toml")
    setups = [loaded.training_of(level) for level in loaded.levels]
    assert check_setups(setups, str(tmp_path / "right")).notes == []
    with pytest.raises(LrreportError, match="mine:make_network"):
        check_setups(setups, str(tmp_path / "wrong"))
