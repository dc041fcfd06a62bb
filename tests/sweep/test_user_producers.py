"""The user's notebooks and commands as producers: parameters, records, and the message of each failure."""

import json
import shutil
from pathlib import Path

import pytest

from lrreport.errors import LrreportError
from lrreport.record.record import load_record
from lrreport.record.store import Store
from lrreport.study.load import load_study
from lrreport.sweep.execute import Limits
from lrreport.sweep.plan import plan_runs
from lrreport.sweep.producer import Run
from lrreport.sweep.run import Sweep
from lrreport.sweep.values import fill_in, name_settings, write_value
from tests.sweep.tiny import write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_server")]  # each starts processes and waits for them

TRAIN = """
import argparse, os, sys, time
from lrreport import log
from helper import EPOCHS
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--seed", type=int)
options = parser.parse_args()
assert os.environ["LRREPORT_LEARNING_RATE"] == str(options.lr)
assert os.environ["LRREPORT_SEED"] == str(options.seed)
log.run(learning_rate=options.lr, seed=options.seed)
MISBEHAVE
for epoch in range(EPOCHS):
    log.epoch(val_accuracy=0.5 + epoch / 10)
log.end(test_accuracy=0.6)
"""
CELL = """from lrreport import log
for seed in seeds:
    log.run(learning_rate=learning_rate, seed=seed)
    MISBEHAVE
    for epoch in range(3):
        log.epoch(val_accuracy=0.5 + epoch / 10)
    log.end(test_accuracy=0.6)"""


def write_study(folder: Path, producer: str, misbehave: str = "", seeds: str = "[0, 1]", more: str = "") -> Path:
    """Write a study with a script, a notebook and a module beside it; return its file."""
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(TRAIN.replace("MISBEHAVE", misbehave))
    (folder / "helper.py").write_text("EPOCHS = 3\n")
    write_notebook(
        folder / "mine.ipynb", "learning_rate = 0.1\nseeds = [0]\nepochs = 1", CELL.replace("MISBEHAVE", misbehave)
    )
    (folder / "study.toml").write_text(
        f"title = 'Mine'\nseeds = {seeds}\n[vary]\nlearning_rate = [0.1, 0.01]\n[producer]\n{producer}\n{more}"
    )
    return folder / "study.toml"


COMMAND = 'command = "python train.py --lr {learning_rate} --seed {seed}"'
NOTEBOOK = 'notebook = "mine.ipynb"'


def make(file: Path, n_jobs: int = 2, stall_timeout: float = 60) -> tuple[list[Run], Store, dict[str, str]]:
    runs = plan_runs(load_study(file))
    store = Store(file.parent / "outputs/runs")
    return (
        runs,
        store,
        Sweep(store, file.parent / "outputs/failed", Limits(stall_timeout=stall_timeout)).run_all(runs, n_jobs),
    )


@pytest.mark.parametrize("producer", [COMMAND, NOTEBOOK], ids=["command", "notebook"])
def test_runs_of_the_user_become_records(tmp_path: Path, producer: str) -> None:
    runs, store, failures = make(write_study(tmp_path / "my", producer))
    assert failures == {}
    assert [run.name for run in runs] == [
        f"learning rate {rate}, seed {seed}" for rate in ("0.1", "0.01") for seed in (0, 1)
    ]
    for run in runs:
        record = load_record(store.folder(run.identity))
        assert record.status == "completed"
        assert record.final == {"val_accuracy": 0.7, "test_accuracy": 0.6}
        assert record.settings == {"learning_rate": 0.1 if run.level == 0 else 0.01}
    assert not list((tmp_path / "my").glob("*.log*"))


