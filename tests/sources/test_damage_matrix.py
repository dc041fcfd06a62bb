"""Every source × every damage: the same tables or a refusal in one line, and no point lost without a note."""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from lrreport.errors import LrreportError
from lrreport.sources import Import, inspect
from lrreport.sources.refusal import RefusalError

RATES, SEEDS, N_EPOCHS = (0.1, 0.01), (0, 1), 90
Entry = tuple[int, dict[str, float]]  # epoch and the values that are written together
Encode = Callable[..., bytes]
Runs = dict[
    tuple[float, int], list[list[Entry]]
]  # (rate, seed) -> the entries of each start; a resume is another start
REPEATS = ("repeat another", "repeat it exactly")


@dataclass
class Format:
    """How a source's files are written: `encode` gives the bytes of one history, `path` its path for a start."""

    source: str
    path: str
    encode: Encode
    apart: bool = False  # whether each value is a record of its own
    kept_whole: bool = False  # whether a file that is cut cannot be read at all
    appends: bool = True  # whether a resume goes on in the same file
    options: tuple[tuple[str, str], ...] = ()


def encode_csv(entries: Sequence[Entry], **settings: Any) -> bytes:
    lines = ["epoch,val_acc,train_loss"] + [f"{at},{row['val_acc']},{row['train_loss']}" for at, row in entries]
    return ("\n".join(lines) + "\n").encode()


def encode_lines(entries: Sequence[Entry], end: bool = True, **settings: Any) -> bytes:
    return "".join(json.dumps({**settings, "epoch": at, **values}) + "\n" for at, values in entries).encode()


def encode_log(entries: Sequence[Entry], end: bool = True, **settings: Any) -> bytes:
    rows = [{"run": settings}, *({"epoch": at, **values} for at, values in entries)]
    return "".join(json.dumps(row) + "\n" for row in [*rows, *([{"end": "completed"}] if end else [])]).encode()


def encode_lightning(entries: Sequence[Entry], **settings: Any) -> bytes:
    lines = ["epoch,step,train_loss,val_acc"]
    for at, values in entries:
        lines.append(f"{at},{10 * at},{values.get('train_loss', '')},{values.get('val_acc', '')}")
    return ("\n".join(lines) + "\n").encode()


def encode_text(entries: Sequence[Entry], **settings: Any) -> bytes:
    lines = (f"epoch:{at} val_acc:{row['val_acc']} train_loss:{row['train_loss']} time:1s\n" for at, row in entries)
    return "".join(["start of training\n", *lines]).encode()


def encode_metric(entries: Sequence[Entry], **settings: Any) -> bytes:
    return "".join(f"{1_700_000_000_000 + at} {values['val_acc']} {at}\n" for at, values in entries).encode()


def encode_state(entries: Sequence[Entry], **settings: Any) -> bytes:
    names = {"val_acc": "eval_accuracy", "train_loss": "loss"}
    rows = [
        {"epoch": at, "step": at, "learning_rate": 0.5} | {names[name]: value for name, value in values.items()}
        for at, values in entries
    ]
    return json.dumps({"global_step": N_EPOCHS, "max_steps": N_EPOCHS, "log_history": rows}, indent=1).encode()


