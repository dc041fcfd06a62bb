"""The phases of a report: all CPU time has a name, and they add up to what the system says."""

import resource
from pathlib import Path

import pytest

from benchmarks.phases import measure_phases

pytestmark = pytest.mark.slow
STUDY = """seeds = [0, 1]
[vary]
learning_rate = [0.01]
[fixed]
dataset = "sample"
validation_size = 500
epochs = 2
"""


def test_phases_add_up_to_the_cpu_time_of_all_processes(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    phases = measure_phases(str(tmp_path / "study.toml"), tmp_path / "outputs")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert set(phases) >= {"the command", "imports, once", "Papermill", "kernels", "training", "wall"}
    assert all(seconds > 0 for seconds in phases.values())
    together = sum(seconds for phase, seconds in phases.items() if phase != "wall")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert together == pytest.approx(used, rel=0.15)
