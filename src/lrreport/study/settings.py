"""The settings of the built-in training loop, nested where they depend on each other."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lrreport.study.frozen import FrozenModel

TRAINING_IMAGES = {
    "fashion_mnist": 60_000, "mnist": 60_000, "kmnist": 60_000, "qmnist": 60_000, "cifar10": 50_000, "sample": 2_000,
}  # fmt: skip
DATASETS = tuple(TRAINING_IMAGES)
IMPORT_PATH = re.compile(r"^(?!.*\.py:)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")

# Strict, since pydantic would otherwise read true as 1 and "5" as 5. The description is the remedy in an error message.
Positive = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
BelowOne = Annotated[float, Strict(), Field(ge=0, lt=1)]
Share = Annotated[float, Strict(), Field(gt=0, le=1)]


def suggest(name: str, names: Iterable[str]) -> str:
    """Return " (did you mean …?)" for the closest of `names`, ignoring case and punctuation, or an empty string."""
    plain = {re.sub(r"[^a-z0-9]", "", known.lower()): known for known in names}
    close = difflib.get_close_matches(re.sub(r"[^a-z0-9]", "", name.lower()), plain, n=1)
    return f" (did you mean {plain[close[0]]!r}?)" if close else ""


def list_choices(names: Sequence[str]) -> str:
    """Return names as alternatives in a sentence: '"adam", "adamw" or "sgd"'."""
    quoted = [f'"{name}"' for name in names]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}" if len(quoted) > 1 else quoted[0]


def check_name(name: str, kind: str, names: Sequence[str]) -> str:
    """Return a name that is built in or an import path; raise ValueError for any other."""
    if name not in names and not IMPORT_PATH.match(name):
        if ":" in name or "/" in name:
            raise ValueError("not of the form module:function, with a dot between package and module, and without .py")
        raise ValueError(f"there is no such {kind}{suggest(name, names)}")
    return name


class Own(FrozenModel):
    """A function of the user, by import path; its other keys are passed to it as keyword arguments."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(max_length=200)]

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments."""
        return dict(self.model_extra or {})


class MLP(FrozenModel):
    """A multilayer perceptron."""

    name: Literal["mlp"] = "mlp"
    hidden_sizes: tuple[Count, ...] = Field(
        default=(128, 64), description="give the widths of the hidden layers, such as [128, 64]"
    )
    activation: Literal["relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid"] = Field(
        default="relu", description='give "relu", "leaky_relu", "gelu", "silu", "tanh" or "sigmoid"'
    )
    dropout: BelowOne = Field(default=0.0, description="give the share of hidden values to drop, such as 0.2")


class CrossEntropy(FrozenModel):
    """Cross-entropy of class labels, in nats."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: BelowOne = Field(default=0.0, description="give a number from 0 to below 1, such as 0.1")


class SquaredError(FrozenModel):
    """Mean squared error of float targets."""

    name: Literal["mse"] = "mse"


class AbsoluteError(FrozenModel):
    """Mean absolute error of float targets."""

    name: Literal["l1"] = "l1"


class _Optimizer(FrozenModel):
    weight_decay: NonNegative | None = Field(default=None, description="give a number from 0 on, such as 0.01")

    @property
    def arguments(self) -> dict[str, Any]:
        """The options that are set, as keyword arguments of torch's optimizer; the others have torch's defaults."""
        return self.model_dump(exclude={"name"}, exclude_none=True)


class Adam(_Optimizer):
    """Adam (Kingma and Ba, 2015)."""

    name: Literal["adam"] = "adam"
    betas: tuple[BelowOne, BelowOne] | None = Field(default=None, description="give two numbers, such as [0.9, 0.999]")
    eps: Positive | None = Field(default=None, description="give a positive number, such as 1e-8")


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    name: Literal["adamw"] = "adamw"  # type: ignore[assignment]


