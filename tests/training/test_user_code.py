"""Functions of the user's: what each may return, and the error, in a single line, for each way in which it does not fit."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrreport.errors import LrreportError
from lrreport.study.settings import Own, Training
from lrreport.training import check, data
from lrreport.training.user_code import load, validate
from lrreport.training.user_code.dataset import digest_tensor, load_own

Write = Any  # the fixture that writes a module
DATA = """
import numpy as np
import torch
def load():
    g = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 3
    inputs = torch.randn(300, 4, generator=g)
    values = inputs[:, 0] * 2
    return {returned}
"""
GOOD = "inputs[:200], labels[:200], inputs[200:], labels[200:]"
EXPECTED_DATA = f"; expected is {load.SIGNATURES['dataset']}"


def make_setup(**settings: object) -> Training:
    return Training.model_validate({"dataset": "sample", "validation_size": 30, **settings})


def validate_all(write: Write, *levels: dict[str, object], patience: float = math.inf) -> validate.Validation:
    return validate.validate_setups([make_setup(**level) for level in levels], str(write.folder), patience)


def read_failure(write: Write, **settings: object) -> str:
    with pytest.raises(LrreportError) as error:
        validate_all(write, settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def write_data(write: Write, returned: str, *changes: tuple[str, str]) -> str:
    source = DATA.format(returned=returned)
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return f"{write(source)}:load"


def test_a_dataset_is_loaded_and_digested(write: Write) -> None:
    path = write_data(write, GOOD)
    digests = validate_all(write, {"dataset": path}).digests
    assert set(digests) == {"train inputs", "train targets", "test inputs", "test targets", "class names"}
    assert digests == validate_all(write, {"dataset": path}).digests


@pytest.mark.parametrize(("returned", "problem"), [
    ("inputs, labels", "it returns a tuple of 2"),
    ("None", "it returns a NoneType"),
    ("inputs.tolist(), labels, inputs, labels", "its train inputs are a list of 300, not an array or a tensor"),
    ("inputs.to_sparse(), labels, inputs, labels", "its train inputs are torch.sparse_coo on cpu; make them dense, on the CPU"),
    ("inputs.cfloat(), labels, inputs, labels", "its train inputs are torch.complex64; make them torch.float32"),
    ("inputs.numpy().astype('U'), labels, inputs, labels", "its train inputs are an array of <U32; make them numbers"),
    ("inputs, labels, inputs.long(), labels", "its train and test inputs have different types, torch.float32 and torch.int64"),
    ("inputs, labels, inputs, labels.float()", "its train and test targets have different types, torch.int64 and torch.float32"),
    ("inputs, labels[:, None], inputs, labels", "its train targets are torch.int64 (300, 1); make them (n,)"),
    ("inputs, values[:, None, None], inputs, values", "its train targets are torch.float32 (300, 1, 1); make them (n,) or (n, k)"),
    ("inputs[:9], labels, inputs, labels",
     "its train inputs (9, 4) and targets (300,) do not match; make them (n, …) and (n,), none of the sizes 0"),
    ("inputs[:, :0], labels, inputs[:, :0], labels",
     "its train inputs (300, 0) and targets (300,) do not match; make them (n, …) and (n,), none of the sizes 0"),
    ("inputs, labels, inputs[:, :3], labels", "an example of its train and test inputs has different shapes, (4,) and (3,)"),
    ("inputs, inputs, inputs, inputs[:, :3]", "an example of its train and test targets has different shapes, (4,) and (3,)"),
    ("inputs, labels, inputs, labels + 1", "its test labels go from 1 to 3; with 3 classes make them 0 to 2"),
    ("inputs, labels - 1, inputs, labels", "its train labels go from -1 to 1; with 2 classes make them 0 to 1"),
    ("inputs, labels * 2, inputs, labels", "of 5 classes the train labels have [0, 2, 4]; each of two or more must occur"),
    ("inputs / 0, labels, inputs, labels", "its train inputs contain infinities or NaN, or are too large for float32; clean them"),
    ("inputs.double() * 1e300, labels, inputs, labels",
     "its train inputs contain infinities or NaN, or are too large for float32; clean them"),
    ("inputs, labels, inputs, labels, ['cat', 'dog']", "its train labels go from 0 to 2; with 2 class names make them 0 to 1"),
    ("inputs, labels, inputs, labels, ['cat', 'dog', 'cat']", "its class names ['cat', 'dog', 'cat'] contain a name twice"),
    ("inputs, labels, inputs, labels, {1, 2, 3}", "its class names are a set, not a list"),
    ("inputs, values, inputs, values, ['cat', 'dog']",
     "its targets are numbers, so leave out the class names, or make the labels torch.int64"),
    ("inputs, np.array(['a', 'b', 'c'])[labels], inputs, np.array(['a', 'b', 'd'])[labels]",
     "its test targets contain 'd', which is not among the class names ['a', 'b', 'c']"),
    ("torch.randn(1001, 4), torch.arange(1001), torch.randn(1001, 4), torch.arange(1001)",
     "it has 1001 classes; at most 1000 can be recorded"),
])  # fmt: skip
def test_a_dataset_that_does_not_fit_is_named(write: Write, returned: str, problem: str) -> None:
    path = write_data(write, returned)
    assert read_failure(write, dataset=path) == f"dataset = {path!r}: {problem}{EXPECTED_DATA}"


@pytest.mark.parametrize("convert", [
    "lambda x: x", "lambda x: x.numpy()", "lambda x: np.flip(np.flip(x.numpy()).copy())",
    "lambda x: x.numpy().astype(x.numpy().dtype.newbyteorder('>'))", "lambda x: x.double() if x.is_floating_point() else x.short()",
    "lambda x: torch.stack([x, x], 0)[1]", "lambda x: x.requires_grad_() if x.is_floating_point() else x",
])  # fmt: skip
def test_byte_order_strides_and_precision_make_no_difference(write: Write, convert: str) -> None:
    plain = (torch.randn(300, 4, generator=torch.Generator().manual_seed(0)), torch.arange(300) % 3)
    returned = f"[*map({convert}, ({GOOD}))]"
    parts, names = load_own(write_data(write, returned), str(write.folder))
    assert torch.equal(parts["train inputs"], plain[0][:200])
    assert torch.equal(parts["test targets"], plain[1][200:])
    assert (parts["train inputs"].dtype, parts["train targets"].dtype) == (torch.float32, torch.int64)
    assert names == ("0", "1", "2")


def test_labels_as_text_become_numbers(write: Write) -> None:
    texts = "np.array(['dog', 'cat', 'cow'])"
    returned = f"inputs[:200], {texts}[labels[:200]], inputs[200:], {texts}[labels[200:]].astype(object)"
    parts, names = load_own(write_data(write, returned), str(write.folder))
    assert names == ("cat", "cow", "dog")
    assert parts["train targets"][:3].tolist() == [2, 0, 1]
    assert parts["test targets"][:3].tolist() == [1, 2, 0]


@pytest.mark.parametrize("convert", [
    "lambda x: x.tolist()", "lambda x: pd.Series(x)", "lambda x: pd.Series(pd.Categorical(x))", "lambda x: x.astype('S')",
    "lambda x: x.astype(np.dtypes.StringDType())",
])  # fmt: skip
def test_labels_as_text_may_come_in_any_container(write: Write, convert: str) -> None:
    texts = "np.array(['dog', 'cat', 'cow'])"
    returned = f"inputs[:200], ({convert})({texts}[labels[:200]]), inputs[200:], ({convert})({texts}[labels[200:]])"
    path = write_data(write, returned, ("import numpy", "import pandas as pd\nimport numpy"))
    parts, names = load_own(path, str(write.folder))
    assert names == ("cat", "cow", "dog")
    assert parts["train targets"][:3].tolist() == [2, 0, 1]


@pytest.mark.parametrize("convert", [
    "lambda x: x.numpy().astype(np.longdouble)", "lambda x: pd.DataFrame(x).convert_dtypes()", "lambda x: x.numpy().astype(object)",
])  # fmt: skip
def test_tables_of_unusual_types_are_converted(write: Write, convert: str) -> None:
    returned = f"({convert})(inputs[:200]), labels[:200], ({convert})(inputs[200:]), labels[200:]"
    path = write_data(write, returned, ("import numpy", "import pandas as pd\nimport numpy"))
    parts, _ = load_own(path, str(write.folder))
    plain = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(parts["train inputs"], plain[:200])


@pytest.mark.parametrize(("returned", "problem"), [
    ("np.ma.masked_array(inputs[:200], inputs[:200] > 1), labels[:200], inputs[200:], labels[200:]",
     "its train inputs have masked entries, which would count; fill them or leave them out"),
    ("inputs[:200], ['a', 'b'] * 100, inputs[200:], ['a', 'c'] * 50",
     "its test targets contain 'c', which is not among the class names ['a', 'b']"),
])  # fmt: skip
def test_what_would_be_misread_is_refused(write: Write, returned: str, problem: str) -> None:
    path = write_data(write, returned)
    assert read_failure(write, dataset=path) == f"dataset = {path!r}: {problem}{EXPECTED_DATA}"


def test_numbers_to_predict_are_columns(write: Write) -> None:
    parts, names = load_own(write_data(write, "inputs[:200], values[:200].double(), inputs[200:], values[200:].double()"),
                            str(write.folder))  # fmt: skip
    assert names == ()
    assert (parts["train targets"].dtype, parts["train targets"].shape) == (torch.float32, (200, 1))


def test_images_of_bytes_are_pixels_and_tables_of_bytes_are_not(write: Write) -> None:
    images = "(torch.arange(300 * 12) % 256).to(torch.uint8).reshape(300, 1, 3, 4)"
    path = write_data(write, f"{images}[:200], labels[:200], {images}[200:], labels[200:]")
    splits = data.load_splits(make_setup(dataset=path, input_range=[0, 1]), (0,), str(write.folder))
    assert float(splits.train.inputs.max()) == pytest.approx(1.0, abs=0.01)
    assert splits.train.inputs.shape == (200, 1, 3, 4)


def test_tables_of_pandas_will_do(write: Write) -> None:
    returned = (
        "pd.DataFrame(inputs[:200]), pd.Series(labels[:200]), pd.DataFrame(inputs[200:]), pd.Series(labels[200:])"
    )
    path = write_data(write, returned, ("import numpy", "import pandas as pd\nimport numpy"))
    parts, _ = load_own(path, str(write.folder))
    assert parts["train inputs"].shape == (200, 4)


def test_a_dataset_that_differs_from_call_to_call_is_refused(write: Write) -> None:
    path = write_data(write, GOOD, (", generator=g", ""))
    assert read_failure(write, dataset=path) == (
        f"dataset = {path!r}: called twice it returns different tensors; draw random numbers from a generator with a fixed seed"
    )


def test_a_dataset_that_raises_is_named_with_the_line(write: Write) -> None:
    path = write("def load():\n    open('/no/such/file')\n") + ":load"
    message = read_failure(write, dataset=path)
    assert message == (
        f"dataset = {path!r}: it raised FileNotFoundError: [Errno 2] No such file or directory: '/no/such/file' "
        f"at {write.name}.py line 2{EXPECTED_DATA}"
    )


def test_a_slow_dataset_is_loaded_once_for_all_runs_and_a_line_says_so(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRREPORT_DATA", str(tmp_path / "data"))
    path = write_data(
        write, GOOD, ("import torch", "import torch; CALLS = []"), ("    g =", "    CALLS.append(1); g =")
    )
    calls = load.import_function("dataset", path, str(write.folder)).__wrapped__.__globals__["CALLS"]  # type: ignore[attr-defined]
    setup = make_setup(dataset=path)
    digests, prepared, notes = validate_all(write, {"dataset": path}, patience=0)
    assert notes == [
        f"dataset = {path!r}: loading it took 0 s, so it was not called a second time to compare; if it returns other tensors "
        "each time, every report will train anew"
    ]
    splits = data.load_splits(setup, (0,), str(write.folder), prepared)
    assert len(calls) == 1
    assert splits.digests == digests
    again = data.load_splits(setup, (0,), str(write.folder))
    assert len(calls) == 2
    assert torch.equal(again.train.inputs, splits.train.inputs)
    for file in (tmp_path / "data/prepared").glob("*.pt"):
        file.unlink()  # not cut: it is mapped
    assert torch.equal(data.load_splits(setup, (0,), str(write.folder), prepared).train.inputs, splits.train.inputs)
    assert len(calls) == 3


def test_what_is_printed_is_captured(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_data(write, GOOD, ("def load():", "print('importing')\ndef load():\n    print('loading')"))
    validate_all(write, {"dataset": path})
    assert capsys.readouterr().out == ""


def test_paths_of_files_are_relative_to_the_folder(write: Write) -> None:
    (write.folder / "numbers.csv").write_text("0.5\n")
    path = write_data(
        write, GOOD, ("    return", "    inputs = inputs + float(open('numbers.csv').read())\n    return")
    )
    assert validate_all(write, {"dataset": path}).digests


def test_modules_imported_late_resolve_too(write: Write) -> None:
    (write.folder / f"{write.name}_late.py").write_text("scale = 2\n")
    path = write_data(write, GOOD, ("    labels =", f"    import {write.name}_late\n    labels ="))
    assert validate_all(write, {"dataset": path}).digests


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
def make(shape, n_outputs, **options):
    {body}
"""
LINEAR = "nn.Sequential(nn.Flatten(), nn.Linear(784, n_outputs))"
EXPECTED_MODEL = f"; expected is {load.SIGNATURES['model']}"


