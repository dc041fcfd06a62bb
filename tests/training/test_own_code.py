"""A user's own functions: what each may give, and one line for each way in which it does not do."""

from pathlib import Path

import pytest
import torch

from lrreport import LrreportError
from lrreport.provenance import digest_own_code
from lrreport.settings import Fixed
from lrreport.training import check, data, own_code, trial

DATA = """
import torch
def load():
    g = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 3
    inputs = torch.randn(300, 4, generator=g)
    return {returned}
"""
GOOD = "inputs[:200], labels[:200], inputs[200:], labels[200:]"
SAYS = "; expected is load() -> (train inputs, train labels, test inputs, test labels) and, if you like, class names"


@pytest.fixture
def write(tmp_path: Path, request: pytest.FixtureRequest) -> "Writer":
    return Writer(tmp_path, "own_" + "".join(char for char in request.node.name if char.isalnum()))


class Writer:
    """Writes a module of a name of its own, since Python imports each name once."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    def __call__(self, source: str) -> str:
        (self.folder / f"{self.name}.py").write_text(source)
        return self.name

    def try_code(self, **settings: object) -> dict[str, str]:
        setup = Fixed.model_validate({"dataset": "sample", "validation_size": 30, **settings})
        found = trial.try_code([setup], str(self.folder))
        assert not found.prepared
        return found.digests


def fail(write: Writer, **settings: object) -> str:
    with pytest.raises(LrreportError) as error:
        write.try_code(**settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_data_of_ones_own_is_loaded_and_digested(write: Writer) -> None:
    path = f"{write(DATA.format(returned=GOOD))}:load"
    found = write.try_code(dataset=path)
    assert set(found) == {"train inputs", "train labels", "test inputs", "test labels", "class names"}
    assert found == write.try_code(dataset=path)


@pytest.mark.parametrize(("returned", "problem"), [
    ("inputs, labels", "it gives a tuple of 2"),
    ("None", "it gives a NoneType"),
    ("inputs.tolist(), labels, inputs, labels", "its train inputs are a list of 300, not a torch.Tensor"),
    ("inputs.double(), labels, inputs, labels",
     "its train inputs are torch.float64; make them torch.float32, or torch.int64 to look up in an embedding"),
    ("inputs, labels, inputs.long(), labels",
     "inputs to train and to test have different types, torch.float32 and torch.int64"),
    ("inputs, labels.int(), inputs, labels", "its train labels are torch.int32 (300,); make them torch.int64 (n,)"),
    ("inputs, labels[:, None], inputs, labels", "its train labels are torch.int64 (300, 1); make them torch.int64 (n,)"),
    ("inputs[:9], labels, inputs, labels", "its train inputs (9, 4) and labels (300,) do not go together; make them (n, …) and (n,), none of the sizes 0"),
    ("inputs, labels, inputs[:, :3], labels", "an example to train and one to test have different shapes, (4,) and (3,)"),
    ("inputs, labels, inputs, labels + 1", "its test labels go from 1 to 3; with 3 classes make them 0 to 2"),
    ("inputs, labels - 1, inputs, labels", "its train labels go from -1 to 1; with 2 classes make them 0 to 1"),
    ("inputs, labels * 2, inputs, labels", "of 5 classes the train labels have [0, 2, 4]; each of two or more must occur"),
    ("inputs / 0, labels, inputs, labels", "its train inputs hold infinities or NaN; clean them"),
])  # fmt: skip
def test_data_that_does_not_do_is_named(write: Writer, returned: str, problem: str) -> None:
    path = f"{write(DATA.format(returned=returned))}:load"
    assert fail(write, dataset=path) == f"dataset = {path!r}: {problem}{SAYS}"


def test_data_that_differs_from_call_to_call_is_refused(write: Writer) -> None:
    path = f"{write(DATA.format(returned=GOOD).replace('generator=g', ''))}:load"
    assert fail(write, dataset=path) == (
        f"dataset = {path!r}: called twice it gives different tensors; let it give the same each time, such as with a "
        "torch.Generator of a fixed seed"
    )


def test_data_that_raises_is_named_with_the_place(write: Writer) -> None:
    path = write("def load():\n    open('/no/such/file')\n") + ":load"
    said = fail(write, dataset=path)
    assert said.startswith(f"dataset = {path!r}: it raised FileNotFoundError: [Errno 2] No such file or directory: ")
    assert f" at {write.name}.py line 2; expected is load()" in said


def test_data_that_takes_long_is_loaded_once_for_all_runs(
    write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRREPORT_DATA", str(tmp_path / "data"))
    path = f"{write(DATA.format(returned=GOOD).replace('import torch', 'import torch; CALLS = []').replace('    g =', '    CALLS.append(1); g ='))}:load"
    calls = own_code.import_function("dataset", path, str(write.folder)).__wrapped__.__globals__["CALLS"]
    setup = Fixed.model_validate({"dataset": path, "validation_size": 30})
    digests, prepared, _ = trial.try_code([setup], str(write.folder), patience=0)
    splits = data.load_splits(path, 30, 0, str(write.folder), prepared)
    assert len(calls) == 1
    assert splits.digests == digests
    again = data.load_splits(path, 30, 0, str(write.folder))
    assert len(calls) == 2
    assert torch.equal(again.train.inputs, splits.train.inputs)
    for file in (tmp_path / "data/prepared").glob("*.pt"):
        file.unlink()  # not cut: it is mapped
    assert torch.equal(data.load_splits(path, 30, 0, str(write.folder), prepared).train.inputs, splits.train.inputs)
    assert len(calls) == 3


def test_what_it_prints_goes_nowhere(write: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    source = DATA.format(returned=GOOD).replace("def load():", "print('importing')\ndef load():\n    print('loading')")
    write.try_code(dataset=f"{write(source)}:load")
    assert capsys.readouterr().out == ""


NET = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.layer, self.change = nn.Linear(784, 10), change
    def forward(self, x):
        x = self.change(x)
        return (self.layer(x[0].flatten(1)), 1) if isinstance(x, tuple) else self.layer(x.flatten(1))
SHARED = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
def make(shape, n_classes):
    {body}
"""
EXPECTED = "; expected is make(input_shape, n_classes) -> torch.nn.Module"


