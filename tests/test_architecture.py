"""The arrows of docs/architecture.md: wings meet only in study and record, and each module is where the page says."""

import ast
from pathlib import Path

import pytest

WINGS = {  # wing -> what it may import of the package beside itself
    "study": set(),
    "record": {"study"},
    "training": {"study", "record"},
    "sources": {"study", "record"},
    "sweep": {"study", "record"},
    "inference": {"study", "record"},
    "report": {"study", "record", "inference"},
}
BELOW = {"errors", "project", "__version__"}  # what anything may import
LATE = {"sweep": {"sources"}}  # what a wing imports inside a function alone


def list_imports(node: ast.AST) -> set[str]:
    """Return the modules of lrreport that a syntax tree imports, without the package's name."""
    names = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            names |= {alias.name for alias in part.names}
        elif isinstance(part, ast.ImportFrom) and part.module:
            names |= {f"{part.module}.{alias.name}" for alias in part.names}
    return {name.removeprefix("lrreport.") for name in names if name.split(".")[0] == "lrreport"}


def list_modules(repository: Path, wing: str) -> list[Path]:
    return sorted((repository / "src/lrreport" / wing).rglob("*.py"))


@pytest.mark.parametrize("wing", WINGS)
def test_wings_meet_only_where_the_design_says(repository: Path, wing: str) -> None:
    modules = list_modules(repository, wing)
    assert modules
    for path in modules:
        tree = ast.parse(path.read_text())
        inner = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        late = set().union(*map(list_imports, inner)) if inner else set()
        for name in list_imports(tree):
            head = name.split(".")[0]
            allowed = WINGS[wing] | BELOW | {wing} | {"FailedError", "LrreportError"}
            allowed |= LATE.get(wing, set()) if name in late else set()
            assert head in allowed, f"{path} imports {name}"


def test_study_and_record_know_neither_torch_nor_pandas(repository: Path) -> None:
    for path in [*list_modules(repository, "study"), *list_modules(repository, "record")]:
        for node in ast.parse(path.read_text()).body:  # not what a function imports
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"torch", "pandas"}, path


def test_only_training_and_the_device_question_import_torch(repository: Path) -> None:
    source = repository / "src/lrreport"
    users = set()
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "torch" for name in names):
                users.add(path.relative_to(source).as_posix())
    assert {user.split("/")[0] for user in users} == {"training", "record"}
    assert {user for user in users if user.startswith("record/")} == {"record/provenance.py"}


def test_dask_is_imported_only_where_a_cluster_is_used(repository: Path) -> None:
    """Modules that import Dask are imported inside functions alone, where a scheduler was named."""
    users: dict[str, set[str]] = {}
    for path in (repository / "src/lrreport").rglob("*.py"):
        module = path.relative_to(repository / "src/lrreport").with_suffix("").as_posix().replace("/", ".")
        for node in ast.parse(path.read_text()).body:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                users.setdefault(name.removeprefix("lrreport."), set()).add(module)
    roots = ("distributed", "dask", "cloudpickle")
    dask = {module for name, modules in users.items() if name.split(".")[0] in roots for module in modules}
    assert dask
    assert {module for name in dask for module in users.get(name, ())} <= dask


def test_nothing_of_the_design_is_closed(repository: Path) -> None:
    """No decision hangs on the spelling of a metric's name, and no finished sentence is edited."""
    for path in (repository / "src/lrreport").rglob("*.py"):
        text = path.read_text()
        assert 'endswith("accuracy")' not in text, path
        assert 'replace("nats"' not in text, path
        assert "parents[2]" not in text, path


def test_architecture_page_names_every_module(repository: Path) -> None:
    page = (repository / "docs/architecture.md").read_text()
    for path in sorted((repository / "src/lrreport").rglob("*.py")):
        if path.name != "__init__.py":
            assert f"`{path.name}`" in page, f"docs/architecture.md does not name {path}"
