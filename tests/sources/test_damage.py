"""Files cut, shuffled, duplicated and resumed give the same tables or a refusal in one line; points are counted."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lrreport.errors import LrreportError
from lrreport.sources import Import, inspect

Write = Callable[..., Path]


def rows_of(imported: Import) -> set[tuple[object, ...]]:
    """Return what was measured whatever the runs are called: rate, seed, metric, point, value."""
    runs = imported.runs.set_index("run")
    return {
        (runs.loc[row.run, "setting.learning_rate"], runs.loc[row.run, "seed"], row.metric, row.at, row.value)
        for row in imported.history.itertuples()
    }


def test_a_csv_file_cut_at_every_1000th_byte(tmp_path: Path, write_table: Write) -> None:
    path = write_table(n_seeds=10, n_epochs=20)
    content = path.read_bytes()
    whole = rows_of(inspect(tmp_path))
    assert len(whole) == 2 * 10 * 20 * 2
    for cut in [*range(0, len(content), 1000), len(content) - 1]:
        path.write_bytes(content[:cut])
        n_lines = content[:cut].count(b"\n")
        try:
            imported = inspect(tmp_path)
        except LrreportError as err:
            assert "\n" not in str(err)  # noqa: PT017
            assert n_lines <= 201
            continue
        assert rows_of(imported) < whole
        assert len(imported.history) == 2 * (n_lines - 1)
        assert any(note.kind == "cut" for note in imported.notes) == (not content[:cut].endswith(b"\n"))
        assert any(note.kind in ("hole", "length") for note in imported.notes) or n_lines == 401 - 1


def test_shuffled_rows_and_duplicated_files(tmp_path: Path, write_table: Write) -> None:
    path = write_table(n_seeds=3, n_epochs=10)
    whole = rows_of(inspect(tmp_path))
    header, *lines = path.read_text().splitlines()
    random.Random(0).shuffle(lines)
    path.write_text("\n".join([header, *lines, *lines[:25]]) + "\n")
    shuffled = inspect(tmp_path)
    assert rows_of(shuffled) == whole
    assert ("points that repeat another exactly and are counted once", 50) in [
        (n.text, n.count) for n in shuffled.notes
    ]
    path.with_name("copy.csv").write_text(path.read_text())
    twice = inspect(tmp_path)
    assert rows_of(twice) == whole
    assert ("runs that repeat another exactly and are counted once", 6) in [(n.text, n.count) for n in twice.notes]


def test_lines_cut_at_every_byte(tmp_path: Path) -> None:
    rows = [{"run": {"learning_rate": 0.1, "seed": 0}}, {"epoch": 1, "val_acc": 0.5}, {"end": "completed"}]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [
        {"run": {"learning_rate": 0.01, "seed": 0, "note": "é"}},
        *({"epoch": e, "val_acc": e / 10} for e in range(1, 6)),
        {"end": "completed"},
    ]
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    for cut in [*range(0, len(content) - 12, 3), *range(len(content) - 12, len(content) + 1)]:
        (tmp_path / "a.jsonl").write_bytes(content[:cut])
        n_points = max(0, min(5, content[:cut].count(b"\n") - 1))
        last = content[:cut].rpartition(b"\n")[2]
        if last.endswith(b"}") and b"epoch" in last:
            n_points += 1  # a whole object without its line's end
        try:
            imported = inspect(tmp_path)
        except LrreportError as err:
            assert "\n" not in str(err)  # noqa: PT017
            assert n_points == 0
            continue
        assert len(imported.history) == n_points + 1
        status = imported.runs.set_index("run").loc["a", "status"]
        assert status == ("completed" if cut >= len(content) - 1 else "stopped")
        assert any(note.kind == "cut" for note in imported.notes) == (last != b"" and not last.endswith(b"}"))


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_never_raise_anything_else(tmp_path: Path, write_table: Write, seed: int) -> None:
    """Flip, delete and insert bytes: a refusal in one line, or tables."""
    draw = random.Random(seed)
    originals = {write_table(f"lr{rate}/log.csv", rates=[rate]): b"" for rate in (0.1, 0.01)}
    originals = {path: path.read_bytes() for path in originals}
    extra = {
        tmp_path / "lr0.1/hparams.json": b'{"a": {"b": [1, 2]}}',
        tmp_path / "lr0.01/config.yaml": b"a:\n  b: [1, 2]\n",
    }
    for path, content in extra.items():
        path.write_bytes(content)
    for _ in range(30):
        for path, content in {**originals, **extra}.items():
            damaged = bytearray(content)
            for _ in range(draw.randint(0, 3)):
                index = draw.randrange(len(damaged))
                damaged[index : index + draw.randint(0, 2)] = bytes(
                    draw.randrange(256) for _ in range(draw.randint(0, 2))
                )
            path.write_bytes(damaged)
        try:
            inspect(tmp_path)
        except LrreportError as err:
            assert "\n" not in str(err)  # noqa: PT017


def test_json_files_cut_or_nested(tmp_path: Path) -> None:
    for rate in (0.1, 0.01):
        text = json.dumps({"lr": rate, "seed": 1, "val_losses": [1.0, 0.5, rate]})
        (tmp_path / f"{rate}.json").write_text(text)
    assert len(inspect(tmp_path).history) == 6
    (tmp_path / "0.1.json").write_text(text[:30])
    with pytest.raises(
        LrreportError,
        match=r"^0\.1\.json: not valid JSON \(.*\), perhaps cut off; copy it again, or exclude the file with import.exclude$",
    ):
        inspect(tmp_path)
    (tmp_path / "0.1.json").write_text("[" * 100_000)
    with pytest.raises(LrreportError, match=r"^0\.1\.json: not valid JSON \(nested too deeply\)"):
        inspect(tmp_path)
    (tmp_path / "0.1.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(LrreportError, match=r"^0\.1\.json: not UTF-8 text"):
        inspect(tmp_path)


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path, write_table: Write) -> None:
    secret = write_table("elsewhere/secret.csv")
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "runs.csv").write_text(secret.read_text())
    (folder / "link.csv").symlink_to(secret)
    (folder / "dir").symlink_to(secret.parent)
    imported = inspect(folder)
    assert [file.path for file in imported.files] == ["runs.csv"]
    assert ("symbolic links, which are not followed", 2) in [(note.text, note.count) for note in imported.notes]
    with pytest.raises(LrreportError, match="import.paths: ../elsewhere leads out of the folder; name paths below it"):
        inspect(folder, paths=["../elsewhere"])
    with pytest.raises(LrreportError, match=r"import.paths: no file fits \*\.tsv; there are runs.csv"):
        inspect(folder, paths=["*.tsv"])
    with pytest.raises(LrreportError, match="nowhere: no such file or folder"):
        inspect(tmp_path / "nowhere")


def test_a_log_that_goes_on_after_a_resume(tmp_path: Path) -> None:
    for rate in (0.1, 0.01):
        rows = [f"{epoch},{rate + epoch / 10}" for epoch in (1, 2, 3, 2, 3, 4, 5)]
        (tmp_path / f"lr{rate}.csv").write_text("epoch,val_loss\n" + "\n".join(rows) + "\n")
    imported = inspect(tmp_path)
    assert imported.history["at"].tolist() == [1, 2, 3, 4, 5] * 2
    assert pd.Series([note.count for note in imported.notes if note.kind == "duplicate"]).tolist() == [4]
