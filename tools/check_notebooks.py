"""Refuse notebooks that are not executed, or that carry an editor's metadata or a machine's paths."""

import json
import sys
from pathlib import Path

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def find_problems(path: Path) -> list[str]:
    """Return what is wrong with a committed notebook, a line each."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    problems = []
    if notebook["metadata"].get("kernelspec") != KERNEL or set(notebook["metadata"]) - {"kernelspec", "language_info"}:
        problems.append(f"{path}: has metadata of an editor; run make notebooks")
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    if any(cell["execution_count"] is None for cell in code):
        problems.append(f"{path}: is not executed; run make notebooks")
    if any(set(cell["metadata"]) - {"tags"} for cell in notebook["cells"]):
        problems.append(f"{path}: a cell has metadata other than tags; run make notebooks")
    if str(Path.home()) in path.read_text(encoding="utf-8"):
        problems.append(f"{path}: names {Path.home()}; run make notebooks")
    return problems


if __name__ == "__main__":
    problems = [problem for name in sys.argv[1:] for problem in find_problems(Path(name))]
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
