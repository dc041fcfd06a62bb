"""The arrows of the design: no wing imports another, inside a wing imports point one way, README names each file."""

import ast
from pathlib import Path

WAIST = {"", "settings", "parsing", "study", "record", "provenance"}
WINGS = {
    "training": [
        "fetch", "files", "transfer", "own_code", "datasets", "cache", "data", "model", "optimizers", "build", "loop",
        "outcome", "range_test", "trial", "check",
    ],
    "sweep": ["locks", "store", "worker", "scheduler", "execute", "run", "remote", "members", "cluster"],
    "report": [
        "formats", "freshness", "command", "results", "stats", "claims", "prose", "conditions", "narrative", "table",
        "colors", "tables", "pictures", "figures",
        "explorer", "cards", "reference", "render",
    ],
}  # fmt: skip


def read_imports(path: Path) -> set[str]:
    """Return the modules of lrreport that a file imports, without the package's name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("lrreport").removeprefix(".") for name in found if name.split(".")[0] == "lrreport"}


def list_modules(repository: Path, wing: str) -> list[Path]:
    return sorted(path for path in (repository / "src/lrreport" / wing).rglob("*.py") if path.name != "__init__.py")


def test_no_wing_imports_another_or_what_stands_above(repository: Path) -> None:
    for wing in WINGS:
        for path in list_modules(repository, wing):
            for name in read_imports(path):
                head = name.split(".")[0]
                assert head == wing or head in WAIST or head[:1].isupper() or head.startswith("__"), f"{path}: {name}"


def test_inside_a_wing_imports_point_one_way(repository: Path) -> None:
    for wing, order in WINGS.items():
        for path in list_modules(repository, wing):
            place = path.relative_to(repository / "src/lrreport" / wing).parts[0].removesuffix(".py")
            for name in read_imports(path):
                parts = name.split(".")
                if parts[0] == wing and len(parts) > 1 and parts[1] in order and parts[1] != place:
                    assert order.index(parts[1]) < order.index(place), f"{path} imports {name}"


def test_tables_figures_and_the_explorer_do_not_import_each_other(repository: Path) -> None:
    apart = {"report.tables", "report.figures", "report.explorer"}
    report = repository / "src/lrreport/report"
    for name in ("tables", "figures", "explorer"):
        files = [report / f"{name}.py"] if (report / f"{name}.py").exists() else list((report / name).glob("*.py"))
        assert files
        for path in files:
            assert not read_imports(path) & (apart - {f"report.{name}"})


def test_waist_knows_neither_torch_nor_pandas(repository: Path) -> None:
    for name in ("settings", "parsing", "study", "record"):
        tree = ast.parse((repository / f"src/lrreport/{name}.py").read_text())
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {one.split(".")[0] for one in imported} & {"torch", "pandas"}


def test_only_training_and_the_device_question_import_torch(repository: Path) -> None:
    source = repository / "src/lrreport"
    users = {
        path.relative_to(source).parts[0] for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "torch" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch")
    }  # fmt: skip
    assert users == {"training", "bench", "provenance.py"}


def test_dask_is_imported_only_where_a_cluster_is_used(repository: Path) -> None:
    """Modules that import Dask are imported inside functions alone, where a scheduler was named."""
    dask, users = {"sweep/remote.py", "sweep/members.py", "sweep/cluster.py"}, {}
    for path in (repository / "src/lrreport").rglob("*.py"):
        place = path.relative_to(repository / "src/lrreport").as_posix()
        for node in ast.parse(path.read_text()).body:  # not what functions import, nor what only type checkers do
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                users.setdefault(name.removeprefix("lrreport.").replace(".", "/") + ".py", set()).add(place)
    roots = ("distributed", "dask", "cloudpickle")
    assert {
        place for name, places in users.items() if name.removesuffix(".py").split("/")[0] in roots for place in places
    } == dask
    assert {place for name in dask for place in users.get(name, ())} <= dask


def test_readme_maps_every_module(repository: Path) -> None:
    readme = (repository / "README.md").read_text()
    for path in sorted((repository / "src/lrreport").rglob("*.py")):
        if path.name != "__init__.py":
            assert path.name in readme, f"{path.name} is missing from the map of files"