@pytest.mark.parametrize(("body", "problem"), [
    ("return 3", "it returns an int"),
    ("return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(10))", "the network has no weights to train"),
    ("return nn.Sequential(nn.Flatten(), nn.Linear(784, 7))",
     "for inputs (3, 1, 28, 28) its outputs must be floating point (3, 10), not torch.float32 (3, 7)"),
    ("import os; m = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)); m[1].bias.data[0] = int.from_bytes(os.urandom(2)); return m",
     "with the same seed it gives other outputs; draw all random numbers from torch"),
    ("return SHARED", "called twice it returns networks that share weights; make new layers at each call"),
    ("return Net(lambda x: x.mul_(2))",
     "it changes its inputs, which are used again; let it work on new tensors, such as x = x + 1"),
    ("return Net(lambda x: nn.functional.dropout(x))",
     "in evaluation mode a second call gives other outputs; draw nothing if not self.training"),
    ("return Net(lambda x: x - x.mean(0))",
     "in evaluation mode an example's outputs depend on the other examples; make them independent"),
    ("net = Net(lambda x: x); net.change = lambda x: x.mul_(2) if net.training else x; return net",
     "it changes its inputs, which are used again; let it work on new tensors, such as x = x + 1"),
    ("net = Net(lambda x: x); net.change = lambda x: x if net.training else (x, 1); return net",
     "for inputs (3, 1, 28, 28) its outputs in evaluation mode must be floating point (3, 10), not a tuple of 2"),
    ("return Net(lambda x: x / 0)", "its outputs are not finite"),
])  # fmt: skip
def test_a_network_that_does_not_fit_is_named(write: Write, body: str, problem: str) -> None:
    path = f"{write(NET.format(body=body))}:make"
    assert read_failure(write, model=path) == f"model = {path!r}: {problem}{EXPECTED_MODEL}"


