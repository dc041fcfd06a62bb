"""Draw docs/architecture.svg from the imports between the wings of the package."""

import ast
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, TARGET = ROOT / "src" / "lrreport", ROOT / "docs" / "architecture.svg"
ROWS = (("study",), ("record",), ("training", "sweep", "sources", "inference"), ("report",), ("commands",))
TEXTS = {
    "study": "settings, factors, metrics, the study file", "record": "schema, identity, store, locks",
    "training": "settings to records", "sweep": "missing runs, executions", "sources": "logs to two tables",
    "inference": "measurements to findings", "report": "document, page, figures", "commands": "cli, workflow, import, compare",
}  # fmt: skip
WIDTH, BOX_WIDTH, BOX_HEIGHT, ROW_HEIGHT = 880, 195, 52, 96


def list_arrows() -> set[tuple[str, str]]:
    """Return which wing imports which, from the import statements of every module."""
    arrows = set()
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).parts
        wing = parts[0] if len(parts) > 1 else "commands"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                imported = name.removeprefix("lrreport.").split(".")[0] if name.startswith("lrreport.") else ""
                if imported in TEXTS and imported != wing and wing in TEXTS:
                    arrows.add((wing, imported))
    return arrows


def place_boxes() -> dict[str, tuple[float, float]]:
    """Return the centre of each wing's box."""
    centres = {}
    for row, wings in enumerate(reversed(ROWS)):
        for index, wing in enumerate(wings):
            centres[wing] = (WIDTH * (index + 0.5) / len(wings), 40 + row * ROW_HEIGHT)
    return centres


def draw() -> str:
    """Return the picture: boxes for wings, lines from each to what it imports, left out where another path implies them."""
    centres, arrows = place_boxes(), list_arrows()
    implied = {(a, c) for (a, b), (d, c) in product(arrows, arrows) if b == d and (a, c) in arrows}
    height = 40 + len(ROWS) * ROW_HEIGHT - 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-family="sans-serif">',
        "<title>Wings of lrreport; each imports what its lines lead down to</title>",
        "<style>text{fill:#1b2130;text-anchor:middle}rect{fill:#eef2fb;stroke:#1f5aa6}path{fill:none;stroke:#69707d}"
        "@media(prefers-color-scheme:dark){text{fill:#e6e8ee}rect{fill:#1c2433;stroke:#7fb0ee}path{stroke:#9aa1ad}}</style>",
    ]
    for wing, imported in sorted(arrows - implied):
        (x1, y1), (x2, y2) = centres[wing], centres[imported]
        y1, y2 = y1 + BOX_HEIGHT / 2, y2 - BOX_HEIGHT / 2
        middle = (y1 + y2) / 2
        lines.append(f'<path d="M{x1:g} {y1:g}C{x1:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2:g}"/>')
    for wing, (x, y) in centres.items():
        box = f'x="{x - BOX_WIDTH / 2:g}" y="{y - BOX_HEIGHT / 2:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}"'
        lines.append(
            f'<rect {box} rx="5"/><text x="{x:g}" y="{y - 4:g}" font-weight="bold" font-size="15">{wing}</text>'
        )
        lines.append(f'<text x="{x:g}" y="{y + 15:g}" font-size="11">{TEXTS[wing]}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    TARGET.write_text(draw(), encoding="utf-8")
