"""Which settings vary, which of them can be factors, and which would confound a comparison."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from lrreport.errors import LrreportError
from lrreport.sources.guess import LABELS, name_setting, names_run, slug
from lrreport.sources.logs import Note
from lrreport.sources.refusal import RefusalError
from lrreport.study.formats import format_setting, list_words

MOST_LEVELS = 200
SEARCH_FROM = 12  # runs, each with its own setting and no seed, from which they are a search


def key_of(value: Any) -> str:
    """Return a setting's value as a key: 1 and 1.0 share a key, an absent setting is "—"."""
    if value is None or (isinstance(value, float) and value != value):
        return "—"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return repr(float(value))


def keys_of(runs: pd.DataFrame, name: str) -> "pd.Series[str]":
    """Return the keys of a setting's values, run by run."""
    return runs[f"setting.{name}"].map(key_of)


def list_settings(runs: pd.DataFrame) -> list[str]:
    """Return the names of the settings in a frame of runs."""
    return [column.removeprefix("setting.") for column in runs.columns if column.startswith("setting.")]


def list_varying(runs: pd.DataFrame) -> list[str]:
    """Return the settings that have several values."""
    return [name for name in list_settings(runs) if keys_of(runs, name).nunique() > 1]


def is_label(name: str) -> bool:
    """Return whether a setting names a whole recipe, such as a method, with which other settings may go along."""
    last = slug(name.rpartition(".")[2])
    return last in LABELS or name_setting(name) in LABELS or name.startswith("folder")


def find_idle(runs: pd.DataFrame, keep: Sequence[str]) -> tuple[list[str], list[Note]]:
    """Return varying settings that name a run or follow its seed and so decide nothing, and a note on each."""
    varying = [name for name in list_varying(runs) if name not in keep]
    reasons = {name: "names a run" for name in varying if names_run(name)}
    for name in varying:
        if name in reasons or name_setting(name) is not None or is_label(name):
            continue
        if runs["seed"].nunique() > 1 and _follows(runs, name, ["seed"]):
            reasons[name] = "goes with the seed"
        elif (
            len(runs) > 2
            and keys_of(runs, name).nunique() == len(runs)
            and runs[f"setting.{name}"].map(type).eq(str).all()
        ):
            reasons[name] = "differs in every run"
    return list(reasons), [Note("guess", f"{name}: {reason}; it is ignored") for name, reason in reasons.items()]


def choose_factors(runs: pd.DataFrame, ignore: Sequence[str], where: str) -> tuple[list[str], list[str], list[Note]]:
    """Return the factors (at most two, the learning rate first), further settings to ignore, and a note on each.

    Raises LrreportError where nothing varies, or where more settings vary than a report can compare.
    """
    varying = [name for name in list_varying(runs) if name not in ignore]
    dropped: list[str] = []
    notes: list[Note] = []

    def drop(names: Sequence[str], reason: str) -> None:
        for name in names:
            varying.remove(name)
            dropped.append(name)
            notes.append(Note("guess", f"{name}: {reason}; it is ignored"))

    _refuse_nothing_varies(runs, varying, where)
    for name in [name for name in varying if name_setting(name) is None]:
        known = [setting for setting in varying if name_setting(setting) is not None and not is_label(setting)]
        is_text = runs[f"setting.{name}"].map(type).isin((str, type(None))).all()
        if len(known) == 1 and (is_label(name) or is_text) and _go_together(runs, name, known[0]):
            drop([name], f"tells the same runs apart as {known[0]}")
    for label in [name for name in varying if is_label(name)]:
        if label in varying:
            others = [name for name in varying if name != label and _follows(runs, name, [f"setting.{label}"])]
            drop(others, f"goes with {label}")
    factors = sorted(varying, key=lambda name: name != "learning_rate")
    if len(factors) > 2:
        pair = _find_label_pair(runs, factors)
        if pair is None:
            raise RefusalError(
                f"{where}: {len(factors)} settings vary ({list_words(factors[:8])}), and a report compares at most two; select "
                "runs with import.paths or import.drop, or name settings that may differ in import.ignore",
                f"import.ignore={json.dumps(factors[2:], ensure_ascii=False)}",
            )
        drop([name for name in factors if name not in pair], f"goes with {list_words(pair)}")
        factors = pair
    if len(factors) == 2 and _go_together(runs, *factors):
        raise _refuse_confounded(runs, [factors[0]], [factors[1]], where)
    _refuse_search(runs, factors, where)
    return factors, dropped, notes


def _refuse_nothing_varies(runs: pd.DataFrame, varying: Sequence[str], where: str) -> None:
    """Raise LrreportError for a single run, or for runs without a setting that varies."""
    if len(runs) == 1:
        raise LrreportError(
            f"{where}: holds a single run ({runs['run'].iloc[0]}), and a comparison needs two levels of a setting"
        )
    if not varying and runs["source"].nunique() == 1:
        raise LrreportError(
            f"{where}: no setting that is known varies between the {len(runs)} runs in {runs['source'].iloc[0]}; add a column "
            "with the setting that you want to compare"
        )
    if not varying:
        raise RefusalError(
            f"{where}: no setting that is known varies between the {len(runs)} runs; say in import.name which settings their "
            'names hold, such as "lr{learning_rate}_s{seed}", or write them into hparams.json beside each log',
            "import.name=lr{learning_rate}_s{seed}",
        )