def test_a_network_that_takes_another_shape_is_named_with_the_line(write: Write) -> None:
    path = f"{write(NET.format(body='return Net(lambda x: x[:, :, :5])'))}:make"
    message = read_failure(write, model=path)
    assert message.startswith(f"model = {path!r}: it raised RuntimeError: mat1 and mat2 shapes cannot be multiplied")
    assert f" at {write.name}.py line 10; expected is make(" in message


def test_options_are_keyword_arguments(write: Write) -> None:
    body = "return nn.Sequential(nn.Flatten(), nn.Linear(784, options['width']), nn.ReLU(), nn.LazyLinear(n_outputs))"
    name = write(NET.format(body=body))
    assert validate_all(write, {"model": {"name": f"{name}:make", "width": 7}}).notes == []
    assert "KeyError: 'width'" in read_failure(write, model=f"{name}:make")


def test_a_call_with_other_arguments_has_no_line(write: Write) -> None:
    path = write("def make():\n    pass\n") + ":make"
    assert read_failure(write, model=path) == (
        f"model = {path!r}: it raised TypeError: make() takes 0 positional arguments but 2 were given{EXPECTED_MODEL}"
    )
    assert read_failure(write, model={"name": path, "width": 3}) == (
        f"model = {path!r}: it raised TypeError: make() got an unexpected keyword argument 'width'{EXPECTED_MODEL}"
    )


