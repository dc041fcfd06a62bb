"""Bad input: each case ends with a single line that names source, value and remedy, and status 2; nothing is written."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrreport.cli import main
from lrreport.errors import LrreportError
from lrreport.record.record import RECORD, load_record
from lrreport.report.load import load_report
from lrreport.testing import write_report_folder

VARY = "[vary]\nlearning_rate = [0.1]\n"
QUICK = f'{VARY}[fixed]\ndataset = "sample"\nvalidation_size = 500\n'
DIFFERENCE = f"""{VARY}[published]
title = 't'
[[published.difference]]
level = {{ learning_rate = 0.1 }}
than = {{ learning_rate = 0.1 }}
metric = 'test_accuracy'
difference = 0.1
"""
PUBLISHED = f'{QUICK}[published]\ntitle = "t"\n[[published.claim]]\nsays = "so"\n'

STUDIES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "vary is missing; add a table [vary]"),
    "only a comment": ("# nothing\n", "vary is missing"),
    "nothing varies": ("[vary]\n", "vary = {}: "),
        "binary": (bytes(range(256)), "not a TOML file: "),
    "another encoding": ("title = 'Größe'\n".encode("utf-16"), "not a TOML file: "),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a TOML file: "),
    "a notebook": ('{"cells": []}', "not a TOML file: "),
    "JSON": ('{"vary": 1}', "not a TOML file: "),
    "YAML": ("vary:\n  learning_rate: 0.1\n", "not a TOML file: "),
    "10 MB": (b"#" * 10_000_000, "larger than 1 MB, so not a study"),
    "unclosed table": ("[vary\n", "not a TOML file: "),
    "unclosed text": ('title = "x\n', "not a TOML file: "),
    "a key twice": (f"{VARY}learning_rate = [0.2]\n", "not a TOML file: "),
    "deep nesting": (f"x = {'[' * 5000}{']' * 5000}\n", "not a TOML file: nested too deeply"),
    "a number of 5,000 digits": (f"[vary]\nlearning_rate = [{'9' * 5000}]\n", "not a TOML file: "),
    "a number of 400 digits": (f"[vary]\nlearning_rate = [{'9' * 400}]\n", "vary.learning_rate = "),
    "infinity": ("[vary]\nlearning_rate = [1e400]\n", "vary.learning_rate = inf: input should be a finite number"),
    "no number": ("[vary]\nlearning_rate = [nan]\n", "vary.learning_rate = nan: input should be a finite number"),
    "a date": ("[vary]\nlearning_rate = [2026-01-01]\n", "vary.learning_rate = [datetime.date(2026, 1, 1)]: give numbers"),
    "a rate as text": ("[vary]\nlearning_rate = ['0.1']\n", "vary.learning_rate = '0.1': input should be a valid number"),
    "a rate without a list": ("[vary]\nlearning_rate = 0.1\n", "vary.learning_rate = 0.1: it should be a list"),
    "no rate": ("[vary]\nlearning_rate = []\n", "vary.learning_rate = []: it is empty"),
    "a rate twice": ("[vary]\nlearning_rate = [0.1, 0.10]\n", "0.1 appears twice"),
    "a negative rate": ("[vary]\nlearning_rate = [-0.1]\n", "vary.learning_rate = -0.1: input should be greater than 0"),
    "a boolean": ("[vary]\nlearning_rate = [true]\n", "vary.learning_rate = True: input should be a valid number"),
    "vary is no table": ("vary = 3\n", "vary = 3: "),
    "vary is a list of tables": ("[[vary]]\nlearning_rate = [0.1]\n", "vary = "),
    "seeds as text": (f"seeds = '0-9'\n{VARY}", "seeds = '0-9': it should be a list or a table; give a list such as [0, 1, 2]"),
    "a negative seed": (f"seeds = [-1]\n{VARY}", "seeds.listed = -1: "),
    "a seed that is no whole number": (f"seeds = [0.5]\n{VARY}", "seeds.listed = 0.5: "),
    "a huge seed": (f"seeds = [{2**70}]\n{VARY}", f"seeds.listed = {2**70}: "),
    "seeds twice": (f"seeds = [1, 1]\n{VARY}", "1 appears twice"),
    "fewer seeds than the first": (f"seeds = {{ first = 5, most = 2 }}\n{VARY}", "seeds.most = 2: it is below the 5"),
    "a line break in a title": (f'title = "a\\nb"\n{VARY}', "title = "),
    "an escape code in a key": (f'{VARY}"\\u001b[31m" = [1]\n', "unknown key"),
    "900 kB in a key": (f'{VARY}"{"k" * 900_000}" = [1]\n', "unknown key"),
    "a misspelt key": (f"{VARY}[fixed]\nepoch = 3\n", "unknown key fixed.epoch; did you mean epochs?"),
    "a misspelt table": (f"{VARY}[fxied]\nepochs = 3\n", "unknown key fxied; did you mean fixed?"),
    "no epochs": (f"{VARY}[fixed]\nepochs = 0\n", "fixed.epochs = 0: "),
    "too many epochs": (f"{VARY}[fixed]\nepochs = 10000000000\n", "fixed.epochs = 10000000000: "),
    "epochs as text": (f"{VARY}[fixed]\nepochs = '5'\n", "fixed.epochs = '5': "),
    "half an epoch": (f"{VARY}[fixed]\nepochs = 2.5\n", "fixed.epochs = 2.5: "),
    "another dataset": (f"{VARY}[fixed]\ndataset = 'imagenet'\n", "fixed.dataset = 'imagenet': "),
    "another optimiser": (f"{VARY}[fixed]\noptimizer = 'adan'\n", "fixed.optimizer = 'adan': "),
    "another device": (f"{VARY}[fixed]\ndevice = 'tpu'\n", "fixed.device = 'tpu': "),
    "no images in a batch": (f"{VARY}[fixed]\nbatch_size = 0\n", "fixed.batch_size = 0: "),
    "a layer without width": (f"{VARY}[fixed]\nmodel = {{ name = 'mlp', hidden_sizes = [128, 0] }}\n", "fixed.model.hidden_sizes = 0: "),
    "too large a validation size": (f"{VARY}[fixed]\nvalidation_size = 59991\n", "so there can be 10 to 59990"),
    "too much validation": (f"{VARY}[fixed]\ndataset = 'sample'\n", "sample has 2000 images in ten classes, so there can be 10 to 1990"),
    "a margin of nothing": (f"{VARY}[metrics.accuracy]\nmargin = 0\n", "metrics.accuracy.margin = 0: "),
    "an unknown metric": (f"{VARY}[decide]\nmetric = 'val_acc'\n", "there is no such metric"),
    "a name that leaves the folder": (f"name = '../x'\n{VARY}", "name = '../x': "),
    "a name that is taken": (f"name = 'reference'\n{VARY}", "'reference' is reserved by lrreport"),
    "a title that is no text": (f"title = 3\n{VARY}", "title = 3: "),
    "a range upside down": (f"{QUICK}[range_test]\nlowest = 1.0\nhighest = 0.1\n", "it must be above the lowest rate"),
    "a range of few steps": (f"{QUICK}[range_test]\nsteps = 3\n", "range_test.steps = 3: "),
    "accuracy in percent": (f"{VARY}[published]\ntitle = 't'\n[[published.result]]\nlearning_rate = 0.1\ntest_accuracy = 87.0\n", "published.result: test_accuracy = 87: "),
    "a result for a rate that is not tried": (f"{VARY}[published]\ntitle = 't'\n[[published.result]]\nlearning_rate = 0.2\ntest_accuracy = 0.87\n", "published.result: the study has no level learning_rate = 0.2; it has 0.1"),
    "a result without a rate": (f"{VARY}[published]\ntitle = 't'\n[[published.result]]\ntest_accuracy = 0.87\n", "published.result: the study has no level without a value of any factor; it has 0.1"),
    "a result without a number": (f"{VARY}[published]\ntitle = 't'\n[[published.result]]\nlearning_rate = 0.1\n", "published.result: it gives no number; add a metric"),
    "a difference of a level from itself": (f"{DIFFERENCE}low = 0.0\nhigh = 0.2\n", "published.difference: it compares 0.1 with itself; name two levels"),
    "a difference outside of its interval": (f"{DIFFERENCE}low = 0.2\nhigh = 0.3\n", "published.difference.difference = 0.1: it must lie between low and high"),
    "an interval upside down": (f"{DIFFERENCE}low = 0.2\nhigh = 0.0\n", "published.difference.difference = 0.1: it must lie between low and high"),
    "three factors, rates of an optimiser's own among them": ("[vary]\nbatch_size = [32, 64]\noptimizer = [{ name = 'sgd', learning_rate = [0.1] }, { name = 'adam' }]\n", "optimizer and its learning rates vary already; leave out a factor"),
    "rates of two factors' own": ("[vary]\nmodel = [{ name = 'mlp', learning_rate = [0.1] }]\noptimizer = [{ name = 'sgd', learning_rate = [0.1] }]\n", "model and its learning rates vary already; leave out a factor"),
    "a command of 900 kB": (f"{QUICK}[producer]\ncommand = '{'c' * 900_000}'\n", "producer.command = 'ccc"),
    "a title of 900 kB": (f"title = '{'t' * 900_000}'\n{QUICK}", "title = 'ttt"),
    "3,000 tables inside each other": (f"{QUICK}a{'.a' * 3_000} = 1\n", "not a TOML file: nested too deeply"),
    "a claim without words": (f"{VARY}[published]\ntitle = 't'\n[[published.claim]]\nclaim = 'best'\n", "published.claim.says is missing"),
    "a claim that does not exist": (f'{PUBLISHED}claim = "nicest"\n', "published claim 'so': no claim 'nicest'; the claims are"),
    "an argument that does not exist": (f'{PUBLISHED}claim = "best"\narguments = {{rate = 0.1}}\n', "published claim 'so': "),
    "a claim on a rate that is not tried": (f'{PUBLISHED}claim = "best"\narguments = {{learning_rate = 0.7, metric = "test_accuracy"}}\n', "published claim 'so': "),
    "a claim on a date": (f'{PUBLISHED}claim = "best"\narguments = {{learning_rate = 2026-01-01, metric = "test_accuracy"}}\n', "published claim 'so': "),
    "a claim on a metric that does not exist": (f'{PUBLISHED}claim = "best"\narguments = {{learning_rate = 0.1, metric = "f1"}}\n', "published claim 'so': "),
}  # fmt: skip

OPTIONS: dict[str, tuple[list[str], str]] = {
    "no command": ([], "the following arguments are required: COMMAND"),
    "another command": (["reprot"], "invalid choice: 'reprot'"),
    "another option": (["report", "--epoch-count", "3"], "unrecognized arguments: --epoch-count"),
    "two studies": (["report", "a.toml", "b.toml"], "unrecognized arguments: b.toml"),
    "a study that is not there": (["report", "nowhere.toml"], "nowhere.toml: cannot read the study (No such file or directory); there are studies/batch_size.toml, studies/fashion_mnist.toml"),
    "a folder as study": (["report", "/"], "/: cannot read the study (Is a directory)"),
    "an empty name of a study": (["report", ""], "cannot read the study"),
    "no rate": (["report", "--learning-rates"], "expected at least one argument"),
    "a rate that is no number": (["report", "--learning-rates", "fast"], "--learning-rates: 'fast' is not a number"),
    "a rate of nothing": (["report", "--learning-rates", "0"], "vary.learning_rate = 0.0: input should be greater than 0"),
    "an infinite rate": (["report", "--learning-rates", "inf"], "vary.learning_rate = inf: input should be a finite number"),
    "a rate twice": (["report", "--learning-rates", "0.1,0.1"], "0.1 appears twice"),
    "blank rates": (["report", "--learning-rates", " "], "vary.learning_rate = []: it is empty"),
    "a seed that is no number": (["report", "--seeds", "x"], "--seeds: 'x' is not a whole number"),
    "a negative seed": (["report", "--seeds=-1"], "seeds.listed = -1: "),
    "seeds from high to low": (["report", "--seeds", "9-0"], "--seeds: '9-0' is not a range such as 0-9"),
    "a range of millions": (["report", "--seeds", "0-9999999"], "is not a range such as 0-9"),
    "fewer seeds than there are": (["report", "--most-seeds", "2"], "seeds.most = 2: it is below the 5"),
    "epochs that are no number": (["report", "--epochs", "many"], "--epochs: 'many' is not a whole number"),
    "an endless number of epochs": (["report", "--epochs", "9" * 5000], "--epochs: '9999"),
    "another device": (["report", "--device", "gpu"], "fixed.device = 'gpu': "),
    "a name with a slash": (["report", "--name", "a/b"], "name = 'a/b': "),
    "no jobs": (["report", "--jobs", "0"], "argument --jobs: '0' is not a whole number from 1 on"),
    "jobs that are no number": (["report", "--jobs", "two"], "argument --jobs: 'two' is not a whole number from 1 on"),
    "a stall of no time": (["report", "--stall-timeout", "0"], "argument --stall-timeout: '0' is not a positive number of seconds"),
    "an endless stall": (["report", "--stall-timeout", "inf"], "argument --stall-timeout: 'inf' is not a positive number of seconds"),
    "an option for another command": (["status", "--jobs", "2"], "unrecognized arguments: --jobs"),
    "a home that is not there": (["runs", "--outputs=~nobody0/x"], "~nobody0/x: ~nobody0 is no home folder here; write the whole path"),
    "a study in a home that is not there": (["status", "~nobody0/mine.toml"], "~nobody0 is no home folder here"),
    "data in a home that is not there": (["data", "--data-root=~nobody0/x"], "~nobody0 is no home folder here"),
    "an option without its value": (["report", "--outputs"], "argument --outputs: expected one argument"),
}  # fmt: skip


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return the status and the lines on standard error, whichever way the command ends."""
    try:
        status = main(arguments)
    except SystemExit as err:
        status = int(err.code or 0)
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return status, printed.err