@pytest.fixture(params=["csv", "lines", "log", "tensorboard", "wandb", "mlflow", "lightning", "trainer_state", "text"])
def form(request: pytest.FixtureRequest, encode_wandb: Encode, encode_events: Encode) -> Format:
    def encode_run(entries: Sequence[Entry], end: bool = True, **settings: Any) -> bytes:
        rows = [{"epoch": at, "_step": at, **values} for at, values in entries]
        return encode_wandb(f"id{settings['lr']}-{settings['seed']}", settings, rows, 0 if end else None)

    def encode_scalars(entries: Sequence[Entry], **settings: Any) -> bytes:
        return encode_events([(at, name, value) for at, values in entries for name, value in values.items()])

    if request.param == "tensorboard":
        pytest.importorskip("tensorboard")
    return {
        "csv": Format("table", "lr{lr}_s{seed}.csv", encode_csv),
        "lines": Format("table", "{lr}_{seed}.jsonl", encode_lines),
        "log": Format("table", "{lr}_{seed}.jsonl", encode_log),
        "tensorboard": Format(
            "tensorboard", "lr{lr}_s{seed}/events.out.tfevents.{start}.host", encode_scalars, apart=True, appends=False
        ),
        "wandb": Format("wandb", "run-2026010{start}_000000-x{lr}{seed}/run-x.wandb", encode_run, appends=False),
        "text": Format("text", "lr{lr}_s{seed}.txt", encode_text),
        "mlflow": Format("mlflow", "0/{lr}-{seed}/metrics/val_acc", encode_metric),
        "lightning": Format("lightning", "{lr}-{seed}/version_0/metrics.csv", encode_lightning, apart=True),
        "trainer_state": Format(
            "trainer_state", "lr{lr}_s{seed}/checkpoint-{start}/trainer_state.json", encode_state, kept_whole=True
        ),
    }[request.param]


def draw_entries(form: Format, rate: float, seed: int) -> list[Entry]:
    """Return the entries of a whole run, in the order in which they would be written."""
    entries: list[Entry] = []
    first = int(form.source == "mlflow")  # there a metric at step 0 alone is a final value
    for at in range(first, first + N_EPOCHS):
        values = {
            "val_acc": round(0.5 + at / 200 + rate / 10 + seed / 1000, 6),
            "train_loss": round(rate + 1 / (at + 1), 6),
        }
        if form.source == "mlflow":
            del values["train_loss"]
        entries += [(at, {name: value}) for name, value in values.items()] if form.apart else [(at, values)]
    return entries


def write(form: Format, folder: Path, runs: Runs) -> dict[tuple[float, int], list[Path]]:
    """Write the files of all runs and return, for each, those of its starts."""
    written = {}
    for (rate, seed), starts in runs.items():
        settings = {"lr": rate, "seed": seed}
        if form.source == "trainer_state":  # each checkpoint holds the history from the beginning
            starts = [list(chain(*starts[: index + 1])) for index in range(len(starts))]
        elif form.appends and len(starts) > 1 and form.encode is not encode_log:
            starts = [list(chain(*starts))]
        paths = []
        for start, entries in enumerate(starts):
            path = folder / form.path.format(**settings, start=start)
            path.parent.mkdir(parents=True, exist_ok=True)
            before = path.read_bytes() if path.exists() else b""
            path.write_bytes(before + form.encode(entries, **settings))
            paths.append(path)
        if form.source == "lightning":
            path.with_name("hparams.yaml").write_text(f"lr: {rate}\nseed: {seed}\n")
        if form.source == "mlflow":
            home = path.parents[1]
            home.joinpath("meta.yaml").write_text(f"run_id: r{rate}-{seed}\nstatus: 3\nlifecycle_stage: active\n")
            for name, value in settings.items():
                home.joinpath("params").mkdir(exist_ok=True)
                home.joinpath("params", name).write_text(str(value))
        written[rate, seed] = paths
    return written


def make_runs(form: Format) -> Runs:
    return {(rate, seed): [draw_entries(form, rate, seed)] for rate in RATES for seed in SEEDS}


def rows_of(imported: Import) -> set[tuple[object, ...]]:
    """Return what was measured whatever the runs are called: rate, seed, metric, point, value."""
    runs = imported.runs.set_index("run")[["setting.learning_rate", "seed"]]
    history = imported.history.join(runs, on="run")
    return set(history[["setting.learning_rate", "seed", "metric", "at", "value"]].itertuples(index=False, name=None))


def count(entries: Iterator[Entry] | Sequence[Entry]) -> int:
    return sum(len(values) for _, values in entries)