def _find_label_pair(runs: pd.DataFrame, factors: Sequence[str]) -> list[str] | None:
    """Return two labels, such as a method and a data set, that determine all other settings; None without such a pair."""
    labels = [name for name in factors if is_label(name)]
    pairs = [[a, b] for a in labels for b in labels if a < b]
    return next(
        (
            pair
            for pair in pairs
            if all(_follows(runs, n, [f"setting.{p}" for p in pair]) for n in factors if n not in pair)
        ),
        None,
    )


def _follows(runs: pd.DataFrame, name: str, columns: Sequence[str]) -> bool:
    """Return whether a setting is determined by other columns, whose combinations repeat over runs."""
    keys = pd.DataFrame({column: runs[column].map(key_of) for column in columns})
    groups = keys_of(runs, name).groupby([keys[column] for column in columns])
    return bool((groups.nunique() == 1).all()) and groups.ngroups < len(runs)


def _go_together(runs: pd.DataFrame, first: str, second: str) -> bool:
    """Return whether two settings tell the same runs apart."""
    pairs = pd.DataFrame({"first": keys_of(runs, first), "second": keys_of(runs, second)})
    return bool(pairs.drop_duplicates().shape[0] == pairs["first"].nunique() == pairs["second"].nunique())


def _refuse_search(runs: pd.DataFrame, factors: Sequence[str], where: str) -> None:
    """Raise LrreportError where every run has its own setting and none has a seed."""
    n_cells = runs.groupby([keys_of(runs, name) for name in factors]).ngroups
    full = 1
    for name in factors:
        full *= keys_of(runs, name).nunique()
    seeds = (runs["seed"] != "").any()
    if n_cells == len(runs) >= SEARCH_FROM and not seeds and (len(factors) == 1 or n_cells < full / 2):
        raise LrreportError(
            f"{where}: each of the {len(runs)} runs has its own {list_words(list(factors))}, as in a search; run the values "
            "that you want to compare with several seeds"
        )


def check_cells(runs: pd.DataFrame, factors: Sequence[str], ignore: Sequence[str], where: str) -> list[Note]:
    """Return notes of settings that go along with a factor; raise LrreportError for what would confound a comparison.

    These are settings that vary inside a level, or that change together with a numeric factor.
    """
    levels = pd.concat([keys_of(runs, name) for name in factors], axis=1).agg(" with ".join, axis=1)
    others = [name for name in list_varying(runs) if name not in factors and name not in ignore]
    inside: list[str] = []
    for name in others:
        keys = keys_of(runs, name)
        mixed = keys.groupby(levels).nunique()
        if (mixed > 1).any():
            inside.append(name)
    if inside:
        level = str(keys_of(runs, inside[0]).groupby(levels).nunique().idxmax())
        rows = levels == level
        shown = [name for name in inside if keys_of(runs[rows], name).nunique() > 1]
        words = list_words([_count_values(runs[rows], name) for name in shown[:8]])
        at = list_words([f"{name} {_show(runs[rows], name)}" for name in factors])
        which = "it" if len(shown) == 1 else "them"
        label = next((name for name in shown if is_label(name)), None)  # such as a trial, which sets all of them
        more = [label] if label else [*factors, shown[0]]
        remedy = f"vary {label} instead" if label else f"vary {shown[0]} too"
        setting = f"vary={json.dumps(more, ensure_ascii=False)}"
        raise RefusalError(
            f"{where}: at {at} other settings vary: {words}; {remedy}, select runs with import.drop, or list {which} in "
            "import.ignore",
            setting if len(more) < 3 else f"import.ignore={json.dumps(shown, ensure_ascii=False)}",
        )
    together = [name for name in others if not any(is_label(factor) for factor in factors)]
    if together:
        raise _refuse_confounded(runs, factors, together, where)
    return [Note("remark", f"{name} goes with {list_words(list(factors))}") for name in others]


def _refuse_confounded(runs: pd.DataFrame, factors: Sequence[str], others: Sequence[str], where: str) -> RefusalError:
    """Return the error for settings that change together with the factors, with their values."""
    pairs = runs.drop_duplicates([f"setting.{name}" for name in factors])
    shown = ", ".join(f"{_value(row, factors)}: {_value(row, others[:1])}" for _, row in pairs.head(4).iterrows())
    verb, them = ("changes", "it") if len(others) == 1 else ("change", "them")
    return RefusalError(
        f"{where}: {list_words(list(others))} {verb} together with {list_words(list(factors))} ({shown}), so their effects "
        f"cannot be told apart; list {them} in import.ignore if that is intended",
        f"import.ignore={json.dumps(list(others), ensure_ascii=False)}",
    )


def _count_values(runs: pd.DataFrame, name: str) -> str:
    values = {key_of(value): value for value in runs[f"setting.{name}"]}
    counts = Counter(keys_of(runs, name))
    shown = [f"{_format(values[key])} in {count} runs" for key, count in counts.most_common(4)]
    return f"{name} is {list_words(shown)}"


def _show(runs: pd.DataFrame, name: str) -> str:
    return _format(runs[f"setting.{name}"].iloc[0])


def _value(row: Any, names: Sequence[str]) -> str:
    return ", ".join(_format(row[f"setting.{name}"]) for name in names)


def _format(value: Any) -> str:
    return "absent" if key_of(value) == "—" else format_setting(value)