@pytest.mark.parametrize(("body", "problem"), [
    ("return nn.functional.cross_entropy(logits, labels)", "it returns (), not (4,); leave out the mean over examples"),
    ("return labels.float()", "no gradient flows from its values to the outputs"),
    ("import random; return random.random() * logits.sum(1)", "a second call returns other values; draw no random numbers in it"),
    ("return logits.mul_(2).sum(1)", "it changes the outputs or targets that it is given"),
    ("value = nn.functional.cross_entropy(logits, labels, reduction='none'); labels.zero_(); return value",
     "it changes the outputs or targets that it is given"),
    ("return logits.sum(1) / 0", "for outputs between -1 and 1 it returns [-inf, -inf, inf, inf], which are not finite"),
])  # fmt: skip
def test_a_loss_that_does_not_fit_is_named(write: Write, body: str, problem: str) -> None:
    path = write(f"from torch import nn\ndef loss(logits, labels):\n    {body}\n") + ":loss"
    problem = problem.replace("it returns ()", "for outputs (4, 10) and targets (4,) it returns ()")
    assert read_failure(write, loss=path) == f"loss = {path!r}: {problem}; expected is {load.SIGNATURES['loss']}"


def test_a_loss_of_numbers_sees_columns(write: Write) -> None:
    source = DATA.format(returned="inputs[:200], values[:200], inputs[200:], values[200:]")
    name = write(source + "def loss(outputs, targets):\n    return (outputs - targets).pow(2).mean(1)\n")
    assert validate_all(write, {"dataset": f"{name}:load", "loss": f"{name}:loss"}).notes == []