def count_repeats(imported: Import) -> int:
    return sum(note.count for note in imported.notes if any(words in note.text for words in REPEATS))


def read(folder: Path, form: Format, **options: Any) -> Import:
    return inspect(folder, form.source, **options)


def test_whole_files(tmp_path: Path, form: Format) -> None:
    runs = make_runs(form)
    write(form, tmp_path, runs)
    imported = read(tmp_path, form)
    assert len(rows_of(imported)) == len(imported.history) == sum(count(starts[0]) for starts in runs.values())
    assert imported.grid.counts["present"].tolist() == [2, 2]
    assert not [note for note in imported.notes if note.kind in ("cut", "hole", "duplicate", "length")]


def test_cut_at_every_1000th_byte(tmp_path: Path, form: Format) -> None:
    """Every record before the cut is read, and nothing else; what is missing is noted."""
    runs = make_runs(form)
    files = write(form, tmp_path, runs)
    whole = rows_of(read(tmp_path, form))
    [path], [entries] = files[0.1, 0], runs[0.1, 0]
    content = path.read_bytes()
    sizes = [len(form.encode(entries[:n], lr=0.1, seed=0, end=False)) for n in range(len(entries) + 1)]
    others = sum(count(starts[0]) for key, starts in runs.items() if key != (0.1, 0))
    n_read = 0
    for cut in sorted({*range(0, len(content), 1000), 1, 7, sizes[0], sizes[1], sizes[2], len(content) - 1}):
        path.write_bytes(content[:cut])
        inside = count([entry for entry, size in zip(entries, sizes[1:], strict=True) if size <= cut])
        try:
            imported = read(tmp_path, form)
        except LrreportError as err:
            assert "\n" not in str(err)  # noqa: PT017
            assert form.kept_whole or cut < sizes[1] or inside == 0, (cut, str(err))  # noqa: PT017
            continue
        n_read += 1
        assert rows_of(imported) <= whole
        unended = content[:cut].rpartition(b"\n")[2]
        complete = form.encode in (encode_lines, encode_log) and unended.endswith(b"}")  # but for the end of its line
        n_points = len(imported.history) - others
        assert n_points == inside + (count(entries[-1:]) if complete and b"epoch" in unended else 0), cut
        if n_points < count(entries):
            kinds = {note.kind for note in imported.notes}
            assert kinds & {"hole", "length"}, (cut, imported.notes)
            assert "cut" in kinds or complete or cut in sizes or cut < sizes[0], (cut, imported.notes)
    assert form.kept_whole or n_read > 3


def test_shuffled(tmp_path: Path, form: Format) -> None:
    runs = make_runs(form)
    write(form, tmp_path / "a", runs)
    for starts in runs.values():
        random.Random(0).shuffle(starts[0])
    write(form, tmp_path / "b", runs)
    shuffled = read(tmp_path / "b", form)
    assert rows_of(shuffled) == rows_of(read(tmp_path / "a", form))
    assert count_repeats(shuffled) == 0


def test_duplicated_records(tmp_path: Path, form: Format) -> None:
    runs = make_runs(form)
    write(form, tmp_path / "a", runs)
    extra = 0
    for starts in runs.values():
        extra += count(starts[0][10:40])
        starts[0] += starts[0][10:40]
    write(form, tmp_path / "b", runs)
    twice = read(tmp_path / "b", form)
    assert rows_of(twice) == rows_of(read(tmp_path / "a", form))
    assert count_repeats(twice) == extra
    assert len(twice.history) + extra == sum(count(starts[0]) for starts in runs.values())


def test_duplicated_runs(tmp_path: Path, form: Format) -> None:
    """A folder that was copied beside itself counts once."""
    runs = make_runs(form)
    write(form, tmp_path / "all/a", runs)
    once = read(tmp_path / "all/a", form)
    write(form, tmp_path / "all/b", runs)
    twice = read(tmp_path / "all", form, ignore=["folder"])
    assert rows_of(twice) == rows_of(once)
    assert len(twice.runs) == 4
    assert count_repeats(twice) >= 4


