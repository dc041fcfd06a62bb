"""Each refusal of `lrreport import` names an option that can be typed at once, and with it the logs are read."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from lrreport.cli import main
from lrreport.errors import LrreportError
from lrreport.imports import write_import
from lrreport.sources import ImportSpec, inspect
from lrreport.sources.assignments import parse_assignments
from lrreport.study.metrics import MetricDeclaration

GRID = [(rate, seed) for rate in (0.1, 0.01) for seed in (0, 1, 2)]
ROWS = "".join(f"{rate},{seed},{0.5 + rate + seed / 100}\n" for rate, seed in GRID)
CHART = '"Token","A - acc","A - acc__MIN","A - acc__MAX","B - acc","B - acc__MIN","B - acc__MAX"\n'
CURVES = "lr,seed,epoch,val_acc\n" + "".join(
    f"{rate},{seed},{epoch},0.{epoch}\n" for rate, seed in GRID for epoch in (1, 2)
)


def wide(header: str, *columns: str) -> str:
    return header + "".join(f"{row},{','.join(cells)}\n" for row, *cells in zip(ROWS.split(), *columns, strict=True))


REFUSED = {
    "a point with two values": ({"t.csv": CURVES + "0.1,0,2,0.9\n"}, "import.duplicates=last"),
    "a seed with two values": ({"t.csv": f"lr,seed,acc\n{ROWS}0.1,0,0.7\n"}, "import.duplicates=last"),
    "two tables": (
        {"a.csv": f"lr,seed,acc\n{ROWS}", "b.csv": "lr,seed,loss\n0.1,0,2.5\n0.1,1,2.6\n"}, "import.paths=a.csv",
    ),
    "two learning rates": (
        {"t.csv": wide("optimizer.lr,seed,acc,head.lr\n", "121212")}, "import.settings.learning_rate=optimizer.lr",
    ),
    "two seeds": ({"t.csv": wide("lr,seed,acc,random_seed\n", "135790")}, "import.seed=seed"),
    "two settings inside a level": (
        {"t.csv": wide("lr,seed,acc,batch_size,dropout,momentum\n", "112112", "123123", "111222")},
        'import.ignore=["dropout", "momentum"]',
    ),
    "trials of a rate that differ in another setting": (
        {"t.csv": wide("lr,seed,acc,trial,dropout\n", "111222", "555666") + "".join(f"0.1,{seed},0.7{seed},3,7\n" for seed in (0, 1, 2))},
        'vary=["trial"]',
    ),
    "settings that vary together": ({"t.csv": wide("lr,seed,acc,batch_size\n", "888999")}, 'import.ignore=["batch_size"]'),
    "neither fraction nor percent": (
        {"t.csv": "lr,seed,acc\n" + "".join(f"{rate},{seed},{1 + seed / 10}\n" for rate, seed in GRID)}, "import.percent=acc",
    ),
    "a metric of unknown direction": (
        {"t.csv": "lr,seed,wibble\n" + ROWS}, "metrics.val_wibble={from=\"wibble\", better='higher'}",
    ),
    "names without a pattern": (
        {f"lr{rate}_s{seed}.csv": "epoch,val_acc\n1,0.5\n2,0.6\n" for rate, seed in GRID} | {"notes.csv": "epoch,val_acc\n1,0.5\n"},
        "import.exclude=notes.csv",
    ),
    "a damaged line": (
        {"broken.csv": "lr,seed,acc\n0.1,0\n0.01,0,0.5\n", "t.csv": f"lr,seed,acc\n{ROWS}"}, "import.exclude=broken.csv",
    ),
    "an unknown axis": ({"c.csv": CHART + "1,0.1,0.1,0.1,0.2,0.2,0.2\n2,0.2,0.2,0.2,0.3,0.3,0.3\n"}, "import.axis=step"),
    "too many levels": (
        {"t.csv": "lr,seed,acc\n" + "".join(f"{n + 1},{seed},0.5\n" for n in range(201) for seed in (0, 1))}, "vary.learning_rate=[1, 2, 3]",
    ),
}  # fmt: skip


TYPED = {  # assignments before the refusal
    "names without a pattern": ["import.name=lr{learning_rate}_s{seed}"],
    "trials of a rate that differ in another setting": ["vary=learning_rate"],
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_option_that_a_refusal_names_reads_the_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    files, expected = REFUSED[case]
    logs = tmp_path / "logs"
    logs.mkdir()
    for name, content in files.items():
        (logs / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    typed = TYPED.get(case, [])
    with pytest.raises(LrreportError) as caught:
        write_import(logs, None, None, typed)
    (hint,) = re.findall(r" \(such as --set (.*)\)$", str(caught.value))
    assert shlex.split(hint) == [expected]
    assert write_import(logs, None, None, [*typed, expected]) == 0
    written = tomllib.loads((tmp_path / "logs.toml").read_text())
    spec = ImportSpec(**written["import"])
    table, _, key = expected.partition("=")[0].partition(".")
    if table == "import":
        suggested = parse_assignments([expected])[key.partition(".")[0]]
        assert getattr(spec, key.partition(".")[0]) in (suggested, (suggested,), tuple(suggested))


def test_assignments_are_toml_or_text() -> None:
    parsed = parse_assignments(
        [
            'duplicates="last"', "import.paths=runs/*", "name=lr{learning_rate}", "paired=true",
            "vary.optimizer.lr=[0.1, 0.2]", "metrics.val_score.better=higher", "metrics.val_score.from=score",
            "drop.status=failed", "duplicates = first",
        ]
    )  # fmt: skip
    assert parsed == {
        "duplicates": "first",
        "paths": "runs/*",
        "name": "lr{learning_rate}",
        "paired": True,
        "drop": {"status": "failed"},
        "vary": {"optimizer.lr": [0.1, 0.2]},
        "metrics": {"val_score": MetricDeclaration(**{"better": "higher", "from": "score"})},
    }
    assert parse_assignments(["vary=lr"])["vary"] == ["lr"]
    assert parse_assignments(["vary.lr=0.1"])["vary"] == {"lr": [0.1]}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("duplicates", "--set 'duplicates': not KEY=VALUE, such as import.duplicates=last"),
        ("=last", "--set '=last': not KEY=VALUE, such as import.duplicates=last"),
        ("a\nb=1", "--set 'a�b=1': not KEY=VALUE"),
        ("metrics=val_acc", "--set metrics: is a table; name a key in it"),
        ("folder=x", "--set import.folder: the folder is the argument of the command; leave it out"),
        ("duplicates=any", "import.duplicates = 'any': there is no such duplicates"),
        ("duplicate=last", "unknown key import.duplicate; did you mean duplicates?"),
        ("metrics.val_acc.better=up", "--set: metrics.val_acc.better = 'up'"),
        ("exclude=none.csv", "import.exclude: no file fits none.csv; there are t.csv"),
        ("exclude=*", "import.exclude: leaves no file; exclude fewer"),
        ("vary=width", "the runs have no setting width; they have learning_rate"),
    ],
)
def test_a_wrong_assignment_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, assignment: str, message: str
) -> None:
    (tmp_path / "t.csv").write_text(f"lr,seed,acc\n{ROWS}")
    monkeypatch.chdir(tmp_path)
    assert main(["import", str(tmp_path / "t.csv"), "--set", assignment]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("*.toml"))


def test_files_that_are_excluded_are_counted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"lr,seed,acc\n{ROWS}")
    (tmp_path / "old").mkdir()
    (tmp_path / "old/t.csv").write_text("lr,seed,acc\n0.5,0,0.1\n")
    imported = inspect(tmp_path, exclude="old")
    assert len(imported.runs) == 6
    assert ("files left out by import.exclude", 1) in [(note.text, note.count) for note in imported.notes]