def test_identity_is_code_settings_and_modules(tmp_path: Path) -> None:
    file = write_study(tmp_path / "my", COMMAND)
    keys = [run.key for run in plan_runs(load_study(file))]
    assert set(plan_runs(load_study(file))[0].identity.producer) == {"command", "train", "helper"}
    (file.parent / "helper.py").write_text("EPOCHS = 3  # a comment\n")
    assert [run.key for run in plan_runs(load_study(file))] == keys
    (file.parent / "helper.py").write_text("EPOCHS = 4\n")
    assert not set(keys) & {run.key for run in plan_runs(load_study(file))}
    (file.parent / "study.toml").write_text(file.read_text().replace(COMMAND, NOTEBOOK))
    notebook = [run.key for run in plan_runs(load_study(file))]
    cells = json.loads((file.parent / "mine.ipynb").read_text())
    cells["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    (file.parent / "mine.ipynb").write_text(json.dumps(cells))
    assert [run.key for run in plan_runs(load_study(file))] == notebook
    cells["cells"][1]["source"] += "\n1"
    (file.parent / "mine.ipynb").write_text(json.dumps(cells))
    assert not set(notebook) & {run.key for run in plan_runs(load_study(file))}


def test_installed_packages_are_no_part_of_identity(tmp_path: Path) -> None:
    file = write_study(tmp_path / "my", NOTEBOOK)
    write_notebook(
        file.parent / "mine.ipynb", "learning_rate = 0.1\nseeds = [0]", "import json, torch.nn, helper, lrreport.log"
    )
    (file.parent / "torch").mkdir()  # a folder that is no package
    assert set(plan_runs(load_study(file))[0].identity.producer) == {"notebook", "helper"}
    for module, expected in (("torch.distributed.run", set()), ("helper", {"helper"})):
        write_study(file.parent, f"command = 'python -m {module} --seed {{seed}} {{learning_rate}}'")
        assert set(plan_runs(load_study(file))[0].identity.producer) == {"command", *expected}


def test_a_notebook_is_executed_once_for_each_level(tmp_path: Path) -> None:
    runs, store, failures = make(write_study(tmp_path / "my", NOTEBOOK, seeds="[0, 1, 2]"))
    assert failures == {}
    places = {(store.folder(run.identity) / "mine.ipynb").stat().st_ino for run in runs}
    assert len(places) == 2


FAILURES = {
    "raises": ("if {seed} == 1: raise ValueError('no luck')", "ValueError: no luck"),
    "hangs": ("if {seed} == 1: import time; time.sleep(1000)", "no progress for 6 s (--stall-timeout), so it was ended"),
    "other metric": ("if {seed} == 1: log.epoch(1, val_f2=0.5); log.end(); {leave}",
                     'it logged val_f2, which the study does not know; declare it in the study: [metrics.val_f2] with better = "higher" or "lower"'),
    "not the deciding metric": ("if {seed} == 1: log.epoch(1, val_f1=0.5); log.end(); {leave}",
                                "it logged val_f1 but not val_accuracy, which the study decides on; log it, or change [decide]"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("producer", [COMMAND, NOTEBOOK], ids=["command", "notebook"])
def test_only_the_run_that_fails_fails(tmp_path: Path, producer: str, kind: str) -> None:
    code, expected = FAILURES[kind]
    names = ("options.seed", "sys.exit()") if producer == COMMAND else ("seed", "continue")
    file = write_study(tmp_path / "my", producer, code.format(seed=names[0], leave=names[1]), seeds="[0, 1, 2]")
    file.write_text(file.read_text().replace("[0.1, 0.01]", "[0.1]"))
    runs, store, failures = make(file, 1, stall_timeout=6)
    assert list(failures) == ["learning rate 0.1, seed 1"]
    (error,) = failures.values()
    assert expected in error
    assert "\n" not in error
    assert [store.has(run.identity) for run in runs] == [True, False, True]
    if kind in ("raises", "hangs"):
        path = Path(error.partition("; see ")[2].partition(" and ")[0])
        assert path.exists()
        assert path.is_relative_to(tmp_path / "my/outputs/failed")


def test_nothing_logged_is_told(tmp_path: Path) -> None:
    file = write_study(tmp_path / "my", 'command = "python -c pass"')
    _, _, failures = make(file)
    assert set(failures.values()) == {
        "it logged nothing to the file that LRREPORT_LOG names; call lrreport.log.run, epoch and end, or declare its logs "
        "with log = { from = ..., path = ... }"
    }


def test_a_nan_is_a_result(tmp_path: Path) -> None:
    file = write_study(tmp_path / "my", COMMAND, "log.epoch(0, val_accuracy=float('nan'))")
    runs, store, failures = make(file)
    assert failures == {}
    assert {load_record(store.folder(run.identity)).status for run in runs} == {"diverged"}


def test_a_notebook_that_always_raises_is_not_started_for_every_seed(tmp_path: Path) -> None:
    file = write_study(tmp_path / "my", NOTEBOOK, "raise ValueError(seed)", seeds="[0, 1, 2, 3, 4]")
    file.write_text(file.read_text().replace("[0.1, 0.01]", "[0.1]"))
    _, _, failures = make(file, 1)
    assert len(failures) == 5
    assert len(list((tmp_path / "my/outputs/failed").rglob("*.ipynb"))) == 2


def test_a_notebook_may_take_one_seed(tmp_path: Path) -> None:
    file = write_study(tmp_path / "my", 'notebook = "single.ipynb"')
    write_notebook(
        file.parent / "single.ipynb", "learning_rate = 0.1\nseed = 0",
        "from lrreport import log\nlog.run()\nlog.epoch(val_accuracy=seed / 10)\nlog.end()",
    )  # fmt: skip
    runs, store, failures = make(file)
    assert failures == {}
    assert [load_record(store.folder(run.identity)).final["val_accuracy"] for run in runs] == [0, 0.1, 0, 0.1]


def test_logs_that_a_command_writes_itself_are_read(tmp_path: Path) -> None:
    writer = (
        "import sys, os; lr, seed = sys.argv[1:]; os.makedirs(f'logs/{lr}-{seed}', exist_ok=True);"
        "open(f'logs/{lr}-{seed}/metrics.csv', 'w').write('epoch,val_acc,val_loss\\n' + ''.join(f'{e},{0.5 + e / 10},1.0\\n' for e in (1, 2, 3)))"
    )
    file = write_study(tmp_path / "my", "", more='[metrics.val_accuracy]\nfrom = "val_acc"\n')
    (file.parent / "write.py").write_text(writer)
    file.write_text(
        file.read_text().replace(
            "[producer]\n",
            '[producer]\ncommand = "python write.py {learning_rate} {seed}"\nlog = { from = "table", path = "logs/{learning_rate}-{seed}" }\n',
        )
    )
    runs, store, failures = make(file)
    assert failures == {}
    record = load_record(store.folder(runs[0].identity))
    assert record.final == {"val_accuracy": 0.8, "val_loss": 1.0}
    assert record.history[0].at == (1, 2, 3)
    shutil.rmtree(store.root)
    (file.parent / "write.py").write_text("pass")
    _, _, failures = make(file)
    assert failures["learning rate 0.1, seed 0"] == (
        f"it wrote no logs to {file.parent}/logs/0.1-0; check producer.log.path"
    )


def test_names_of_the_trainer_need_no_declaration(tmp_path: Path) -> None:
    """eval_accuracy is val_accuracy, and loss beside eval_loss is that of training; what else decides is asked for."""
    log = 'log = { from = "trainer_state", path = "out/{learning_rate}-{seed}" }'
    file = write_study(tmp_path / "my", f'command = "python trainer.py {{learning_rate}} {{seed}}"\n{log}')
    (tmp_path / "my/trainer.py").write_text(
        "import json, pathlib, sys\n"
        "rate, seed = map(float, sys.argv[1:])\n"
        "rows = [{'epoch': e, 'step': e * 9, 'loss': 1 / e + rate, 'learning_rate': rate / e} for e in (1, 2)]\n"
        "rows += [{'epoch': e, 'step': e * 9, 'eval_accuracy': 0.5 + rate, 'eval_loss': 1 / e} for e in (1, 2)]\n"
        "state = {'log_history': sorted(rows, key=lambda row: row['epoch']), 'epoch': 2, 'global_step': 18, 'max_steps': 18}\n"
        "folder = pathlib.Path(f'out/{sys.argv[1]}-{sys.argv[2]}')\n"
        "folder.mkdir(parents=True, exist_ok=True)\n"
        "(folder / 'trainer_state.json').write_text(json.dumps(state))\n"
    )
    runs, store, failures = make(file)
    assert failures == {}
    record = load_record(store.folder(runs[0].identity))
    assert record.final == {"train_loss": 0.5 + 0.1, "val_accuracy": 0.6, "val_loss": 0.5}
    shutil.rmtree(store.root)
    file.write_text(file.read_text() + '[decide]\nmetric = "val_f1"\n')
    assert set(make(file)[2].values()) == {
        "its logs have loss, eval_accuracy, eval_loss but not val_f1, which the study decides on; "
        'add [metrics.val_f1] with from = "COLUMN", or change [decide]'
    }


def refuse(file: Path) -> str:
    with pytest.raises(LrreportError) as error:
        plan_runs(load_study(file))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_cannot_make_runs_is_refused_before_any_is_made(tmp_path: Path) -> None:
    file = write_study(tmp_path / "my", 'command = "python train.py {rate}"')
    assert refuse(file) == "producer.command: there is no setting {rate}; there are {learning_rate}, {seed}"
    file = write_study(tmp_path / "my", 'command = "python \'train.py"')
    assert refuse(file) == 'producer.command = "python \'train.py": No closing quotation; close the quotes'
    file = write_study(tmp_path / "my", 'notebook = "nsingle.ipynb"')
    assert (
        refuse(file)
        == f"{tmp_path}/my/nsingle.ipynb: cannot read the notebook (No such file or directory); name another notebook"
    )
    write_notebook(file.parent / "nsingle.ipynb", "learning_rate = 0.1", "1")
    assert refuse(file) == (
        f"{tmp_path}/my/nsingle.ipynb: no parameter seed or seeds; tag a cell with parameters, and give it seed = 0 or seeds = [0]"
    )
    write_notebook(file.parent / "nsingle.ipynb", "lr = 0.1\nseed = 0", "1")
    assert refuse(file) == (
        f"{tmp_path}/my/nsingle.ipynb: no parameter learning_rate, which the study varies; its parameters are lr, seed"
    )
    file = write_study(tmp_path / "my", f'{COMMAND}\nlog = {{ from = "table", path = "logs/{{seed}}" }}')
    assert refuse(file) == (
        f"{file}: producer.log.path = 'logs/{{seed}}': learning rate 0.1, seed 0 and learning rate 0.01, seed 0 have the same "
        "path; add what differs, such as {seed}"
    )


def test_settings_are_named_and_written() -> None:
    settings = {"learning_rate": 1e-07, "optimizer": {"name": "sgd", "momentum": 0.9}, "sizes": [1, 2], "on": True}
    named = name_settings(settings)
    assert named["momentum"] == named["optimizer.momentum"] == 0.9
    assert fill_in("a{learning_rate}b{optimizer}{on} {x y} {sizes}", named, "here") == "a1e-07bsgdtrue {x y} [1, 2]"
    assert write_value("a b; $(c)") == "a b; $(c)"


def test_no_shell_sees_a_command(tmp_path: Path) -> None:
    """Each setting is a single argument, whatever it contains."""
    code = "import sys, os; from lrreport import log; assert sys.argv[1] == 'a b; touch gone $(touch gone)', sys.argv; log.epoch(val_accuracy=1); log.end()"
    (tmp_path / "my").mkdir()
    (tmp_path / "my/train.py").write_text(code)
    (tmp_path / "my/study.toml").write_text(
        "seeds = [0]\n[vary]\nmethod = ['a b; touch gone $(touch gone)']\n[producer]\ncommand = 'python train.py {method}'\n"
    )
    _, _, failures = make(tmp_path / "my/study.toml")
    assert failures == {}
    assert not (tmp_path / "my/gone").exists()


@pytest.mark.parametrize("study", ["script/study", "notebook/line", "notebook/study"])
def test_examples_make_their_runs(tmp_path: Path, repository: Path, study: str) -> None:
    file = repository / f"examples/{study}.toml"
    runs = [run for run in plan_runs(load_study(file)) if run.identity.seed == 0]
    store = Store(tmp_path / "runs")
    assert Sweep(store, tmp_path / "failed").run_all(runs) == {}
    if study == "notebook/study":  # each run stops when its loss no longer falls, and its F1 is that of the best epoch
        records = [load_record(store.folder(run.identity)) for run in runs]
        assert min(len(record.history[0].at) for record in records) < 60
        assert all("val_f1" in record.final for record in records)


@pytest.mark.parametrize("producer", [COMMAND, NOTEBOOK], ids=["command", "notebook"])
def test_another_metric_at_each_level_is_named(tmp_path: Path, producer: str) -> None:
    file = write_study(tmp_path / "my", producer)
    for name, rate in (("train.py", "options.lr"), ("mine.ipynb", "learning_rate")):
        path = tmp_path / "my" / name
        metric = f"**{{'val_accuracy' if {rate} == 0.1 else 'val_f1': 0.5}}"
        path.write_text(path.read_text().replace("val_accuracy=0.5 + epoch / 10", metric))
    _, _, failures = make(file)
    assert set(failures) == {"learning rate 0.01, seed 0", "learning rate 0.01, seed 1"}
    assert set(failures.values()) == {
        "it logged val_f1, test_accuracy but not val_accuracy, which the study decides on; log it, or change [decide]"
    }
