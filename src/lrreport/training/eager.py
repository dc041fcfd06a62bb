"""PyTorch's optimizers without its compiler, whose import takes a second of CPU time and serves compiled code alone."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

from lrreport.study.settings import Setup

COMPILER = "torch._dynamo"


@contextmanager
def run_eagerly(setup: Setup) -> Iterator[None]:
    """Let the optimizers of a study without code of the user's run without importing torch._dynamo.

    They call it at each step to leave compiled code (torch.optim.optimizer, `graph_break` and `disable`), of which there
    is none. Code of the user's may compile, so there the compiler is left as it is.
    """
    if setup.import_paths() or COMPILER in sys.modules:
        yield
        return
    stand_in: Any = ModuleType(COMPILER)
    stand_in.graph_break, stand_in.disable = _pass, _keep
    sys.modules[COMPILER] = torch._dynamo = stand_in
    try:
        yield
    finally:
        del sys.modules[COMPILER], torch._dynamo


def _pass() -> None:
    pass


def _keep(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    return function
