"""study.json in a report's folder: the study, the runs that the report is made from, and the looks taken."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lrreport.errors import LrreportError
from lrreport.study.decide import Look
from lrreport.study.study import Study, parse_study

CONTENTS = "study.json"


@dataclass(frozen=True)
class RunPlace:
    """The folder of the run of a level and seed, relative to the report's folder.

    A `fresh` run was made to score the chosen level, after the choice, and takes no part in it.
    """

    level: int
    seed: int | str
    folder: str
    fresh: bool = False


@dataclass(frozen=True)
class ImportNote:
    """Something that an import left out, merged, missed or guessed: what, why and how many times."""

    kind: str
    text: str
    count: int


@dataclass(frozen=True)
class Contents:
    """A study, its runs, its range tests by name, its looks, and the reasons of failed runs by name.

    `notes` are those of an import.
    """

    study: Study
    runs: tuple[RunPlace, ...]
    range_tests: Mapping[str, str] = field(default_factory=dict)
    looks: tuple[Look, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[ImportNote, ...] = ()

    def to_text(self) -> str:
        """Return the text of study.json."""
        runs = [
            {"level": run.level, "seed": run.seed, "folder": run.folder, **({"fresh": True} if run.fresh else {})}
            for run in self.runs
        ]
        return json.dumps({
            "study": self.study.model_dump(mode="json", by_alias=True, exclude_none=True),
            "runs": runs,
            "range_tests": dict(self.range_tests),
            "looks": [look.model_dump(mode="json") for look in self.looks],
            "failures": dict(self.failures),
            "notes": [asdict(note) for note in self.notes],
        }, indent=1) + "\n"  # fmt: skip


def read_contents(folder: Path) -> Contents:
    """Return the contents of study.json in `folder`; raises LrreportError if it is missing or malformed."""
    path = folder / CONTENTS
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
        runs = tuple(
            RunPlace(int(run["level"]), run["seed"], str(run["folder"]), bool(run.get("fresh", False)))
            for run in contents["runs"]
        )
        tests = {str(name): str(path) for name, path in contents.get("range_tests", {}).items()}
        looks = tuple(Look.model_validate(look) for look in contents.get("looks", ()))
        failures = {str(name): str(reason) for name, reason in contents.get("failures", {}).items()}
        notes = tuple(
            ImportNote(str(note["kind"]), str(note["text"]), int(note["count"])) for note in contents.get("notes", ())
        )
        study = parse_study(contents["study"], str(path))
    except LrreportError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        problem = " ".join(str(err).split())[:200]
        raise LrreportError(f"{path}: cannot read it ({problem}); run lrreport report to make it") from err
    known = range(len(study.levels))
    if wrong := next((run for run in runs if run.level not in known), None):
        raise LrreportError(f"{path}: the study has no level {wrong.level}; run lrreport report to make it again")
    return Contents(study, runs, tests, looks, failures, notes)


def list_folders(contents: Mapping[str, Any]) -> list[str]:
    """Return the folders of all runs and range tests in the data of a study.json, of any version; raises KeyError."""
    levels = contents.get("levels", [contents])  # as version 0.1 wrote it
    folders = [run["folder"] for level in levels for run in level["runs"]]
    folders += [level["range_test"] for level in levels if "range_test" in level]
    return folders + list(contents.get("range_tests", {}).values())