def test_resumed(tmp_path: Path, form: Format) -> None:
    """A run that goes on from a checkpoint writes some points again: with the same values they count once."""
    runs = make_runs(form)
    write(form, tmp_path / "a", runs)
    whole = rows_of(read(tmp_path / "a", form))
    resumed = {key: [starts[0][:60], starts[0][50:]] for key, starts in runs.items()}
    write(form, tmp_path / "b", resumed)
    try:
        imported = read(tmp_path / "b", form)
    except RefusalError as err:
        assert form.encode is encode_log  # a run that starts again is another run of the same seed
        assert err.setting == "import.duplicates=last"  # noqa: PT017
        return
    assert rows_of(imported) == whole
    if form.source == "trainer_state":
        expected = 0 if form.apart else None
        assert expected is None or count_repeats(imported) == expected
    else:
        assert count_repeats(imported) == sum(count(starts[0][50:60]) for starts in runs.values())


def test_resumed_with_other_values(tmp_path: Path, form: Format) -> None:
    """They are refused unless the study says which counts."""
    runs = make_runs(form)
    changed = {
        key: [
            starts[0][:60],
            [(at, {name: round(value + 0.01, 6) for name, value in row.items()}) for at, row in starts[0][50:]],
        ]
        for key, starts in runs.items()
    }
    write(form, tmp_path, changed)
    with pytest.raises(RefusalError) as caught:
        read(tmp_path, form)
    assert "\n" not in str(caught.value)
    assert "import.duplicates" in str(caught.value)
    last = read(tmp_path, form, duplicates="last")
    assert len(last.runs) == 4
    assert {row[4] for row in rows_of(last) if row[0] == 0.1 and row[1] == "0" and row[2] == "val_accuracy"} >= {
        values["val_acc"] for _, values in changed[0.1, 0][1] if "val_acc" in values
    }


def test_a_database_cut_shuffled_duplicated_and_resumed(tmp_path: Path) -> None:
    """The SQLite file of MLflow: a cut is refused, the order of its rows does not matter."""
    form = Format("mlflow", "", encode_metric)
    runs = make_runs(form)
    rows = [
        (f"r{rate}{seed}", "val_acc", values["val_acc"], 1000 + at, 0, at)
        for (rate, seed), [entries] in runs.items()
        for at, values in entries
    ]
    path = tmp_path / "mlflow.db"

    def store(measurements: Sequence[tuple[Any, ...]]) -> Path:
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE runs (run_uuid, status, start_time, end_time, lifecycle_stage)")
            database.execute("CREATE TABLE params (run_uuid, key, value)")
            database.execute("CREATE TABLE tags (run_uuid, key, value)")
            database.execute("CREATE TABLE metrics (run_uuid, key, value, timestamp, is_nan, step)")
            for rate, seed in runs:
                name = f"r{rate}{seed}"
                database.execute("INSERT INTO runs VALUES (?, 'FINISHED', 1000, 2000, 'active')", (name,))
                database.executemany("INSERT INTO params VALUES (?, ?, ?)", [(name, "lr", rate), (name, "seed", seed)])
            database.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", measurements)
        database.close()
        return tmp_path

    whole = rows_of(inspect(store(rows)))
    assert len(whole) == len(rows)
    random.Random(0).shuffle(rows)
    assert rows_of(inspect(store(rows))) == whole
    twice = inspect(store([*rows, *rows[:30]]))
    assert rows_of(twice) == whole
    assert count_repeats(twice) == 30
    content = store(rows).joinpath("mlflow.db").read_bytes()
    for cut in range(0, len(content), 1000):
        path.write_bytes(content[:cut])
        with pytest.raises(LrreportError) as caught:
            inspect(tmp_path)
        assert "\n" not in str(caught.value)
