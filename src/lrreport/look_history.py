"""The history of looks at a study, in its folder: each look spends its share of the 5 % error level."""

import json
from collections.abc import Sequence
from pathlib import Path

from lrreport.record.contents import RunPlace
from lrreport.record.files import replace_file
from lrreport.study.decide import Look
from lrreport.study.study import Study

LOOKS = "looks.json"


def list_looks(folder: Path, study: Study, runs: Sequence[RunPlace]) -> tuple[tuple[Look, ...], Look | None]:
    """Return the looks before the look at these runs, and that look if it was taken already.

    Every look at runs of the study counts, whether its runs are among these or not. Looks at the same seeds made with
    other code, data or settings do not: what was seen there is not seen again. A level counts as dropped only if the
    look saw a part of these runs and the study has not changed since.
    """
    keys, seeds = _list_keys(runs), {run.seed for run in runs}
    earlier: list[Look] = []
    for look, seen, seen_seeds, digest in _read(folder):
        same = digest == study.digest()
        if seen == keys:
            return tuple(earlier), look if same else look.model_copy(update={"dropped": ()})
        if seen & keys or not seen_seeds & seeds:
            earlier.append(look if same and seen <= keys else look.model_copy(update={"dropped": ()}))
    return tuple(earlier), None


def note_look(folder: Path, study: Study, runs: Sequence[RunPlace], look: Look) -> None:
    """Note a look at these runs; a look noted earlier is unchanged."""
    keys = _list_keys(runs)
    noted = _read(folder)
    if any(seen == keys for _, seen, _, _ in noted):
        return
    entry = (look, keys, {run.seed for run in runs if not run.fresh}, study.digest())
    contents = [
        look.model_dump(mode="json") | {"runs": sorted(seen), "seeds": sorted(seeds, key=str), "study": digest}
        for look, seen, seeds, digest in [*noted, entry]
    ]
    replace_file(folder / LOOKS, (json.dumps(contents, indent=1) + "\n").encode())


def _list_keys(runs: Sequence[RunPlace]) -> set[str]:
    return {Path(run.folder).name for run in runs if not run.fresh}


def _read(folder: Path) -> list[tuple[Look, set[str], set[int | str], str]]:
    """Return each look noted in a folder with the keys and seeds of the runs that it saw; [] if unreadable."""
    try:
        noted = json.loads((folder / LOOKS).read_text(encoding="utf-8"))
        return [
            (
                Look.model_validate({name: entry[name] for name in Look.model_fields}),
                set(entry["runs"]),
                set(entry["seeds"]),
                str(entry["study"]),
            )
            for entry in noted
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