@pytest.mark.parametrize(("body", "problem"), [
    ("return None", "at step 0 of 155 it returns None"),
    ("return -1.0", "at step 0 of 155 it returns -1.0"),
    ("return 1 / (155 - step)", "it raised ZeroDivisionError: division by zero at {name}.py line 2"),
    ("return True", "at step 0 of 155 it returns True"),
])  # fmt: skip
def test_a_schedule_that_does_not_fit_is_named(write: Write, body: str, problem: str) -> None:
    path = write(f"def decay(step, n_steps, steps_per_epoch):\n    {body}\n") + ":decay"
    problem = problem.format(name=write.name)
    assert (
        read_failure(write, schedule=path)
        == f"schedule = {path!r}: {problem}; expected is {load.SIGNATURES['schedule']}"
    )


@pytest.mark.parametrize(("body", "problem"), [
    ("return None", "it returns a NoneType"),
    ("return torch.optim.SGD(parameters, lr=1)", "its groups do not have the learning rate that it was given"),
    ("return torch.optim.SGD(parameters[:1], lr=learning_rate)",
     "it leaves out 5 of 6 parameters; give it just those that it was given"),
    ("own = torch.nn.Parameter(torch.ones(1)); return torch.optim.SGD([*parameters, own], lr=learning_rate)",
     "it has parameters of others; give it just those that it was given"),
])  # fmt: skip
def test_an_optimizer_that_does_not_fit_is_named(write: Write, body: str, problem: str) -> None:
    path = write(f"import torch\ndef make(parameters, learning_rate):\n    {body}\n") + ":make"
    assert read_failure(write, optimizer=path) == (
        f"optimizer = {path!r}: {problem}; expected is {load.SIGNATURES['optimizer']}"
    )


