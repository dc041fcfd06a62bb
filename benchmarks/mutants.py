"""Whether the tests of inference notice a broken rule: mutants of comparisons, signs, indices, ends and error levels.

`python -m benchmarks.mutants` changes a single operator, constant or name at a time in the modules of `lrreport.inference`, and
runs the fast tests of `tests/inference` on each in a fork of one process that has imported the libraries already, which
makes a mutant cost seconds. A mutant survives if no test fails. The sentences of the first screen (`story`) are left out.
"""

import argparse
import ast
import importlib
import importlib.abc
import importlib.util
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = CHECKOUT / "src" / "lrreport" / "inference"
TESTS = ("words", "statistics", "choice", "claims", "numbers", "rows", "published", "measure", "story", "properties")
TOO_LONG = "stability_does_not_get_worse"  # a simulation
LEFT_OUT = ("__init__.py", "claim.py", "phrases.py")
MOST_SECONDS = 90  # of processor time; a mutant that takes longer hangs, and counts as killed
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip
NAMES = {"min": "max", "any": "all", "low": "high", "idxmin": "idxmax", "argmin": "argmax", "at_most": "at_least",
         "floor": "ceil", "level": "than"}  # fmt: skip
NAMES |= {after: before for before, after in NAMES.items()}


@dataclass(frozen=True)
class Mutant:
    """A change to a node of a module, by the node's index in `list_nodes` and the change's in `list_changes`."""

    path: Path
    node: int
    change: int
    line: int
    kind: str

    @property
    def module(self) -> str:
        """The module's full name."""
        return ".".join(self.path.relative_to(CHECKOUT / "src").with_suffix("").parts)

    def make(self) -> tuple[ast.Module, str]:
        """Return the changed module, and the change in words."""
        tree = ast.parse(self.path.read_text(encoding="utf-8"))
        target = list_nodes(tree)[self.node]
        before = ast.unparse(target)
        [change for _, change in list_changes(target)][self.change](target)
        return ast.parse(
            ast.unparse(tree)
        ), f"{self.path.stem}:{self.line}  {self.kind}: {before} → {ast.unparse(target)}"


def list_changes(node: ast.AST) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """Yield the kind of each change to a node, and what makes it on a copy of the node."""
    match node:
        case ast.Compare(ops=[operator]):
            for replacement in COMPARISONS[type(operator)][_is_sign(node.left) :]:
                yield "comparison", lambda copy, replacement=replacement: setattr(copy, "ops", [replacement()])  # type: ignore[misc]
        case ast.BinOp(op=operator) if type(operator) in OPERATORS and not _is_text(node):
            yield "operator", lambda copy: setattr(copy, "op", OPERATORS[type(copy.op)]())
        case ast.UnaryOp(op=ast.USub()):
            yield "sign", lambda copy: setattr(copy, "op", ast.UAdd())
        case ast.UnaryOp(op=ast.Not()):
            yield "comparison", lambda copy: setattr(copy, "operand", ast.UnaryOp(ast.Not(), copy.operand))
        case ast.BoolOp():
            yield "comparison", lambda copy: setattr(copy, "op", ast.And() if isinstance(copy.op, ast.Or) else ast.Or())
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            step = 1 if isinstance(value, int) else value or 1.0
            yield "constant", lambda copy: setattr(copy, "value", copy.value + step)
        case ast.Constant(value=bool()):
            yield "constant", lambda copy: setattr(copy, "value", not copy.value)
        case ast.Name(id="ALPHA", ctx=ast.Load()):
            yield "error level", lambda copy: setattr(copy, "id", "(2 * ALPHA)")
        case ast.Name(id=name, ctx=ast.Load()) if name in NAMES:
            yield "end", lambda copy: setattr(copy, "id", NAMES[copy.id])
        case ast.Attribute(attr=name, ctx=ast.Load()) if name in NAMES:
            yield "end", lambda copy: setattr(copy, "attr", NAMES[copy.attr])


def _is_sign(node: ast.expr) -> bool:
    """Return whether an expression is 1 or −1, so that it is the same whether 0 is included."""
    return isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).rpartition(".")[2] in ("sign", "upward")


def _is_text(node: ast.BinOp) -> bool:
    return any(isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
               for part in ast.walk(node))  # fmt: skip