@pytest.mark.parametrize(("body", "problem"), [
    ("return 3", "it gives an int"),
    ("return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(10))", "the network has no weights to train"),
    ("return nn.Sequential(nn.Flatten(), nn.Linear(784, 7))",
     "for inputs (3, 1, 28, 28) its logits must be floating point (3, 10), not torch.float32 (3, 7)"),
    ("import os; m = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)); m[1].bias.data[0] = int.from_bytes(os.urandom(2)); return m",
     "with one seed it gives other logits; let all random numbers come from torch"),
    ("return SHARED", "called twice it gives networks that share weights; make new layers at each call"),
    ("return Net(lambda x: x.mul_(2))",
     "it changes its inputs, which are used again; let it work on new tensors, such as x = x + 1"),
    ("return Net(lambda x: nn.functional.dropout(x))",
     "in evaluation mode a second call gives other logits; draw nothing if not self.training"),
    ("return Net(lambda x: x - x.mean(0))",
     "in evaluation mode an example's logits depend on those beside it; judge each by itself"),
    ("net = Net(lambda x: x); net.change = lambda x: x.mul_(2) if net.training else x; return net",
     "it changes its inputs, which are used again; let it work on new tensors, such as x = x + 1"),
    ("net = Net(lambda x: x); net.change = lambda x: x if net.training else (x, 1); return net",
     "for inputs (3, 1, 28, 28) its logits in evaluation mode must be floating point (3, 10), not a tuple of 2"),
    ("return Net(lambda x: x / 0)", "its logits are not finite"),
    ("return Net(lambda x: (x, x))", "for inputs (3, 1, 28, 28) its logits must be floating point (3, 10), not a tuple of 2"),
])  # fmt: skip
def test_a_network_that_does_not_do_is_named(write: Writer, body: str, problem: str) -> None:
    path = f"{write(NET.format(body=body))}:make"
    assert fail(write, model=path) == f"model = {path!r}: {problem}{EXPECTED}"


def test_a_network_that_takes_another_shape_says_so(write: Writer) -> None:
    path = f"{write(NET.format(body='return nn.Linear(5, n_classes)'))}:make"
    said = fail(write, model=path)
    assert said.startswith(f"model = {path!r}: it raised RuntimeError: mat1 and mat2 shapes cannot be multiplied")


