"""Log training runs from your own notebook or script: run(), epoch() for each epoch, end().

The lines go to the file that the environment variable LRREPORT_LOG names, as JSON Lines. Without it nothing is written,
so that the same code runs by itself.

    from lrreport import log

    log.run(learning_rate=0.001, seed=3)
    for ... in range(epochs):
        log.epoch(train_loss=0.61, val_accuracy=0.81)
    log.end(test_accuracy=0.84)
"""

import json
import math
import os
from typing import Any

_epochs = [0]  # logged by the current run


def run(**settings: Any) -> None:
    """Begin a run with its settings, including `seed` if the process trains several."""
    _epochs[0] = 0
    _write({"run": settings})


def epoch(number: float | None = None, /, **values: Any) -> None:
    """Log metrics after an epoch: 1 and so on if `number` is not given; 0 is before any training."""
    if os.environ.get("LRREPORT_LOG"):
        number = values.pop("epoch", number)
        _epochs[0] = _epochs[0] + 1 if number is None else int(number)
        point(epoch=_epochs[0] if number is None else number, **values)


def point(**values: Any) -> None:
    """Log metrics at a point of an axis, epoch, step, samples or seconds: point(step=500, val_loss=0.3)."""
    if os.environ.get("LRREPORT_LOG"):
        numbers = {name: _read_number(name, value) for name, value in values.items()}
        diverged = any(number is None for number in numbers.values())
        _write(numbers | ({"status": "diverged"} if diverged else {}))


def end(status: str = "completed", /, **final: Any) -> None:
    """End the run: "completed", "diverged" or "failed", with the metrics of the finished model."""
    if os.environ.get("LRREPORT_LOG"):
        numbers = {name: _read_number(name, value) for name, value in final.items()}
        diverged = status == "completed" and any(number is None for number in numbers.values())
        _write({"end": "diverged" if diverged else status, "final": numbers})


def _read_number(name: str, value: Any) -> float | None:
    """Return a number, also of numpy or torch, as a float; None if it is not finite."""
    try:
        number = float(value)
    except (TypeError, ValueError) as err:
        raise TypeError(f"{name} = {value!r} is not a number") from err
    return number if math.isfinite(number) else None


def _write(line: dict[str, Any]) -> None:
    path = os.environ.get("LRREPORT_LOG")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line, default=str)}\n")