def test_an_optimizer_of_matrices_beside_one_of_the_rest_will_do(write: Write) -> None:
    source = """
import torch
class Both(torch.optim.Optimizer):
    def __init__(self, parameters, learning_rate):
        super().__init__(parameters, {"lr": learning_rate})
        self.parts = [torch.optim.Muon([weight for weight in parameters if weight.dim() == 2], lr=learning_rate),
                      torch.optim.AdamW([weight for weight in parameters if weight.dim() != 2], lr=learning_rate)]
    def step(self):
        for part in self.parts:
            part.step()
def make(parameters, learning_rate):
    return Both(parameters, learning_rate)
"""
    assert validate_all(write, {"optimizer": f"{write(source)}:make"}).notes == []


def write_optimizer(write: Write, before: str, step: str) -> str:
    source = f"import torch\n{before}\nclass Own(torch.optim.SGD):\n    def step(self):\n        {step}\n"
    return (
        write(source + "def make(parameters, learning_rate):\n    return Own(parameters, lr=learning_rate)\n") + ":make"
    )


def test_what_is_kept_from_one_training_to_the_next_is_noticed(write: Write) -> None:
    step = "COUNT.append(1); [w.data.sub_(len(COUNT) * 1e-3 * w.grad) for group in self.param_groups for w in group['params']]"
    path = write_optimizer(write, "COUNT = []", step)
    assert read_failure(write, optimizer=path) == (
        f"optimizer = {path!r}: two training steps give other numbers the second time; draw all random numbers from torch, and "
        "keep nothing from one call to the next"
    )


def test_training_that_changes_nothing_is_named(write: Write) -> None:
    path = write_optimizer(write, "", "pass")
    message = read_failure(write, optimizer=path)
    assert message == f"optimizer = {path!r}: two training steps change none of the network's weights"


def test_networks_that_know_of_each_other_are_named(write: Write) -> None:
    body = "net = Net(lambda x: x); ALL.add(net); net.change = lambda x: x * len(ALL); return net"
    source = NET.format(body=body).replace("SHARED =", "import weakref\nALL = weakref.WeakSet()\nSHARED =")
    setup = make_setup(model=f"{write(source)}:make")
    with pytest.raises(LrreportError) as error:
        validate.rehearse(setup, data.load_splits(setup, validate.SEEDS), str(write.folder))
    assert str(error.value) == (
        f"model = '{write.name}:make': two training steps give other numbers if another seed's network trains beside; share "
        "nothing between networks"
    )


NORM = "return nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.BatchNorm1d(8), nn.Linear(8, n_outputs))"


def test_every_level_is_tried_with_its_last_batch(write: Write) -> None:
    """A batch size at which the last batch has one example is noticed, though another level comes first."""
    path = f"{write(NET.format(body=NORM))}:make"
    validate_all(write, {"model": path})
    with pytest.raises(LrreportError) as error:
        validate_all(write, {"model": path}, {"model": path, "batch_size": 1969})  # of 1970
    message = str(error.value)
    assert message.startswith(
        f"model = {path!r}: two training steps, on batches of 1969 and 1, raised ValueError: Expected more than 1 value per "
        "channel when training"
    )
    assert message.endswith(
        "; the last batch of an epoch has 1 example: if that is the reason, choose another batch_size"
    )