def list_nodes(tree: ast.Module) -> list[ast.AST]:
    """Return the nodes of a module that do something: no annotations, decorators or doctests."""
    nodes: list[ast.AST] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.keyword) and node.arg == "strict":
            return  # of zip, whose arguments are equally long
        nodes.append(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child)

    visit(tree)
    return nodes


def list_mutants(path: Path) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for index, node in enumerate(list_nodes(tree)):
        for change, (kind, _) in enumerate(list_changes(node)):
            yield Mutant(path, index, change, getattr(node, "lineno", 0), kind)


class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a module from code in memory instead of its file."""

    def __init__(self, name: str, code: CodeType, path: str) -> None:
        self.name, self.code, self.path = name, code, path

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the spec of the mutant, None for the rest."""
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def create_module(self, spec: Any) -> None:
        """Leave making the module to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute the mutant."""
        exec(self.code, module.__dict__)


def order_tests(module: str) -> list[str]:
    """Return the test files, those that are likeliest to notice a mutant of a module first."""
    suite = "claims" if ".claims." in module else module.rpartition(".")[2]
    names = sorted(TESTS, key=lambda name: (name == "properties", name != suite))
    return [f"tests/inference/test_{name}.py" for name in names]


def run_mutant(mutant: Mutant | None) -> bool:
    """Return whether a test fails on a mutant; on what is not changed if it is None."""
    child = os.fork()
    if not child:
        _run_tests(mutant)
    _, status = os.waitpid(child, 0)
    return status != 0


def _run_tests(mutant: Mutant | None) -> None:
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    signal.alarm(20 * MOST_SECONDS)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.environ["LRREPORT_EXAMPLES"] = "8"
    code, plugins = 3, ("cacheprovider", "nbval", "xdist", "anyio")
    options = ["-x", "-q", "--assert=plain", "-k", f"not {TOO_LONG}", *(f"-pno:{name}" for name in plugins)]
    try:
        if mutant:
            tree, _ = mutant.make()
            sys.meta_path.insert(0, Loader(mutant.module, compile(tree, str(mutant.path), "exec"), str(mutant.path)))
        code = int(pytest.main([*options, *order_tests(mutant.module if mutant else "")]))
    finally:
        os._exit(min(code, 100))


def choose_mutants(n: int, seed: int, only: Sequence[str] = ()) -> list[Mutant]:
    """Return a random sample of all mutants, or of those of some modules."""
    every_path = sorted(PACKAGE.rglob("*.py"))
    paths = [path for path in every_path if path.name not in LEFT_OUT and path.parent.name != "story"]
    every = [mutant for path in paths if not only or path.stem in only for mutant in list_mutants(path)]
    print(f"{len(every)} mutants of {len(paths)} modules", flush=True)
    return random.Random(seed).sample(every, min(n, len(every)))


def main() -> int:
    """Parse the command line, run the mutants and list the survivors; 1 if more than 5 % survive."""
    parser = argparse.ArgumentParser(description="Whether the tests of inference notice a broken rule.")
    parser.add_argument("--number", type=int, default=250, metavar="N", help="of mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the sample (default: %(default)s)")
    parser.add_argument("--modules", nargs="+", default=(), metavar="NAME", help="only these, such as choice edges")
    parsed = parser.parse_args()
    os.chdir(CHECKOUT)
    sys.path.insert(0, str(CHECKOUT))
    for name in ("scipy.stats", "pandas", "pytest", "lrreport.record.contents", "lrreport.study.study"):
        importlib.import_module(name)  # once for all forks; none of them imports what is changed
    assert not any(name.startswith("lrreport.inference") for name in sys.modules)
    if run_mutant(None):
        print("the tests fail without any change: mend them first", file=sys.stderr)
        return 2
    chosen, survivors, start = choose_mutants(parsed.number, parsed.seed, parsed.modules), [], time.perf_counter()
    for number, mutant in enumerate(chosen, start=1):
        if not run_mutant(mutant):
            survivors.append(mutant)
            print(f"survived: {mutant.make()[1]}", flush=True)
        if number % 25 == 0:
            print(f"{number} mutants, {len(survivors)} survived, {time.perf_counter() - start:.0f} s", flush=True)
    killed = len(chosen) - len(survivors)
    print(f"{killed} of {len(chosen)} mutants killed ({100 * killed / max(1, len(chosen)):.1f} %)")
    return int(killed < 0.95 * len(chosen))


if __name__ == "__main__":
    sys.exit(main())
