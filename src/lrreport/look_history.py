"""The looks taken at a study, remembered in its folder: each spends its share of the 5 %, whoever asks for it."""

import json
from collections.abc import Sequence
from pathlib import Path

from lrreport.record.contents import RunPlace
from lrreport.record.files import replace_file
from lrreport.study.decide import Look
from lrreport.study.study import Study

LOOKS = "looks.json"


def list_looks(folder: Path, study: Study, places: Sequence[RunPlace]) -> tuple[tuple[Look, ...], Look | None]:
    """Return the looks before the one at these runs, and that one if it was taken already.

    Every look at runs of the study counts, whether its runs are among these or not. Looks at the same seeds made with
    other code, data or settings do not: what was seen there is not seen again. A level counts as dropped only if the
    look saw a part of these runs and the study has not changed since.
    """
    keys, seeds = _list_keys(places), {place.seed for place in places}
    earlier: list[Look] = []
    for look, seen, seen_seeds, digest in _read(folder):
        same = digest == study.digest()
        if seen == keys:
            return tuple(earlier), look if same else look.model_copy(update={"dropped": ()})
        if seen & keys or not seen_seeds & seeds:
            earlier.append(look if same and seen <= keys else look.model_copy(update={"dropped": ()}))
    return tuple(earlier), None


def note_look(folder: Path, study: Study, places: Sequence[RunPlace], look: Look) -> None:
    """Note a look at these runs; one that is noted already stays as it is."""
    keys = _list_keys(places)
    noted = _read(folder)
    if any(seen == keys for _, seen, _, _ in noted):
        return
    entry = (look, keys, {place.seed for place in places if not place.fresh}, study.digest())
    contents = [
        one.model_dump(mode="json") | {"runs": sorted(seen), "seeds": sorted(own, key=str), "study": digest}
        for one, seen, own, digest in [*noted, entry]
    ]
    replace_file(folder / LOOKS, (json.dumps(contents, indent=1) + "\n").encode())


def _list_keys(places: Sequence[RunPlace]) -> set[str]:
    return {Path(place.folder).name for place in places if not place.fresh}


def _read(folder: Path) -> list[tuple[Look, set[str], set[int | str], str]]:
    """Return each look noted in a folder with the keys and seeds of the runs that it saw; [] where none can be read."""
    try:
        noted = json.loads((folder / LOOKS).read_text(encoding="utf-8"))
        return [
            (
                Look.model_validate({name: one[name] for name in Look.model_fields}),
                set(one["runs"]),
                set(one["seeds"]),
                str(one["study"]),
            )
            for one in noted
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
