"""1,000 runs × 1,000 points × 5 metrics are read in a minute and 1.5 GB."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

MEASURE = """
import sys, time
from pathlib import Path
from lrreport.sources import inspect
start = time.monotonic()
imported = inspect(Path(sys.argv[1]))
seconds = time.monotonic() - start
# Not ru_maxrss, which begins at what the process that started this one used.
peak = next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, peak, len(imported.runs), len(imported.history))
"""


@pytest.mark.slow
@pytest.mark.parametrize("many", [True, False])
def test_a_thousand_runs(tmp_path: Path, many: bool) -> None:
    draw, epochs, parts = np.random.default_rng(0), np.arange(1, 1001), []
    for index in range(1000):
        rate, seed = (0.1, 0.03, 0.01, 0.003, 0.001)[index % 5], index // 5
        names = ("train_loss", "val_loss", "train_acc", "val_acc", "test_acc")
        part = pd.DataFrame({"epoch": epochs} | {name: 0.5 / epochs + draw.random(1000) / 9 for name in names})
        if many:
            part.to_csv(tmp_path / f"lr{rate}_s{seed}.csv", index=False)
        parts.append(part.assign(lr=rate, seed=seed))
    if not many:
        pd.concat(parts).to_csv(tmp_path / "all.csv", index=False)
    output = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    seconds, megabytes, n_runs, n_points = map(float, output.split())
    assert (n_runs, n_points) == (1000, 5_000_000)
    assert seconds <= 60
    assert megabytes <= 1500