@pytest.mark.parametrize(("body", "problem"), [
    ("return nn.functional.cross_entropy(logits, labels)", "for 4 examples it gives (), not (4,); leave out the mean over examples"),
    ("return labels.float()", "no gradient flows from its values to the logits"),
    ("import random; return random.random() * logits.sum(1)", "a second call gives other values; draw no random numbers in it"),
    ("return logits.mul_(2).sum(1)", "it changes the logits or labels that it is given"),
    ("value = nn.functional.cross_entropy(logits, labels, reduction='none'); labels.zero_(); return value",
     "it changes the logits or labels that it is given"),
    ("return logits.sum(1) / 0", "for logits between -1 and 1 it gives [-inf, -inf, inf, inf], which are not finite"),
])  # fmt: skip
def test_a_loss_that_does_not_do_is_named(write: Writer, body: str, problem: str) -> None:
    path = write(f"from torch import nn\ndef loss(logits, labels):\n    {body}\n") + ":loss"
    assert fail(write, loss=path) == f"loss = {path!r}: {problem}; expected is {own_code.SIGNATURES['loss']}"


@pytest.mark.parametrize(("body", "problem"), [
    ("return None", "it gives a NoneType"),
    ("return torch.optim.SGD(parameters, lr=1)", "its groups do not have the learning rate that it was given"),
    ("return torch.optim.SGD(parameters[:1], lr=learning_rate)",
     "it leaves out 5 of 6 parameters; give it just the ones that it was given"),
    ("own = torch.nn.Parameter(torch.ones(1)); return torch.optim.SGD([*parameters, own], lr=learning_rate)",
     "it has parameters of others; give it just the ones that it was given"),
])  # fmt: skip
def test_an_optimizer_that_does_not_do_is_named(write: Writer, body: str, problem: str) -> None:
    path = write(f"import torch\ndef make(parameters, learning_rate):\n    {body}\n") + ":make"
    assert (
        fail(write, optimizer=path)
        == f"optimizer = {path!r}: {problem}; expected is {own_code.SIGNATURES['optimizer']}"
    )


def test_what_fails_only_in_training_is_named(write: Writer) -> None:
    body = "return nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.BatchNorm1d(8), nn.Linear(8, n_classes))"
    path = f"{write(NET.format(body=body))}:make"
    assert write.try_code(model=path, batch_size=64) == {}
    said = fail(write, model=path, batch_size=1969)  # of 1970
    assert said.startswith(
        f"model = {path!r}: two training steps, on batches of 1969 and 1, raised ValueError: Expected more than 1 value per "
        "channel when training"
    )
    assert said.endswith("; the last batch of an epoch has 1 example: if that is it, choose another batch_size")


def test_what_is_kept_from_one_training_to_the_next_is_noticed(write: Writer) -> None:
    source = """
import torch
RATES = []
class Own(torch.optim.SGD):
    def step(self):
        RATES.append(1)
        for group in self.param_groups:
            for one in group["params"]:
                one.data.sub_(group["lr"] * len(RATES) * one.grad)
def make(parameters, learning_rate):
    return Own(parameters, lr=learning_rate)
"""
    path = f"{write(source)}:make"
    assert fail(write, optimizer=path) == (
        f"optimizer = {path!r}: two training steps give other numbers the second time; let all random numbers come from torch, "
        "and keep nothing from one call to the next"
    )


def test_an_optimizer_of_matrices_beside_one_of_the_rest_will_do(write: Writer) -> None:
    source = """
import torch
class Both(torch.optim.Optimizer):
    def __init__(self, parameters, learning_rate):
        super().__init__(parameters, {"lr": learning_rate})
        self.parts = [torch.optim.Muon([one for one in parameters if one.dim() == 2], lr=learning_rate),
                      torch.optim.AdamW([one for one in parameters if one.dim() != 2], lr=learning_rate)]
    def step(self):
        for part in self.parts:
            part.step()
def make(parameters, learning_rate):
    return Both(parameters, learning_rate)
"""
    assert write.try_code(optimizer=f"{write(source)}:make") == {}


