"""The loop: a plain second route, identities, divergence, early stopping, and bits that ignore the neighbours."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lrreport.errors import LrreportError
from lrreport.study.settings import Training
from lrreport.training import build, data, loop, networks
from lrreport.training.scores import list_quantities

NETS = """
import torch
from torch import nn
def make_cnn(shape, n_outputs):
    channels, height, width = shape
    return nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Dropout(0.1),
                         nn.Linear(3 * (height // 4) * (width // 4), n_outputs))
def make_odd(shape, n_outputs):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(37), nn.BatchNorm1d(37), nn.GELU(), nn.Linear(37, n_outputs))
def load():
    g = torch.Generator().manual_seed(0)
    inputs = torch.randn(400, 5, generator=g)
    targets = inputs @ torch.tensor([1.0, 2, 3, 4, 5]) + 10 + 0.1 * torch.randn(400, generator=g)
    return inputs[:300], targets[:300], inputs[300:], targets[300:]
def lasso(outputs, targets, power=1.0):
    return (outputs - targets).abs().pow(power).sum(1)
class Lazy(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.last, self.table = nn.Linear(784, n_outputs), None
    def forward(self, inputs):
        inputs = inputs.flatten(1)
        outputs = self.last(inputs)
        if self.table is None:
            self.table = torch.linspace(0.5, 1.5, outputs.shape[1])
        return outputs * self.table
def make_lazy(shape, n_outputs):
    return Lazy(n_outputs)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("own")
    (folder / "loop_nets.py").write_text(NETS)
    return str(folder)


def fit(training: Training, *seeds: int, folder: str = "") -> list[loop.Fit]:
    return loop.fit_seeds(training, data.load_splits(training, seeds or (0,), folder), code_folder=folder)


def copy_network(stack: networks.Networks, index: int) -> nn.Sequential:
    """Return a network of the stack as PyTorch's own layers."""
    layers: list[nn.Module] = [nn.Flatten()]
    for layer in list(stack.body.children())[1:]:
        if isinstance(layer, networks.ParallelLinear):
            n_in, n_out = layer.sizes
            plain = nn.Linear(n_in, n_out)
            with torch.no_grad():
                plain.weight.copy_(layer.weight[index, :n_in, :n_out].T)
                plain.bias.copy_(layer.bias[index, 0, :n_out])
            layers.append(plain)
        else:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


@pytest.mark.parametrize("seeds", [(0,), (3, 0)])
@pytest.mark.parametrize("settings", [{}, {"model": {"name": "mlp", "hidden_sizes": [19]}, "batch_size": 50}])
def test_a_fit_equals_a_plain_loop(make_training, seeds: tuple[int, ...], settings: dict[str, Any]) -> None:  # type: ignore[no-untyped-def]
    """The same training of one network, with PyTorch's layers and loss, written with nothing of ours but the seeds."""
    training = make_training(**settings)
    result = fit(training, *seeds)[-1]
    splits = data.load_splits(training, (0,))
    torch.set_num_threads(1)
    weights, order, _ = loop.make_generators(0)
    network = copy_network(build.start_networks(training, splits, [weights]), 0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    learnt, held_out = (splits.train.take(index[0]) for index in (splits.train_index, splits.validation_index))
    losses = []
    for _ in range(2):
        for batch in torch.randperm(1500, generator=order).split(training.batch_size):
            loss = cross_entropy(network(learnt.inputs[batch]), learnt.targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert result.seed == 0
    assert result.step_losses.numpy() == pytest.approx(np.array(losses), rel=1e-4)
    assert len(losses) == 2 * math.ceil(1500 / training.batch_size)
    with torch.no_grad():
        for split, name in ((splits.test, "test"), (held_out, "val")):
            accuracy = float((network(split.inputs).argmax(1) == split.targets).double().mean())
            assert result.final[f"{name}_accuracy"] == pytest.approx(accuracy, abs=0.003)


SAME_BITS: dict[str, dict[str, Any]] = {
    "default": {},
    "shared split": {"split_seed": 0, "validation_size": 498},
    "all for training": {"validation_size": 0},
    "odd sizes": {"model": {"name": "mlp", "hidden_sizes": [37, 5], "activation": "gelu"}, "batch_size": 33},
    "one hidden": {"model": {"name": "mlp", "hidden_sizes": [1]}},
    "no hidden": {"model": {"name": "mlp", "hidden_sizes": []}, "optimizer": {"name": "sgd", "momentum": 0.9}},
    "dropout": {"model": {"name": "mlp", "dropout": 0.3, "hidden_sizes": [20]}, "schedule": "one_cycle"},
    "few rows": {"model": {"name": "mlp", "hidden_sizes": [24, 8], "activation": "silu"}, "batch_size": 3, "epochs": 1},
    "clipped": {"clip_norm": 0.5, "epochs": 3},
    "another optimizer": {"optimizer": "rmsprop", "model": {"name": "mlp", "hidden_sizes": [37, 5]}},
    "float64": {"precision": "float64", "model": {"name": "mlp", "hidden_sizes": [37]}},
    "bfloat16": {"precision": "bfloat16", "model": {"name": "mlp", "hidden_sizes": [37]}},
    "cnn": {"model": "loop_nets:make_cnn", "batch_size": 37, "clip_norm": 1.0, "epochs": 1},
    "lazy": {"model": "loop_nets:make_odd", "batch_size": 37},
    "regression": {"dataset": "loop_nets:load", "validation_size": 50, "loss": "mse", "batch_size": 17},
    "stopped": {"epochs": 8, "learning_rate": 0.03, "early_stopping": {"patience": 1}},
}


@pytest.mark.parametrize("name", SAME_BITS)
def test_a_seeds_numbers_are_the_same_to_the_bit_whatever_its_neighbours(make_training, folder: str, name: str) -> None:  # type: ignore[no-untyped-def]
    training = make_training(**SAME_BITS[name])
    [alone] = fit(training, 0, folder=folder)
    for seeds in ((1, 0), (0, 1, 2, 3, 4)):
        among = fit(training, *seeds, folder=folder)[seeds.index(0)]
        assert torch.equal(among.step_losses, alone.step_losses)
        assert among.test_outputs is not None
        assert alone.test_outputs is not None
        assert torch.equal(among.test_outputs, alone.test_outputs)
        assert (among.history, among.final, among.best, among.best_epoch, among.reason) == (
            alone.history, alone.final, alone.best, alone.best_epoch, alone.reason,
        )  # fmt: skip


def test_running_means_weigh_each_example_once(make_training) -> None:  # type: ignore[no-untyped-def]
    [result] = fit(make_training())
    sizes = [64] * 23 + [1500 - 23 * 64]
    first = result.step_losses[:24].double().numpy()
    assert result.history[1]["train_loss"] == pytest.approx(float(np.dot(first, sizes) / 1500))


def test_row_0_is_the_untrained_network(make_training) -> None:  # type: ignore[no-untyped-def]
    [fast], [slow] = (fit(make_training(learning_rate=rate)) for rate in (0.01, 0.0001))
    assert fast.history[0] == slow.history[0]
    assert fast.history[0]["val_loss"] == pytest.approx(math.log(10), abs=0.05)
    assert float(fast.step_losses[0]) == float(slow.step_losses[0])


def test_what_is_measured_of_classes_and_of_numbers(make_training, folder: str) -> None:  # type: ignore[no-untyped-def]
    [result] = fit(make_training())
    classes, values = map(list_quantities, (torch.zeros(1, dtype=torch.long), torch.zeros(1)))
    assert {"loss", "accuracy", "balanced_accuracy", "f1"} <= {*classes}
    assert {"loss", "rmse", "mae", "r2"} <= {*values}
    assert list(result.history[0]) == ["train_loss", "train_accuracy", *(f"val_{name}" for name in classes)]
    assert set(result.final) == {
        *result.history[0],
        *(f"{split}_{name}" for split in ("final_train", "test") for name in classes),
    }
    [result] = fit(make_training(**SAME_BITS["regression"]), folder=folder)
    assert list(result.history[0]) == ["train_loss", *(f"val_{name}" for name in values)]
    assert set(result.final) == {
        *result.history[0],
        *(f"{split}_{name}" for split in ("final_train", "test") for name in values),
    }
    [result] = fit(make_training(validation_size=0))
    assert not [name for name in result.final if name.startswith("val_")]


def test_settings_of_torch_are_given_back(make_training) -> None:  # type: ignore[no-untyped-def]
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fit(make_training())
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_a_loss_that_is_not_finite_ends_the_fit(make_training) -> None:  # type: ignore[no-untyped-def]
    [result] = fit(make_training(learning_rate=1e30))
    assert (result.status, result.reason) == ("diverged", "a value was not finite in epoch 1")
    assert (result.final, result.test_outputs, len(result.history)) == ({}, None, 1)
    assert result.step_losses.isfinite().all()
    assert 0 < len(result.step_losses) < 24


def test_a_network_that_diverges_leaves_its_neighbours_alone(make_training, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    [healthy] = fit(make_training(), 0)
    start = build.start_networks

    def start_broken(*arguments: Any) -> networks.Networks:
        stack = start(*arguments)
        scale = torch.tensor([math.inf, 1.0])[:, None, None]
        stack.register_forward_hook(lambda module, _, outputs: outputs * scale if module.training else None)
        return stack

    monkeypatch.setattr(loop, "start_networks", start_broken)
    broken, neighbour = fit(make_training(), 1, 0)
    assert broken.status == "diverged"
    assert neighbour.status == "completed"
    assert torch.equal(neighbour.step_losses, healthy.step_losses)
    assert neighbour.final == healthy.final


def test_a_network_whose_first_loss_is_not_finite_is_refused(make_training, splits: data.Splits) -> None:  # type: ignore[no-untyped-def]
    broken = data.Splits(
        data.Split(splits.train.inputs * math.inf, splits.train.targets),
        *(
            getattr(splits, name)
            for name in ("test", "class_names", "seeds", "train_index", "validation_index", "is_shared")
        ),
    )
    with pytest.raises(LrreportError) as error:
        loop.fit_seeds(make_training(), broken)
    assert str(error.value) == "the loss of the untrained network is not finite: check its outputs, loss and data"


STOPPING = {"epochs": 8, "learning_rate": 0.03, "early_stopping": {"metric": "val_accuracy", "patience": 2}}


def test_early_stopping_ends_each_seed_by_its_own_metric(make_training) -> None:  # type: ignore[no-untyped-def]
    training = make_training(**STOPPING)
    stopped = fit(training, 0, 1, 2)
    full = fit(training.model_copy(update={"early_stopping": None}), 0, 1, 2)
    for result, whole in zip(stopped, full, strict=True):
        assert result.history == whole.history[: result.n_epochs + 1]  # the same training, ended earlier
        values = [row["val_accuracy"] for row in whole.history[1:]]
        ends = [n for n in range(3, 9) if max(values[: n - 2]) >= max(values[n - 2 : n])]
        assert result.n_epochs == (ends[0] if ends else 8)
        assert result.best_epoch == 1 + int(np.argmax(values[: result.n_epochs]))
        assert len(result.step_losses) == 24 * result.n_epochs
    assert min(result.n_epochs for result in stopped) < max(result.n_epochs for result in stopped)
    first = min(stopped, key=lambda result: result.n_epochs)
    assert first.reason == f"stopped after epoch {first.n_epochs}: val_accuracy had not improved for 2 epochs"


def test_a_stopped_seed_is_scored_as_after_its_last_and_its_best_epoch(make_training) -> None:  # type: ignore[no-untyped-def]
    for result in fit(make_training(**STOPPING), 0, 1):
        for epoch, values in ((result.n_epochs, result.final), (result.best_epoch, result.best)):
            [short] = fit(make_training(learning_rate=0.03, epochs=epoch), result.seed)
            wanted = {name: value for name, value in short.final.items() if name in values}
            assert values == wanted
        assert set(result.best) == {name for name in result.final if name.startswith(("final_train_", "test_"))}


def test_early_stopping_on_a_metric_that_is_not_measured_is_refused(make_training) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LrreportError) as error:
        fit(make_training(early_stopping={"metric": "val_rmse"}))
    assert str(error.value) == (
        "early_stopping.metric = 'val_rmse': not measured here; give one of "
        + ", ".join(f"val_{name}" for name in list_quantities(torch.tensor([0])))
    )


def test_regression_reaches_the_least_squares_solution(make_training, folder: str) -> None:  # type: ignore[no-untyped-def]
    """A linear network with full batches converges to what numpy solves in closed form."""
    training = make_training(
        dataset="loop_nets:load", validation_size=50, loss="mse", model={"name": "mlp", "hidden_sizes": []},
        optimizer="sgd", learning_rate=0.2, batch_size=250, epochs=300,
    )  # fmt: skip
    splits = data.load_splits(training, (0,), folder)
    [result] = loop.fit_seeds(training, splits, code_folder=folder)
    learnt = splits.train.take(splits.train_index[0])
    design = np.column_stack([learnt.inputs.numpy(), np.ones(len(learnt))]).astype(np.float64)
    solution, *_ = np.linalg.lstsq(design, learnt.targets.numpy()[:, 0], rcond=None)
    predictions = np.column_stack([splits.test.inputs.numpy(), np.ones(len(splits.test))]) @ solution
    rmse = float(np.sqrt(np.mean((predictions - splits.test.targets.numpy()[:, 0]) ** 2)))
    assert result.final["test_rmse"] == pytest.approx(rmse, rel=1e-3)
    assert result.final["test_r2"] > 0.99


def test_a_loss_of_the_users_with_options_scores_too(make_training, folder: str) -> None:  # type: ignore[no-untyped-def]
    settings = {"dataset": "loop_nets:load", "validation_size": 50, "epochs": 1}
    own = {"loss": {"name": "loop_nets:lasso", "power": 2.0}}
    for result, plain in zip(fit(make_training(**settings, **own), 0, 1, folder=folder),
                             fit(make_training(**settings, loss="mse"), 0, 1, folder=folder), strict=True):  # fmt: skip
        assert result.final["test_loss"] == pytest.approx(plain.final["test_loss"], rel=1e-4)


@pytest.mark.parametrize(("settings", "message"), [
    ({"loss": "mse"}, "loss = 'mse': the targets of sample are class labels; set loss = \"cross_entropy\""),
    ({"dataset": "loop_nets:load", "validation_size": 50},
     "loss = 'cross_entropy': the targets of loop_nets:load are numbers; set loss = \"mse\" or \"l1\""),
])  # fmt: skip
def test_a_loss_for_other_targets_is_refused(
    make_training, folder: str, settings: dict[str, Any], message: str
) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LrreportError) as error:
        fit(make_training(**settings), folder=folder)
    assert str(error.value) == message


def test_a_network_that_builds_a_table_in_its_first_pass_can_be_trained(make_training, folder: str) -> None:  # type: ignore[no-untyped-def]
    [result] = fit(make_training(model="loop_nets:make_lazy"), folder=folder)
    assert result.status == "completed"
    assert result.final["val_accuracy"] > 0.5


def test_a_loss_sees_one_network_at_a_time(make_training, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """What an example costs may depend on its batch, but not on the networks that train beside."""
    (tmp_path / "batch_loss.py").write_text(
        "def loss(outputs, labels):\n    return outputs.sum(1) / outputs.abs().max()\n"
    )
    labels = torch.zeros(3, 5, dtype=torch.long)
    loss, _ = build.choose_losses(make_training(loss="batch_loss:loss"), labels, str(tmp_path))
    outputs = torch.randn(3, 5, 2)
    for together, alone in zip(loss(outputs, labels), outputs, strict=True):
        assert torch.equal(together, loss(alone[None], labels[:1])[0])
