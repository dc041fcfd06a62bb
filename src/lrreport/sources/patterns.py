"""Settings in the names of files and folders, by a declared pattern or guessed."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from lrreport.errors import LrreportError
from lrreport.sources.guess import CANONICAL, LABELS, SEEDS, is_seed, name_setting, slug
from lrreport.sources.logs import RunLog
from lrreport.sources.refusal import refuse_file
from lrreport.sources.values import parse_value

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-_+]?\d+)?"
SHORT = sorted(
    {*CANONICAL, *SEEDS} - {"data", "task", "net", "dim", "temp", "batch", "eta", "lr0"}, key=len, reverse=True
)
NEAR = re.compile(  # lr0.1, lr_0.1, lr-0.1, bs32, seed-3, s42
    rf"(?<![A-Za-z0-9])({'|'.join(SHORT)})[_=\-]{{0,2}}({NUMBER})(?![A-Za-z0-9.]*[A-Za-z0-9])", re.IGNORECASE
)
PAIR = re.compile(r"([A-Za-z][A-Za-z0-9_.]*?)(?:=|__)([^=/,]+?)(?=,|&|/|__|_(?=[A-Za-z0-9_.]+=)|$)")  # lr=0.1,bs=32
WORD_NUMBER = re.compile(r"([A-Za-z]+)[_-]?(\d+)")  # a folder trial_3
MOST_DISTINCT = 0.75  # share of distinct runs, up to which folders hold copies
# fmt: off
NUMBERING = frozenset(
    [
        "run", "runs", "version", "v", "checkpoint", "ckpt", "attempt", "copy", "part", "job", "task", "fold",
        "events", "epoch", "step", "study", "rep", "repeat", "replicate", "try",
    ]
)
# fmt: on


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the expression of a pattern such as "{method}_lr{learning_rate}_s{seed}", in which * is any text.

    It fits the end of a path, from the beginning of a folder's or file's name.
    """
    parts = re.split(r"(\{\w*\}|\*)", pattern)
    names = [part[1:-1] for part in parts if len(part) > 2 and part.startswith("{")]
    if not names or len(set(names)) < len(names):
        raise LrreportError(
            f'import.name = "{pattern}": name each setting once in braces, such as "lr{{learning_rate}}"'
        )
    wrong = [name for name in names if not name.isidentifier()]
    if wrong:
        raise LrreportError(f'import.name = "{pattern}": {{{wrong[0]}}} is not a valid name of a setting')

    def translate(part: str) -> str:
        if part == "*":
            return "[^/]*"
        if part.startswith("{"):
            return f"(?P<{part[1:-1]}>[^/]+?)" if len(part) > 2 else "[^/]*?"
        return re.escape(part)

    return re.compile(f"(?:.*/)?{''.join(map(translate, parts))}")


def apply_pattern(pattern: str, logs: Sequence[RunLog]) -> None:
    """Add the settings that a declared pattern finds in each run's name; raises LrreportError for a run that does not match."""
    expression = compile_pattern(pattern)
    for log in logs:
        fit = next((fit for text in _texts(log) if (fit := expression.fullmatch(text))), None)
        if fit is None:
            raise refuse_file(log.source, f'does not fit import.name = "{pattern}"', "change the pattern")
        log.settings = {name: _read_number(value) for name, value in fit.groupdict().items()} | log.settings


def find_settings(logs: Sequence[RunLog]) -> list[str]:
    """Add the settings in the runs' names that the source itself does not hold; return their names."""
    added: list[str] = []
    for log in logs:
        known = {_usual(name) for name in log.settings}
        has_seed = any(map(is_seed, log.settings))
        for name, value in parse_name(log.run).items():
            if _usual(name) not in known and not (is_seed(name) and has_seed):
                log.settings[name] = value
                added.append(name)
    _find_folders(logs, added)
    return list(dict.fromkeys(added))


def parse_name(path: str) -> dict[str, Any]:
    """Return the settings in a path: "bs32_lr3e_4/s1" → {"bs": 32, "lr": 0.0003, "s": 1}."""
    settings: dict[str, Any] = {}
    for name, value in PAIR.findall(path):
        key = name.strip("_")
        if name_setting(key) or is_seed(key) or re.fullmatch(NUMBER, value):
            settings.setdefault(key, _read_number(value))
    for name, value in NEAR.findall(path):
        if not any(name.casefold() == key.casefold() for key in settings):
            settings.setdefault(name, _read_number(value))
    return settings


def _find_folders(logs: Sequence[RunLog], added: list[str]) -> None:
    """Add what tells folders apart: "trial" for trial_1, trial_2; else "folder" for names that repeat over runs."""
    parts = [log.run.split("/") for log in logs]
    if len(set(map(len, parts))) != 1 or len(logs) < 2:
        return
    for depth in range(len(parts[0])):
        names = [part[depth] for part in parts]
        if len(set(names)) < 2 or any(parse_name(name) for name in names):
            continue
        numbered = [WORD_NUMBER.fullmatch(name) for name in names]
        words = {match.group(1).casefold() for match in numbered if match}
        if all(numbered) and len(words) == 1 and not words & NUMBERING:
            word = words.pop()
            _add(
                logs,
                word if word in LABELS else f"folder_{word}",
                [int(match.group(2)) for match in numbered if match],
                added,
            )
        elif not all(numbered) and len(set(names)) <= len(names) / 2:
            _add(logs, f"folder_{depth + 1}" if "folder" in added else "folder", names, added)


def _add(logs: Sequence[RunLog], name: str, values: Sequence[Any], added: list[str]) -> None:
    known = {key for log in logs for key in log.settings}
    if name in known or _repeats_known(logs, values) or _are_copies(logs):
        return
    for log, value in zip(logs, values, strict=True):
        log.settings[name] = value
    added.append(name)


def _repeats_known(logs: Sequence[RunLog], values: Sequence[Any]) -> bool:
    """Return whether a text setting splits the runs just as these values do."""
    texts = [name for name in logs[0].settings if all(isinstance(log.settings.get(name), str) for log in logs)]
    for name in texts:
        pairs = {(str(log.settings.get(name)), value) for log, value in zip(logs, values, strict=True)}
        if len(pairs) == len({left for left, _ in pairs}) == len({right for _, right in pairs}) and not is_seed(name):
            return True
    return False


def _are_copies(logs: Sequence[RunLog]) -> bool:
    """Return whether many runs differ in name only, as in a folder that was copied."""
    if not any(log.points or log.final for log in logs):
        return False
    digests = set()
    for log in logs:
        digest = hashlib.sha256(repr((sorted(map(str, log.settings.items())), sorted(log.final.items()))).encode())
        for points in log.points:
            digest.update(points.metric.encode() + points.at.tobytes() + points.values.tobytes())
        digests.add(digest.digest())
    return len(digests) <= len(logs) * MOST_DISTINCT


def _usual(name: str) -> str:
    return name_setting(name) or slug(name.rpartition(".")[2])


def _texts(log: RunLog) -> tuple[str, str, str]:
    stem = log.source.rsplit(".", 1)[0] if "." in log.source.rsplit("/", 1)[-1] else log.source
    return log.run, stem, log.source


def _read_number(text: str) -> Any:
    """Return a number of a name, in which 3e_4 is 3e-4; else the text."""
    return parse_value(re.sub(r"(?<=\d[eE])_(?=\d)", "-", text))