def test_training_that_changes_nothing_is_named(write: Writer) -> None:
    source = """
import torch
class Idle(torch.optim.SGD):
    def step(self):
        pass
def make(parameters, learning_rate):
    return Idle(parameters, lr=learning_rate)
"""
    path = f"{write(source)}:make"
    assert (
        fail(write, optimizer=path) == f"optimizer = {path!r}: two training steps change none of the network's weights"
    )


def test_networks_that_know_of_each_other_are_named(write: Writer) -> None:
    body = "net = Net(lambda x: x); ALL.add(net); net.change = lambda x: x * len(ALL); return net"
    source = NET.format(body=body).replace("SHARED =", "import weakref\nALL = weakref.WeakSet()\nSHARED =")
    path = f"{write(source)}:make"
    splits = data.load_splits("sample", 30, 0)
    setup = Fixed.model_validate({"dataset": "sample", "validation_size": 30, "model": path})
    with pytest.raises(LrreportError) as error:
        trial.rehearse(setup, splits, str(write.folder))
    assert str(error.value) == (
        f"model = {path!r}: two training steps give other numbers if another seed's network trains beside; share nothing "
        "between networks"
    )


def test_seeds_that_begin_with_the_same_weights_are_told(write: Writer) -> None:
    body = "torch.manual_seed(42); return nn.Sequential(nn.Flatten(), nn.Linear(784, n_classes))"
    path = f"{write(NET.format(body=body))}:make"
    setup = Fixed.model_validate({"dataset": "sample", "validation_size": 30, "model": path})
    assert trial.try_code([setup], str(write.folder)).notes == [
        f"model = {path!r}: every seed begins with the same weights; only the order of the batches tells them apart"
    ]


def test_every_level_is_tried(write: Writer) -> None:
    """A batch size at which the last batch has one example is found, though another level comes first."""
    body = "return nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.BatchNorm1d(8), nn.Linear(8, n_classes))"
    path = f"{write(NET.format(body=body))}:make"
    settings = {"dataset": "sample", "validation_size": 30, "model": path}
    setups = [Fixed.model_validate(settings | {"batch_size": size}) for size in (64, 1969)]
    trial.try_code(setups[:1], str(write.folder))
    with pytest.raises(LrreportError, match="on batches of 1969 and 1"):
        trial.try_code(setups, str(write.folder))


def test_names_of_classes_are_part_of_the_data(write: Writer) -> None:
    source = DATA.format(returned=GOOD + ", ['cat', 'dog', 'cow']")
    first = write.try_code(dataset=f"{write(source)}:load")
    other = Writer(write.folder, f"{write.name}2")
    second = other.try_code(dataset=f"{other(source.replace('cow', 'hen'))}:load")
    assert {name for name in first if first[name] != second[name]} == {"class names"}
    third = Writer(write.folder, f"{write.name}3")
    path = f"{third(DATA.format(returned=GOOD + ', {1, 2, 3}'))}:load"
    assert fail(third, dataset=path) == f"dataset = {path!r}: its class names are a set, not a list{SAYS}"


@pytest.mark.parametrize(("returned", "problem"), [
    ("inputs.to_sparse(), labels, inputs, labels", "its train inputs are torch.sparse_coo on cpu; make them dense, on the CPU"),
    ("inputs, labels, inputs, labels, ['cat', 'dog']", "its train labels go from 0 to 2; with 2 class names make them 0 to 1"),
    ("inputs, labels, inputs, labels, ['cat', 'dog', 'cat']", "its class names ['cat', 'dog', 'cat'] hold one twice"),
    ("torch.randn(257, 4), torch.arange(257), inputs[:257], torch.arange(257)",
     "it has 257 classes; at most 256 can be recorded"),
    ("inputs[:, :0], labels, inputs[:, :0], labels",
     "its train inputs (300, 0) and labels (300,) do not go together; make them (n, …) and (n,), none of the sizes 0"),
])  # fmt: skip
def test_data_of_odd_kinds_is_named(write: Writer, returned: str, problem: str) -> None:
    path = f"{write(DATA.format(returned=returned))}:load"
    assert fail(write, dataset=path) == f"dataset = {path!r}: {problem}{SAYS}"