def check(answer: tuple[int, str], part: str) -> None:
    status, printed = answer
    assert status == 2, printed
    assert printed.startswith("lrreport: ")
    assert printed.count("\n") == 1
    assert printed.endswith("\n")
    assert part in printed
    assert len(printed) < 600


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_file_that_cannot_be_used(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, problem = STUDIES[name]
    path = tmp_path / "mine.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    answer = run(["report", str(path), "--outputs", str(tmp_path / "outputs")], capsys)
    check(answer, problem)
    assert answer[1].startswith(f"lrreport: {path}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.toml"]


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_cannot_be_used(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, problem = OPTIONS[name]
    monkeypatch.chdir(tmp_path)
    options = (
        [] if "--outputs" in arguments or arguments[:1] != ["report"] else ["--outputs", str(tmp_path / "outputs")]
    )
    check(run([*arguments, *options], capsys), problem)
    assert not list(tmp_path.iterdir())


def test_files_with_byte_order_marks_and_crlf_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + QUICK.replace("\n", "\r\n").encode())
    assert run(["status", str(path), "--outputs", str(tmp_path)], capsys) == (0, "")


PLACES: dict[str, tuple[str, dict[str, str], str]] = {
    "outputs is a file": ("--outputs={file}", {}, "{file}/mine: cannot make this folder (Not a directory)"),
    "outputs in a file": ("--outputs={file}/x", {}, "cannot make this folder (Not a directory); choose another with --outputs"),
    "outputs that nobody can write": ("--outputs=/proc/lrreport", {}, "/proc/lrreport/mine: cannot make this folder"),
    "data in a file": ("--data-root={file}", {}, "{file}/FashionMNIST/raw: lacks train-images-idx3-ubyte"),
    "data where nobody can write": ("--data-root=/proc/lrreport", {}, "/proc/lrreport/FashionMNIST/raw: lacks train-images-idx3-ubyte"),
    "a variable that names a file": ("", {"LRREPORT_DATA": "{file}"}, "{file}/FashionMNIST/raw: lacks train-images-idx3-ubyte"),
    "a variable that names nobody's folder": ("", {"LRREPORT_DATA": "/proc/1/lrreport"}, "and they cannot be kept there (No such file or directory); put them there, or name a folder that you may write to in LRREPORT_DATA"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_an_unusable_folder(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    option, variables, problem = PLACES[name]
    file, path = tmp_path / "file", tmp_path / "mine.toml"
    file.touch()
    dataset = "sample" if option.startswith("--outputs") else "fashion_mnist"
    path.write_text(f'{VARY}[fixed]\ndataset = "{dataset}"\nvalidation_size = 500\n')
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value.format(file=file))
    arguments = [option.format(file=file)] if option else []
    if not option.startswith("--outputs"):
        arguments += ["--outputs", str(tmp_path / "outputs")]
    monkeypatch.setattr(
        "lrreport.commands.use_data_root", lambda folder: monkeypatch.setenv("LRREPORT_DATA", str(folder))
    )
    check(run(["report", str(path), *arguments], capsys), problem.format(file=file))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine.toml"]


CONTENTS: dict[str, Callable[[dict[str, object]], object]] = {
    "no study": lambda contents: contents.pop("study"),
    "no runs": lambda contents: contents.pop("runs"),
    "an empty list of runs": lambda contents: contents.update(runs=[]),
    "runs that are none": lambda contents: contents.update(runs=3),
    "a run of another level": lambda contents: contents["runs"][0].update(level=7),  # type: ignore[index]
    "a run that is not there": lambda contents: contents["runs"][0].update(folder="../runs/0"),  # type: ignore[index]
    "two runs swapped": lambda contents: swap(contents["runs"]),
    "other epochs": lambda contents: contents["study"]["fixed"].update(epochs=9),  # type: ignore[index]
    "another batch size": lambda contents: contents["study"]["fixed"].update(batch_size=9),  # type: ignore[index]
    "a range test that is not there": lambda contents: contents.update(range_tests={"": "../runs/0"}),
}


def swap(runs: object) -> None:
    assert isinstance(runs, list)
    runs[0]["folder"], runs[-1]["folder"] = runs[-1]["folder"], runs[0]["folder"]


@pytest.mark.parametrize("name", CONTENTS)
def test_a_folder_that_does_not_fit_is_refused(name: str, tmp_path: Path) -> None:
    folder = write_report_folder(tmp_path / "mine", 2, 2, 2)
    contents = json.loads((folder / "study.json").read_text())
    CONTENTS[name](contents)
    (folder / "study.json").write_text(json.dumps(contents))
    with pytest.raises(LrreportError) as error:
        load_report(folder)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert str(error.value).endswith(("again", "them", "it"))


EXAMPLES = int(os.environ.get("LRREPORT_FUZZ", "60"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FUZZING = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def write_toml(value: object) -> str:
    """Return a value as TOML, as far as TOML has such values."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {write_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write_toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value)
    return "true" if value is True else "false" if value is False else "''" if value is None else str(value)


KEYS = st.sampled_from(
    [
        "name",
        "title",
        "vary",
        "fixed",
        "metrics",
        "seeds",
        "decide",
        "range_test",
        "published",
        "learning_rate",
        "seed",
        "epochs",
        "claim",
        "x",
    ]
)


@FUZZING
@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=3) | VALUES, max_size=5))
def test_no_study_brings_out_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], contents: dict[str, object]
) -> None:
    path = tmp_path / "mine.toml"
    text = "".join(f"{key} = {write_toml(value)}\n" for key, value in contents.items())
    path.write_text(text, encoding="utf-8", errors="replace")
    status, printed = run(["status", str(path), "--outputs", str(tmp_path / "outputs")], capsys)
    assert status in (0, 2)
    assert all(line.startswith("lrreport: ") for line in printed.splitlines())
    assert status == 0 or printed.count("\n") >= 1


@FUZZING
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_bytes_bring_out_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    assert run(["status", str(path), "--outputs", str(tmp_path / "outputs")], capsys)[0] == 2


@FUZZING
@given(st.data())
def test_no_record_brings_out_anything_but_a_line(
    tmp_path_factory: pytest.TempPathFactory,
    seal: Callable[..., None],
    data: st.DataObject,
) -> None:
    """A value anywhere in a record is replaced by another, and its digest made anew: it is read, or refused in a line."""
    folder = tmp_path_factory.mktemp("fuzz")
    [run] = [path.parent for path in write_report_folder(folder / "mine", 1, 1, 2).parent.glob(f"runs/*/{RECORD}")]
    contents = json.loads((run / RECORD).read_text())
    table: object = contents
    while isinstance(table, dict | list) and table:
        keys = list(table) if isinstance(table, dict) else list(range(len(table)))
        key = data.draw(st.sampled_from(keys))
        inner = table[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            table[key] = data.draw(VALUES.filter(lambda value: "date" not in repr(value)))
            break
        table = inner
    seal(run, contents)
    printed = read_all(run, folder / "mine")
    assert "\n" not in printed


def read_all(run: Path, study: Path) -> str:
    """Read a run and the results of its study; return why they are refused, if they are."""
    try:
        load_record(run)
        return "" if load_report(study).kept else "no run"
    except LrreportError as err:
        return str(err)
