"""The bench in its short form: everything is measured, and written in the shape that readers rely on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_the_short_form_measures_everything(repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.run", "--short", "--outputs", str(tmp_path)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    head, *lines, path = done.stdout.splitlines()
    assert head.split() == ["what", "beside", "median", "range", "to", "reach"]
    assert path == str(tmp_path / "bench.json")
    contents = json.loads((tmp_path / "bench.json").read_text())
    assert contents["short"]
    assert contents["machine"]["cpu_count"]
    rows = contents["rows"]
    assert len(rows) == len(lines)
    beside = {row["beside"] for row in rows}
    assert {"bare loop", "PyTorch's tutorial", "the matrix products alone", "one notebook after the other"} <= beside
    whats = " ".join(row["what"] for row in rows)
    for part in ("512-512, batch 64", "batch 32", "batch 256", "whole study", "kernel and imports", "nothing to do",
                 "change of wording", "--help", "status", "report on 10 runs", "memory", "page"):  # fmt: skip
        assert part in whats, part
    for row in rows:
        assert row["readings"]
        assert all(reading > 0 for reading in row["readings"]), row
        assert min(row["readings"]) <= row["median"] <= max(row["readings"])
        assert row["unit"] in {"×", "s", "MB", "%"}
        assert (row["reached"] is None) == (row["target"] is None)
        assert any(line.startswith(row["what"]) for line in lines)
    assert (tmp_path / "bench.svg").read_text().lstrip().startswith("<?xml")