def test_data_that_wants_gradients_is_taken_without(write: Writer) -> None:
    assert write.try_code(
        dataset=f"{write(DATA.format(returned=GOOD.replace('inputs', 'inputs.requires_grad_()')))}:load"
    )


def test_what_is_printed_at_the_end_does_not_hide_the_answer(write: Writer) -> None:
    source = "import atexit, os\natexit.register(lambda: os.write(1, b'bye\\n'))\n" + NET.format(
        body="return SHARED_TOO()"
    )
    source = source.replace("SHARED_TOO()", "nn.Sequential(nn.Flatten(), nn.Linear(784, n_classes))")
    setup = Fixed.model_validate({"dataset": "sample", "validation_size": 30, "model": f"{write(source)}:make"})
    assert check.check_setups((setup,), str(write.folder)).notes == []


def test_what_is_installed_below_the_folder_is_not_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / ".venv/lib"
    installed.mkdir(parents=True)
    (installed / "large.py").write_text("import larger\n")
    (tmp_path / "nets.py").write_text("import large, torch\n")
    monkeypatch.syspath_prepend(installed)
    assert set(digest_own_code(["nets:make"], tmp_path)) == {"nets"}


@pytest.mark.parametrize("source", [
    b"\xef\xbb\xbfx = 1\n", "# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"), b"x = " + b" + ".join([b"1"] * 800),
])  # fmt: skip
def test_whatever_python_reads_counts(tmp_path: Path, source: bytes) -> None:
    (tmp_path / "nets.py").write_bytes(source)
    assert set(digest_own_code(["nets:make"], tmp_path)) == {"nets"}