class SGD(_Optimizer):
    """Stochastic gradient descent."""

    name: Literal["sgd"] = "sgd"
    momentum: BelowOne | None = Field(default=None, description="give a number from 0 to below 1, such as 0.9")
    nesterov: Annotated[bool, Strict()] | None = Field(default=None, description="give true or false")

    @model_validator(mode="after")
    def _has_momentum_for_nesterov(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: it needs a momentum above 0, such as momentum = 0.9")
        return self


class RMSprop(_Optimizer):
    """RMSprop (Tieleman and Hinton, 2012)."""

    name: Literal["rmsprop"] = "rmsprop"
    alpha: BelowOne | None = Field(default=None, description="give a number from 0 to below 1, such as 0.99")
    eps: Positive | None = Field(default=None, description="give a positive number, such as 1e-8")
    momentum: BelowOne | None = Field(default=None, description="give a number from 0 to below 1, such as 0.9")


class Constant(FrozenModel):
    """The learning rate stays as it is."""

    name: Literal["constant"] = "constant"


class Cosine(FrozenModel):
    """The rate falls to 0 along half a cosine, after an optional linear warm-up."""

    name: Literal["cosine"] = "cosine"
    warmup_epochs: NonNegative = Field(default=0.0, description="give a number of epochs from 0 on, such as 1")


class OneCycle(FrozenModel):
    """The rate rises over the first 30 % of the steps, then falls far below where it began."""

    name: Literal["one_cycle"] = "one_cycle"


class Step(FrozenModel):
    """The rate falls by a factor every `epochs` epochs, by default after each third of training."""

    name: Literal["step"] = "step"
    epochs: Count | None = Field(default=None, description="give after how many epochs the rate falls, such as 10")
    gamma: Share = Field(default=0.1, description="give the factor by which it falls, such as 0.1")


class LinearWarmup(FrozenModel):
    """The rate rises from near 0 and then stays."""

    name: Literal["linear_warmup"] = "linear_warmup"
    epochs: Positive = Field(default=1.0, description="give a positive number of epochs, such as 1")


class EarlyStopping(FrozenModel):
    """Training ends once a metric has not improved for `patience` epochs."""

    metric: str = Field(default="val_loss", description='give a metric on validation, such as "val_loss"')
    patience: Count = Field(default=3, description="give a number of epochs, such as 3")


def _by_name(kind: str, *models: type[FrozenModel]) -> Any:
    """Return the discriminated union, by `name`, of these models and a function of the user.

    A plain string is read as the name.
    """
    names = [str(model.model_fields["name"].default) for model in models]

    def read_text(value: Any) -> Any:
        value = {"name": value} if isinstance(value, str) else value
        if isinstance(value, dict):
            if not isinstance(value.get("name"), str):
                raise ValueError('name is missing; add name = "…"')
            check_name(value["name"], kind, names)
        elif not isinstance(value, FrozenModel):
            raise ValueError("it should be a text or a table")
        return value

    def find_tag(value: Any) -> str:
        name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
        return str(name) if name in names else "own"

    union: Any = Annotated[Own, Tag("own")]
    for model, name in zip(models, names, strict=True):
        union = union | Annotated[model, Tag(name)]
    return Annotated[union, Discriminator(find_tag), BeforeValidator(read_text)]


OPTIMIZERS: dict[str, type[_Optimizer]] = {"adam": Adam, "adamw": AdamW, "sgd": SGD, "rmsprop": RMSprop}
MODELS: dict[str, type[FrozenModel]] = {"mlp": MLP}
LOSSES: dict[str, type[FrozenModel]] = {"cross_entropy": CrossEntropy, "mse": SquaredError, "l1": AbsoluteError}
SCHEDULES: dict[str, type[FrozenModel]] = {
    "constant": Constant, "cosine": Cosine, "one_cycle": OneCycle, "step": Step, "linear_warmup": LinearWarmup,
}  # fmt: skip
NAMED: dict[str, Mapping[str, type[FrozenModel]]] = {
    "model": MODELS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}


def _describe(names: Iterable[str]) -> str:
    return f'give {list_choices(list(names))}, or your own as "module:function"'


def _check_dataset(name: Any) -> Any:
    return check_name(name, "dataset", DATASETS) if isinstance(name, str) else name


Dataset = Annotated[str, Field(max_length=200), AfterValidator(_check_dataset)]


if TYPE_CHECKING:
    ModelSetting: TypeAlias = Any
    LossSetting: TypeAlias = Any
    OptimizerSetting: TypeAlias = Any
    ScheduleSetting: TypeAlias = Any
else:
    ModelSetting, LossSetting = _by_name("model", *MODELS.values()), _by_name("loss", *LOSSES.values())
    OptimizerSetting = _by_name("optimizer", *OPTIMIZERS.values())
    ScheduleSetting = _by_name("schedule", *SCHEDULES.values())


class Setup(FrozenModel):
    """The data, the network and its optimization: the settings shared by range tests and training runs."""

    dataset: Dataset = Field(default="fashion_mnist", description=_describe(DATASETS))
    model: ModelSetting = Field(default=MLP(), description=_describe(MODELS))
    loss: LossSetting = Field(default=CrossEntropy(), description=_describe(LOSSES))
    optimizer: OptimizerSetting = Field(default=Adam(), description=_describe(OPTIMIZERS))
    batch_size: Count = Field(default=64, description="give a whole number from 1 on, such as 64")
    clip_norm: Positive | None = Field(default=None, description="give the largest norm of a gradient, such as 1.0")
    precision: Literal["float32", "bfloat16", "float64"] = Field(
        default="float32", description='give "float32", "bfloat16" or "float64"'
    )
    input_range: tuple[float, float] = Field(
        default=(-1.0, 1.0), description="give the range to which pixels are scaled, such as [0, 1]"
    )
    validation_size: Annotated[int, Strict(), Field(ge=0, le=1_000_000)] = Field(
        default=5000,
        description='give how many training examples to hold out, such as 5000; validation = "none" holds out none',
    )
    split_seed: Literal["per seed"] | Seed = Field(
        default="per seed", description='give "per seed", or a whole number from 0 on for a fixed split'
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description='give "auto", "cpu" or "cuda"')

    @model_validator(mode="before")
    @classmethod
    def _read_no_validation(cls, settings: Any) -> Any:
        """Read validation = "none" as validation_size = 0."""
        if not isinstance(settings, Mapping) or "validation" not in settings:
            return settings
        if settings["validation"] != "none":
            raise ValueError('validation: give "none", or how many examples to hold out as validation_size')
        if settings.get("validation_size"):
            raise ValueError('validation: "none" holds out nothing; leave validation_size out')
        return {**{name: value for name, value in settings.items() if name != "validation"}, "validation_size": 0}

    @field_validator("input_range")
    @classmethod
    def _ascends(cls, limits: tuple[float, float]) -> tuple[float, float]:
        if not limits[0] < limits[1]:
            raise ValueError("the first must be below the second")
        return limits

    @field_validator("validation_size")
    @classmethod
    def _can_be_held_out(cls, size: int, info: ValidationInfo) -> int:
        dataset = info.data.get("dataset", "")
        if size and dataset in TRAINING_IMAGES and not 10 <= size <= TRAINING_IMAGES[dataset] - 10:
            raise ValueError(
                f"{dataset} has {TRAINING_IMAGES[dataset]} images in ten classes, so there can be 10 to "
                f"{TRAINING_IMAGES[dataset] - 10}"
            )
        return size

    def import_paths(self) -> dict[str, str]:
        """Return the settings that are functions of the user, with their import paths."""
        named = {
            name: getattr(self, name) for name in ("model", "loss", "optimizer", "schedule") if hasattr(self, name)
        }
        paths = {name: setting.name for name, setting in named.items() if isinstance(setting, Own)}
        return ({"dataset": self.dataset} if IMPORT_PATH.match(self.dataset) else {}) | paths


class Training(Setup):
    """Everything that decides a training run except its seed."""

    learning_rate: Positive = Field(default=0.001, description="give a positive number, such as 0.001")
    schedule: ScheduleSetting = Field(default=Constant(), description=_describe(SCHEDULES))
    epochs: Count = Field(default=5, description="give a whole number from 1 on, such as 5")
    early_stopping: EarlyStopping | None = Field(
        default=None, description='give a table such as { metric = "val_loss", patience = 3 }'
    )

    @model_validator(mode="after")
    def _fits_its_length(self) -> Self:
        if isinstance(self.schedule, Step) and (self.schedule.epochs or 0) >= self.epochs:
            raise ValueError(f"schedule.epochs: training ends after {self.epochs}, so the rate would never fall")
        warmup = getattr(self.schedule, "warmup_epochs", None)
        if isinstance(self.schedule, LinearWarmup):
            warmup = self.schedule.epochs if "epochs" in self.schedule.model_fields_set else None
        if warmup is not None and warmup > self.epochs:
            raise ValueError(f"schedule: training ends after {self.epochs}, before the warm-up does; make that shorter")
        if self.early_stopping and not self.validation_size:
            raise ValueError("early_stopping: without validation examples nothing says when to stop; leave it out")
        return self


class RangeTest(FrozenModel):
    """The range of rates and the number of training steps of a range test."""

    lowest: Positive = Field(default=1e-7, description="give a positive number, such as 1e-7")
    highest: Positive = Field(default=10.0, description="give a number above the lowest rate, such as 10.0")
    steps: Annotated[int, Strict(), Field(ge=50, le=100_000)] = Field(
        default=500, description="give a whole number from 50 on, such as 500"
    )

    @field_validator("highest")
    @classmethod
    def _is_above_the_lowest(cls, highest: float, info: ValidationInfo) -> float:
        if highest <= info.data.get("lowest", 0.0):
            raise ValueError("it must be above the lowest rate")
        return highest


class RangeSetup(Setup, RangeTest):
    """Everything that decides a range test except its seeds."""
