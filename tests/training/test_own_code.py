"""A user's own functions: what each may give, and one line for each way in which it does not do."""

from pathlib import Path

import pytest
import torch

from lrreport import LrreportError
from lrreport.provenance import digest_own_code
from lrreport.study import Fixed
from lrreport.training import check, own_code

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

    def try_code(self, **settings: object) -> check.Check:
        return check.try_code(
            Fixed.model_validate({"dataset": "sample", "validation_size": 30, **settings}), str(self.folder)
        )


def fail(write: Writer, **settings: object) -> str:
    with pytest.raises(LrreportError) as error:
        write.try_code(**settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_data_of_ones_own_is_loaded_and_digested(write: Writer) -> None:
    path = f"{write(DATA.format(returned=GOOD))}:load"
    found = write.try_code(dataset=path)
    assert set(found.digests) == {"train inputs", "train labels", "test inputs", "test labels"}
    assert found == write.try_code(dataset=path)


@pytest.mark.parametrize(("returned", "problem"), [
    ("inputs, labels", "it gives a tuple of 2"),
    ("None", "it gives a NoneType"),
    ("inputs.numpy(), labels, inputs, labels", "its train inputs are a ndarray, not a torch.Tensor"),
    ("inputs.double(), labels, inputs, labels", "its train inputs are torch.float64; make them torch.float32"),
    ("inputs, labels.int(), inputs, labels", "its train labels are torch.int32 (300,); make them torch.int64 (n,)"),
    ("inputs, labels[:, None], inputs, labels", "its train labels are torch.int64 (300, 1); make them torch.int64 (n,)"),
    ("inputs[:9], labels, inputs, labels", "its train inputs (9, 4) and labels (300,) do not go together; make them (n, …) and (n,), n above 0"),
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


def test_what_it_prints_goes_nowhere(write: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    source = DATA.format(returned=GOOD).replace("def load():", "print('importing')\ndef load():\n    print('loading')")
    write.try_code(dataset=f"{write(source)}:load")
    assert capsys.readouterr().out == ""


NET = "from torch import nn\nimport torch\ndef make(shape, n_classes):\n    {body}\n"
EXPECTED = "; expected is make(input_shape, n_classes) -> torch.nn.Module"


@pytest.mark.parametrize(("body", "problem"), [
    ("return 3", "it gives an int"),
    ("return nn.Flatten()", "the network has no weights to train"),
    ("return nn.Sequential(nn.Flatten(), nn.Linear(784, 7))",
     "for inputs (3, 1, 28, 28) its logits must be floating point (3, 10), not torch.float32 (3, 7)"),
    ("import os; m = nn.Linear(2, 2); m.bias.data[0] = int.from_bytes(os.urandom(2)); return m",
     "made twice with one seed it has other weights; let all random numbers come from torch"),
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
])  # fmt: skip
def test_a_loss_that_does_not_do_is_named(write: Writer, body: str, problem: str) -> None:
    path = write(f"from torch import nn\ndef loss(logits, labels):\n    {body}\n") + ":loss"
    assert fail(write, loss=path) == f"loss = {path!r}: {problem}; expected is {own_code.SIGNATURES['loss']}"


@pytest.mark.parametrize(("body", "problem"), [
    ("return None", "it gives a NoneType"),
    ("return torch.optim.SGD(parameters, lr=1)", "its groups do not have the learning rate that it was given"),
])  # fmt: skip
def test_an_optimizer_that_does_not_do_is_named(write: Writer, body: str, problem: str) -> None:
    path = write(f"import torch\ndef make(parameters, learning_rate):\n    {body}\n") + ":make"
    assert (
        fail(write, optimizer=path)
        == f"optimizer = {path!r}: {problem}; expected is {own_code.SIGNATURES['optimizer']}"
    )


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
        return torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(shape[0], n_classes))

    def run(*seeds: int) -> torch.Tensor:
        weights, _, noise = zip(*map(make_generators, seeds), strict=True)
        networks = make_own(make, (6,), 2, weights, noise)
        inputs = torch.ones(len(seeds), 5, 6)
        return torch.stack([networks(inputs) for _ in range(3)])[:, -1].detach()

    assert torch.equal(run(1), run(0, 1))
    assert not torch.equal(run(0), run(1))