def test_all_packages_above_a_module_count(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    for place in ("a", "a/b", "a/b/c"):
        (tmp_path / place / "__init__.py").write_text("")
    assert set(digest_own_code(["a.b:make"], tmp_path)) == {"a", "a.b"}
    (tmp_path / "nets.py").write_text("import a.b.c\n")
    assert set(digest_own_code(["nets:make"], tmp_path)) == {"nets", "a", "a.b", "a.b.c"}


def test_paths_of_files_are_those_from_the_folder(write: Writer) -> None:
    (write.folder / "numbers.csv").write_text("0.5\n")
    source = DATA.format(returned=GOOD).replace(
        "    return", "    inputs = inputs + float(open('numbers.csv').read())\n    return"
    )
    assert write.try_code(dataset=f"{write(source)}:load")


def test_modules_imported_late_are_found_too(write: Writer) -> None:
    (write.folder / f"{write.name}_late.py").write_text("scale = 2\n")
    late = DATA.replace("    labels =", f"    import {write.name}_late\n    labels =").format(returned=GOOD)
    assert write.try_code(dataset=f"{write(late)}:load")


def test_a_level_without_own_code_is_passed_over(write: Writer) -> None:
    path = f"{write(NET.format(body='return nn.Sequential(nn.Flatten(), nn.Linear(784, n_classes))'))}:make"
    setups = [Fixed.model_validate({"dataset": "sample", "validation_size": 30, "model": one}) for one in ("mlp", path)]
    assert trial.try_code(setups, str(write.folder)) == ({}, "", [])


def test_a_call_with_other_arguments_has_no_place(write: Writer) -> None:
    path = write("def make():\n    pass\n") + ":make"
    assert fail(write, model=path) == (
        f"model = {path!r}: it raised TypeError: make() takes 0 positional arguments but 2 were given{EXPECTED}"
    )


def test_the_place_is_in_the_users_own_file(write: Writer) -> None:
    path = f"{write(NET.format(body='return Net(lambda x: x[:, :, :5])'))}:make"
    assert f" at {write.name}.py line 10; expected is make(" in fail(write, model=path)


def test_probabilities_in_place_of_logits_are_told(write: Writer) -> None:
    body = "return nn.Sequential(nn.Flatten(), nn.Linear(784, n_classes), nn.Softmax(1))"
    setup = Fixed.model_validate(
        {"dataset": "sample", "validation_size": 30, "model": f"{write(NET.format(body=body))}:make"}
    )
    [note] = trial.try_code([setup], str(write.folder)).notes
    assert note.endswith("as probabilities do; cross-entropy takes logits, without a softmax")


def test_arrays_of_numpy_will_do(write: Writer) -> None:
    returned = ", ".join(f"{part}.numpy()" for part in GOOD.split(", "))
    assert write.try_code(dataset=f"{write(DATA.format(returned=returned))}:load")


@pytest.mark.parametrize("name", ["statistics", "packaging", "sys"])
def test_a_helper_of_another_name_than_its_own_is_named_before_it_is_imported(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("WIDTH = 3\n")
    (tmp_path / f"hidden_{name}.py").write_text(f"from {name} import WIDTH\ndef make(shape, n_classes):\n    pass\n")
    with pytest.raises(LrreportError, match=f"{name}.py is hidden by another module of that name, .*; rename yours$"):
        own_code.import_function("model", f"hidden_{name}:make", str(tmp_path))


def test_a_module_that_ends_the_process_is_named_with_the_line(write: Writer) -> None:
    name = write("import sys\n\nsys.exit(0)\n")
    assert fail(write, model=f"{name}:make") == (
        f"model = '{name}:make': importing it failed (SystemExit: 0 at {name}.py line 3)"
    )


def test_a_helper_that_another_module_hides_is_named(tmp_path: Path) -> None:
    (tmp_path / "queue.py").write_text("n = 7\n")
    (tmp_path / "hidden_helper.py").write_text("import queue\ndef make(shape, n_classes):\n    pass\n")
    import queue

    with pytest.raises(LrreportError) as error:
        own_code.import_function("model", "hidden_helper:make", str(tmp_path))
    assert str(error.value) == (
        f"model = 'hidden_helper:make': {tmp_path / 'queue.py'} is hidden by another module of that name, {queue.__file__}; "
        "rename yours"
    )


def test_a_network_that_takes_numbers_of_words_can_be_trained(write: Writer) -> None:
    source = DATA.format(returned="words[:200], labels[:200], words[200:], labels[200:]").replace(
        "    return", "    words = (inputs * 3).long() % 7\n    return"
    )
    source += """
from torch import nn
class Net(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.table, self.last = nn.Embedding(7, 5), nn.LazyLinear(n_classes)
    def forward(self, words):
        return self.last(self.table(words).mean(1))
def make(shape, n_classes):
    return Net(n_classes)
"""
    name = write(source)
    for precision in ("float32", "float64", "bfloat16"):
        assert write.try_code(dataset=f"{name}:load", model=f"{name}:make", precision=precision)


def test_a_loss_sees_one_network_at_a_time(write: Writer) -> None:
    """What an example costs may depend on its batch, but not on the networks that train beside."""
    from lrreport.training.build import choose_loss

    path = write("def loss(logits, labels):\n    return logits.sum(1) / logits.abs().max()\n") + ":loss"
    loss, _ = choose_loss(Fixed.model_validate({"loss": path}), str(write.folder))
    logits, labels = torch.randn(3, 5, 2), torch.zeros(3, 5, dtype=torch.long)
    for one, alone in zip(loss(logits, labels), logits, strict=True):
        assert torch.equal(one, loss(alone[None], labels[:1])[0])


def test_a_module_that_another_one_hides_is_named(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("def make(shape, n_classes):\n    pass\n")
    with pytest.raises(LrreportError) as error:
        own_code.import_function("model", "random:make", str(tmp_path))
    import random

    assert str(error.value) == (
        f"model = 'random:make': {tmp_path / 'random.py'} is hidden by another module of that name, {random.__file__}; "
        "rename yours"
    )


def test_code_that_ends_the_process_is_named(write: Writer) -> None:
    path = f"{write(NET.format(body='raise SystemExit'))}:make"
    assert fail(write, model=path).startswith(f"model = {path!r}: it raised SystemExit at {write.name}.py line ")
    source = "import os\ndef make(shape, n_classes):\n    os.kill(os.getpid(), 9)\n"
    setup = Fixed.model_validate({"dataset": "sample", "validation_size": 30, "model": f"{write(source)}:make"})
    with pytest.raises(LrreportError, match=f"^trying {write.name}:make ended with SIGKILL$"):
        check.check_setups((setup,), str(write.folder))


def test_the_process_that_tries_it_tells_what_it_printed(write: Writer) -> None:
    body = "print('making'); return nn.Sequential(nn.Flatten(), nn.Linear(784, n_classes))"
    setup = Fixed.model_validate(
        {"dataset": "sample", "validation_size": 30, "model": f"{write(NET.format(body=body))}:make"}
    )
    assert check.check_setups((setup,), str(write.folder)).notes == [
        f"what {write.name}:make printed is left out of the runs: 'making'"
    ]


def test_sets_of_words_have_one_order_in_every_process(write: Writer) -> None:
    source = DATA.format(returned=GOOD).replace("% 3", "% 3\n    names = list({'cat', 'dog', 'cow', 'hen', 'pig'})")
    source = source.replace(
        "    return", "    inputs = inputs + len(names[0]) * ord(names[0][0]) + ord(names[1][1])\n    return"
    )
    setup = Fixed.model_validate({"dataset": f"{write(source)}:load", "validation_size": 30})
    first = check.check_setups((setup,), str(write.folder))
    check.check_setups.cache_clear()
    assert check.check_setups((setup,), str(write.folder)) == first


def test_what_cannot_be_imported_is_named(write: Writer) -> None:
    assert fail(write, model="nowhere_at_all:make") == (
        f"model = 'nowhere_at_all:make': no module 'nowhere_at_all' in {write.folder}, nor installed; put nowhere_at_all.py there"
    )
    name = write("import no_such_thing\n")
    assert fail(write, model=f"{name}:make").startswith(
        f"model = '{name}:make': importing it failed (ModuleNotFoundError"
    )


def test_a_function_that_is_not_there_is_named(write: Writer) -> None:
    name = write("def build():\n    pass\n")
    assert fail(write, model=f"{name}:make") == f"model = '{name}:make': {name} has no function 'make'; it has build"


def test_a_module_with_a_wrong_line_is_named(write: Writer) -> None:
    name = write("def (\n")
    assert "importing it failed (SyntaxError: " in fail(write, model=f"{name}:make")


def test_a_module_and_those_beside_it_decide_the_key(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("import torch\nfrom layers import Layer\n")
    (tmp_path / "layers.py").write_text("Layer = 1\n")
    (tmp_path / "unrelated.py").write_text("x = 1\n")
    first = digest_own_code(["nets:make"], tmp_path)
    assert set(first) == {"nets", "layers"}
    (tmp_path / "layers.py").write_text("Layer = 1  # the same but for a comment\n")
    (tmp_path / "unrelated.py").write_text("x = 2\n")
    from lrreport.provenance import digest_module

    digest_module.cache_clear()
    assert digest_own_code(["nets:make"], tmp_path) == first
    (tmp_path / "layers.py").write_text("Layer = 2\n")
    digest_module.cache_clear()
    assert digest_own_code(["nets:make"], tmp_path) != first


def test_a_package_counts_whole_and_what_is_installed_only_by_name(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("from . import layers\nfrom .deep.more import x\nimport numpy\n")
    (package / "layers.py").write_text("import torch\n")
    (package / "deep").mkdir()
    (package / "deep" / "__init__.py").write_text("")
    (package / "deep" / "more.py").write_text("x = 1\n")
    assert set(digest_own_code(["mine.nets:make"], tmp_path)) == {
        "mine", "mine.nets", "mine.layers", "mine.deep", "mine.deep.more",
    }  # fmt: skip
    assert set(digest_own_code(["tqdm.version:x"], tmp_path)) >= {"tqdm", "tqdm.version"}


def test_each_network_side_by_side_draws_random_numbers_of_its_own() -> None:
    from lrreport.training.loop import make_generators
    from lrreport.training.model import make_own

    def make(shape: tuple[int, ...], n_classes: int) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.LazyLinear(n_classes))

    def run(*seeds: int) -> torch.Tensor:
        weights, _, noise = zip(*map(make_generators, seeds), strict=True)
        networks = make_own(make, torch.ones(1, 6), 2, weights, noise)
        inputs = torch.ones(len(seeds), 5, 6)
        return torch.stack([networks(inputs) for _ in range(3)])[:, -1].detach()

    assert torch.equal(run(1), run(0, 1))
    assert not torch.equal(run(0), run(1))
