"""Training imports nothing of PyTorch's compiler, and leaves it as it was."""

import subprocess
import sys

SCRIPT = """
import sys
from lrreport.study.parsing import parse_settings
from lrreport.study.settings import Training
from lrreport.training import data, loop

named = {"dataset": "sample", "epochs": 1, "validation_size": 500, "schedule": {"name": "one_cycle"}}
training = parse_settings(Training, named, "test")
loop.fit_seeds(training, data.load_splits(training, [0, 1]))
print(sorted({"sympy", "torch._dynamo", "torch._inductor"} & set(sys.modules)))

import torch

print(torch._dynamo.graph_break.__module__)
"""


def test_a_fit_imports_no_compiler_and_leaves_it_usable() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "torch._dynamo.decorators"]