def test_a_level_without_functions_of_the_users_is_passed_over(write: Write) -> None:
    path = f"{write(NET.format(body=f'return {LINEAR}'))}:make"
    assert validate_all(write, {"model": "mlp"}, {"model": path}) == ({}, "", [])


@pytest.mark.parametrize(("body", "note"), [
    (f"torch.manual_seed(42); return {LINEAR}", "every seed starts from the same weights; only the order of the batches differs"),
    ("return nn.Sequential(nn.Flatten(), nn.Linear(784, n_outputs), nn.Softmax(1))",
     "its outputs add up to 1 like probabilities; cross-entropy takes logits, so leave out the softmax"),
])  # fmt: skip
def test_what_may_be_a_mistake_is_noted(write: Write, body: str, note: str) -> None:
    path = f"{write(NET.format(body=body))}:make"
    assert validate_all(write, {"model": path}).notes == [f"model = {path!r}: {note}"]


def test_a_network_that_takes_numbers_of_words_can_be_trained(write: Write) -> None:
    source = DATA.format(returned="words[:200], labels[:200], words[200:], labels[200:]").replace(
        "    return", "    words = (inputs * 3).long() % 7\n    return"
    )
    source += """
from torch import nn
class Net(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.table, self.last = nn.Embedding(7, 5), nn.LazyLinear(n_outputs)
    def forward(self, words):
        return self.last(self.table(words).mean(1))
def make(shape, n_outputs):
    return Net(n_outputs)
"""
    name = write(source)
    for precision in ("float32", "float64", "bfloat16"):
        settings = {"dataset": f"{name}:load", "model": f"{name}:make", "precision": precision}
        assert validate_all(write, settings).digests


def test_a_network_that_builds_a_table_in_its_first_pass_will_do(write: Write) -> None:
    source = (
        NET.format(body="return Scaled()")
        + """
class Table:
    table = None
    def __call__(self, outputs):
        if self.table is None:
            self.table = torch.linspace(0.5, 1.5, 10)
        return outputs * self.table
class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.table = Net(lambda x: x), Table()
    def forward(self, x):
        return self.table(self.net(x))
"""
    )
    assert validate_all(write, {"model": f"{write(source)}:make"}).notes == []


def test_what_cannot_be_imported_is_named(write: Write) -> None:
    assert read_failure(write, model="nowhere_at_all:make") == (
        f"model = 'nowhere_at_all:make': no module 'nowhere_at_all' in {write.folder}, nor installed; put nowhere_at_all.py there"
    )
    name = write("import no_such_thing\n")
    assert read_failure(write, model=f"{name}:make") == (
        f"model = '{name}:make': importing it failed (ModuleNotFoundError: No module named 'no_such_thing')"
    )


def test_a_function_that_is_not_there_is_named(write: Write) -> None:
    name = write("def build():\n    pass\n")
    assert (
        read_failure(write, model=f"{name}:make")
        == f"model = '{name}:make': {name} has no function 'make'; it has build"
    )


def test_a_module_with_a_wrong_line_is_named(write: Write) -> None:
    assert "importing it failed (SyntaxError: " in read_failure(write, model=f"{write('def (')}:make")


def test_a_module_that_ends_the_process_is_named_with_the_line(write: Write) -> None:
    name = write("import sys\n\nsys.exit(0)\n")
    assert read_failure(write, model=f"{name}:make") == (
        f"model = '{name}:make': importing it failed (SystemExit: 0 at {name}.py line 3)"
    )


