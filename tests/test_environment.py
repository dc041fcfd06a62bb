"""Lock, environment.yml, pyproject.toml and what is installed agree."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def locked(repository: Path) -> dict[str, list[Requirement]]:
    lines = re.sub(r"( \\\n)?    --hash=\S+", "", (repository / "requirements.lock").read_text()).splitlines()
    pins: dict[str, list[Requirement]] = {}
    for line in lines:
        if line.strip() and not line.startswith("#"):
            pin = Requirement(line)
            pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    return pins


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, object]:
    return dict(tomllib.loads((repository / "pyproject.toml").read_text())["project"])


def test_every_dependency_is_pinned_within_its_bounds(
    locked: dict[str, list[Requirement]], project: dict[str, object]
) -> None:
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]  # type: ignore[index,misc]
    for text in wanted:
        need = Requirement(text)
        pins = locked[canonicalize_name(need.name)]
        assert all(str(pin.specifier).startswith("==") for pin in pins)
        assert all(need.specifier.contains(str(pin.specifier).removeprefix("==")) for pin in pins), text


def test_every_pin_has_digests(repository: Path, locked: dict[str, list[Requirement]]) -> None:
    lines = (repository / "requirements.lock").read_text().replace("\\\n", "").splitlines()
    assert len(lines) == sum(map(len, locked.values()))
    assert all(re.search(r"( +--hash=sha256:[0-9a-f]{64})+$", line) for line in lines)


def test_torch_and_torchvision_are_the_same_everywhere(repository: Path, locked: dict[str, list[Requirement]]) -> None:
    for name, pinned in (("torch", "2.13.0"), ("torchvision", "0.28.0")):
        assert [str(pin.specifier) for pin in locked[name]] == [f"=={pinned}"]
        assert f'"{name}=={pinned}"' in (repository / "pyproject.toml").read_text()


def test_what_is_installed_is_what_the_lock_says(
    locked: dict[str, list[Requirement]], project: dict[str, object]
) -> None:
    for text in project["dependencies"]:  # type: ignore[attr-defined]
        name = Requirement(text).name
        (pin,) = [pin for pin in locked[canonicalize_name(name)] if pin.marker is None or pin.marker.evaluate()]
        assert version(name).partition("+")[0] == str(pin.specifier).removeprefix("==")


def test_modules_are_importable_in_any_locale(repository: Path) -> None:
    """Python reads this file in the locale's encoding, which may know no letter of the clone's path."""
    paths = list((repository / ".venv").glob("lib/python*/site-packages/*lrreport*.pth"))
    assert [path.read_bytes() for path in paths] == ([b"../../../../src\n"] if paths else [])


def test_conda_reads_the_same_lock(repository: Path) -> None:
    text = (repository / "environment.yml").read_text()
    assert "--requirement requirements.lock" in text
    assert "      - --editable" not in text  # pip refuses what it has no digest of


def test_the_oldest_python_is_the_same_everywhere(repository: Path, project: dict[str, object]) -> None:
    assert project["requires-python"] == ">=3.11"
    assert "OLDEST = (3, 11)" in (repository / "tools/setup_venv.py").read_text()
    assert re.search(r"- python=3\.11\b", (repository / "environment.yml").read_text())
    assert 'python: ["3.11", "3.12", "3.13", "3.14"]' in (repository / ".github/workflows/ci.yml").read_text()


def test_no_file_names_a_registry(repository: Path) -> None:
    for name in ("requirements.lock", "environment.yml", "pyproject.toml", "Makefile"):
        assert not re.search(r"https?://", (repository / name).read_text()), name
