"""Executions and the names of their folders."""

import json
from pathlib import Path

from lrreport.sweep.executions import name_folder, plan_executions
from tests.sweep.tiny import make_runs


def test_executions_and_their_folders_have_names(tmp_path: Path) -> None:
    runs = make_runs(tmp_path, {0.1: [0, 1, 2]})
    assert [execution.name for execution in plan_executions(runs, 1)] == ["learning_rate=0.1"]
    assert [execution.name for execution in plan_executions(runs, 8)] == [
        "learning_rate=0.1_seed=0", "learning_rate=0.1_seed=1", "learning_rate=0.1_seed=2",
    ]  # fmt: skip
    assert name_folder("learning rate 0.1 with batch size 32") == "learning_rate=0.1_with_batch_size=32"
    assert name_folder("the range test with Adam") == "range_test_with_Adam"
    assert name_folder("../../$x\n") == "x"
    assert json.dumps(name_folder("ü" * 200)).count("u00fc") == 60
