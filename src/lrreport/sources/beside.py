"""Settings in a file beside a run's log: hparams.json, config.yaml and their kind."""

import re
from collections.abc import Sequence
from typing import Any

from lrreport.sources.folder import Folder, parent
from lrreport.sources.logs import RunLog
from lrreport.sources.values import flatten, parse_json, parse_yaml

BESIDE = re.compile(
    r"(hparams?|hyper_?parameters|params|config|args|arguments|settings|flags|options|run_?card)(_\d+)?\.(json|ya?ml)"
)


def is_beside(path: str) -> bool:
    """Return whether a file holds settings and no results, by its name."""
    return BESIDE.fullmatch(path.rsplit("/", 1)[-1].casefold()) is not None


def add_settings_beside(folder: Folder, logs: Sequence[RunLog]) -> None:
    """Add the settings that files beside each run's log hold; the log's own settings take precedence."""
    by_folder: dict[str, list[str]] = {}
    for path in folder.paths:
        if is_beside(path):
            by_folder.setdefault(parent(path), []).append(path)
    read: dict[str, dict[str, Any]] = {}
    for log in logs:
        for folder_path in (log.source, parent(log.source)):
            for path in by_folder.get(folder_path, ()):
                if path not in read:
                    read[path] = _read(folder, path)
                log.settings = read[path] | log.settings


def _read(folder: Folder, path: str) -> dict[str, Any]:
    content = folder.read(path)
    settings = parse_json(content, path) if path.casefold().endswith(".json") else parse_yaml(content, path)
    return flatten(settings) if isinstance(settings, dict) else {}