@pytest.mark.parametrize("name", ["random", "statistics", "packaging", "sys", "queue"])
def test_a_module_with_the_name_of_an_installed_one_is_named_before_it_is_imported(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("raise SystemExit\n")
    (tmp_path / f"hidden_{name}.py").write_text(f"from {name} import WIDTH\n")
    for path in (f"{name}:make", f"hidden_{name}:make"):
        with pytest.raises(LrreportError) as error:
            load.import_function("model", path, str(tmp_path))
        start = f"model = {path!r}: {tmp_path / name}.py is hidden by another module of that name, "
        assert str(error.value).startswith(start)
        assert str(error.value).endswith("; rename yours")


def test_code_that_ends_the_process_is_named(write: Write) -> None:
    path = f"{write(NET.format(body='raise SystemExit'))}:make"
    assert read_failure(write, model=path).startswith(
        f"model = {path!r}: it raised SystemExit at {write.name}.py line "
    )
    name = write("import os\ndef make(shape, n_outputs):\n    os.kill(os.getpid(), 9)\n")
    with pytest.raises(LrreportError) as error:
        check.check_setups([make_setup(model=f"{name}:make")], str(write.folder))
    assert str(error.value) == f"trying {name}:make ended with SIGKILL"


@pytest.mark.slow
def test_the_process_that_tries_functions_says_what_they_printed(write: Write) -> None:
    source = "import atexit, os\natexit.register(lambda: os.write(1, b'bye\\n'))\n"
    source += NET.format(body=f"print('making'); return {LINEAR}")
    setup = make_setup(model=f"{write(source)}:make")
    assert check.check_setups([setup], str(write.folder)).notes == [
        f"what {write.name}:make printed is left out of the runs: 'making'"
    ]


@pytest.mark.slow
def test_the_process_that_tries_functions_imports_nothing_from_the_working_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    for name in ("random", "papermill", "json", "torch"):
        (tmp_path / "here" / f"{name}.py").write_text("raise SystemExit('imported from the working folder')\n")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PYTHONPATH", ".")
    setup = make_setup(model=f"{write(NET.format(body=f'return {LINEAR}'))}:make")
    assert check.check_setups([setup], str(write.folder)).problem == ""


def test_the_data_of_a_study_and_where_they_are(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRREPORT_DATA", "data")
    digests, prepared = check.find_data([make_setup(dataset="mnist", validation_size=5000)], "")
    assert (len(digests), prepared) == (4, "")
    path = write_data(write, GOOD)
    assert (
        check.find_data([make_setup(dataset=path)], str(write.folder))[0]
        == validate_all(write, {"dataset": path}).digests
    )


@pytest.mark.slow
def test_sets_of_words_have_one_order_in_every_process(write: Write) -> None:
    path = write_data(write, GOOD, ("% 3", "% 3\n    names = list({'cat', 'dog', 'cow', 'hen', 'pig'})"),
                      ("    return", "    inputs = inputs + len(names[0]) * ord(names[0][0]) + ord(names[1][1])\n    return"))  # fmt: skip
    first = check.check_setups([make_setup(dataset=path)], str(write.folder))
    check._check_once.cache_clear()
    assert check.check_setups([make_setup(dataset=path)], str(write.folder)) == first


def test_tensors_of_other_types_and_shapes_have_other_digests() -> None:
    zeros = torch.zeros(2, 3)
    assert len({digest_tensor(tensor) for tensor in (zeros, zeros.reshape(3, 2), zeros.int(), zeros + 1)}) == 4


def test_a_schedule_is_tried_over_all_of_training() -> None:
    steps: list[int] = []
    schedule: Callable[..., float] = lambda step, n_steps, steps_per_epoch: steps.append(step) or 1.0  # type: ignore[func-returns-value]  # noqa: E731
    validate.try_schedule(Own(name="m:f"), schedule, 10, 3)
    assert (steps[0], steps[-1]) == (0, 30)
    assert np.all(np.diff(steps) > 0)
