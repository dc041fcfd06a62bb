"""Every setting of a run: what it is called, what it may be, and where it has its place."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)

TRAINING_IMAGES = {
    "fashion_mnist": 60_000, "mnist": 60_000, "kmnist": 60_000, "qmnist": 60_000, "cifar10": 50_000, "sample": 2_000,
}  # fmt: skip
DATASETS, MODELS, LOSSES = tuple(TRAINING_IMAGES), ("mlp",), ("cross_entropy",)
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
CHOICES = {"dataset": DATASETS, "model": MODELS, "loss": LOSSES, "optimizer": OPTIMIZERS}
IMPORT_PATH = re.compile(r"^(?!.*\.py:)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")
OPTIONS = {  # setting -> the setting it belongs to, and for which of its values
    "hidden_sizes": ("model", MODELS),
    "activation": ("model", MODELS),
    "dropout": ("model", MODELS),
    "label_smoothing": ("loss", LOSSES),
    "momentum": ("optimizer", ("sgd", "rmsprop")),
    "nesterov": ("optimizer", ("sgd",)),
    "betas": ("optimizer", ("adam", "adamw")),
    "alpha": ("optimizer", ("rmsprop",)),
    "eps": ("optimizer", ("adam", "adamw", "rmsprop")),
    "weight_decay": ("optimizer", OPTIMIZERS),
    "step_epochs": ("schedule", ("step",)),
    "gamma": ("schedule", ("step",)),
    "warmup_epochs": ("schedule", ("linear_warmup",)),
}
MOST_LEVELS = 12  # of a second axis: more would make a report that nobody reads
T = TypeVar("T")


def without_duplicates(values: tuple[T, ...]) -> tuple[T, ...]:
    """Return values of which none may appear twice; for pydantic."""
    repeated = next((value for place, value in enumerate(values) if value in values[:place]), None)
    if repeated is not None:
        raise ValueError(f"{list(repeated) if isinstance(repeated, tuple) else repeated!r} appears twice")
    return values


# Strict, since pydantic would otherwise read true as 1 and "5" as 5. The description is the remedy in an error message.
Rate = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
Below1 = Annotated[float, Strict(), Field(ge=0, lt=1)]
Share = Annotated[float, Strict(), Field(gt=0, le=1)]
Loss = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]


def _is_known(name: str, info: ValidationInfo) -> str:
    names = CHOICES[info.field_name or ""]
    if name not in names and not IMPORT_PATH.match(name):
        if ":" in name or "/" in name:
            raise ValueError(
                "not of the form module:function, with a dot between a package and its module, and without .py"
            )
        raise ValueError(f"there is no such {info.field_name}{suggest(name, names)}")
    return name


def suggest(name: str, names: Iterable[str]) -> str:
    """Return " (did you mean …?)" for the name that is meant, however it is spelt, or nothing."""
    plain = {re.sub(r"[^a-z0-9]", "", one.lower()): one for one in names}
    close = difflib.get_close_matches(re.sub(r"[^a-z0-9]", "", name.lower()), plain, n=1)
    return f" (did you mean {plain[close[0]]!r}?)" if close else ""


Choice = Annotated[str, Field(max_length=200), AfterValidator(_is_known)]


def _list_choices(names: Sequence[str]) -> str:
    quoted = [f'"{name}"' for name in names]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}" if len(quoted) > 1 else quoted[0]


def describe_choice(names: Sequence[str]) -> str:
    """Return the remedy for a setting that is one of these names or an import path."""
    return f'give {_list_choices(names)}, or your own as "module:function"'


class Settings(BaseModel):
    """Settings that never change once read; a key that is not one of theirs is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Setup(Settings):
    """The data, the network and how it is optimised, whatever it is trained for.

    A setting that is left out, and that belongs to another choice than the one made, is None.
    """

    dataset: Choice = Field(default="fashion_mnist", description=describe_choice(DATASETS))
    model: Choice = Field(default="mlp", description=describe_choice(MODELS))
    hidden_sizes: tuple[Count, ...] = Field(
        default=(128, 64), description="give the widths of the hidden layers, such as [128, 64]"
    )
    activation: Literal["relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid"] = Field(
        default="relu", description='give "relu", "leaky_relu", "gelu", "silu", "tanh" or "sigmoid"'
    )
    dropout: Below1 = Field(default=0.0, description="give the share of hidden values to drop, such as 0.2")
    loss: Choice = Field(default="cross_entropy", description=describe_choice(LOSSES))
    label_smoothing: Below1 = Field(default=0.0, description="give a number from 0 to below 1, such as 0.1")
    optimizer: Choice = Field(default="adam", description=describe_choice(OPTIMIZERS))
    momentum: Below1 | None = Field(default=None, description="give a number from 0 to below 1, such as 0.9")
    nesterov: Annotated[bool, Strict()] | None = Field(default=None, description="give true or false")
    betas: tuple[Below1, Below1] | None = Field(default=None, description="give two numbers, such as [0.9, 0.999]")
    alpha: Below1 | None = Field(default=None, description="give a number from 0 to below 1, such as 0.99")
    eps: Rate | None = Field(default=None, description="give a positive number, such as 1e-8")
    weight_decay: Loss | None = Field(default=None, description="give a number from 0 on, such as 0.01")
    schedule: Literal["constant", "cosine", "one_cycle", "step", "linear_warmup"] = Field(
        default="constant", description='give "constant", "cosine", "one_cycle", "step" or "linear_warmup"'
    )
    step_epochs: Count | None = Field(default=None, description="give after how many epochs the rate falls, such as 10")
    gamma: Share | None = Field(default=None, description="give the factor by which it falls, such as 0.1")
    warmup_epochs: Rate | None = Field(default=None, description="give a positive number of epochs, such as 1")
    precision: Literal["float32", "bfloat16", "float64"] = Field(
        default="float32", description='give "float32", "bfloat16" or "float64"'
    )
    batch_size: Count = Field(default=64, description="give a whole number from 1 on, such as 64")
    validation_size: Count = Field(default=5000, description="give how many training images to hold out, such as 5000")
    split_seed: Seed = Field(default=0, description="give a whole number from 0 on")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description='give "auto", "cpu" or "cuda"')

    @field_validator("validation_size")
    @classmethod
    def _can_be_held_out(cls, size: int, info: ValidationInfo) -> int:
        dataset = info.data.get("dataset", "")
        if dataset in TRAINING_IMAGES and not 10 <= size <= TRAINING_IMAGES[dataset] - 10:
            raise ValueError(
                f"{dataset} has {TRAINING_IMAGES[dataset]} images in ten classes, so there can be 10 to "
                f"{TRAINING_IMAGES[dataset] - 10}"
            )
        return size

    def find_misplaced(self) -> tuple[str, str] | None:
        """Return a setting that has no place beside the others, and why, if there is one."""
        for option, (choice, owners) in OPTIONS.items():
            if getattr(self, option) != type(self).model_fields[option].default and getattr(self, choice) not in owners:
                belongs = f"it belongs to {choice} {_list_choices(owners)}"
                return option, f"{belongs}, not to {getattr(self, choice)!r}; leave it out"
        if self.nesterov and not self.momentum:
            return "nesterov", "it needs a momentum above 0, such as momentum = 0.9"
        return None

    def applying(self) -> dict[str, Any]:
        """Return the settings that have an effect, by name: without those of other choices than the ones made."""
        return {
            name: value
            for name, value in self
            if value is not None and (name not in OPTIONS or getattr(self, OPTIONS[name][0]) in OPTIONS[name][1])
        }

    def imported(self) -> dict[str, str]:
        """Return the settings whose value is an import path, such as "mypackage.nets:make_net"."""
        return {name: getattr(self, name) for name in CHOICES if IMPORT_PATH.match(getattr(self, name))}


class Fixed(Setup):
    """Everything that is equal in all runs, and on which every conclusion therefore depends."""

    epochs: Count = Field(default=5, description="give a whole number from 1 on, such as 5")

    def find_misplaced(self) -> tuple[str, str] | None:
        """Return a setting that has no place beside the others, and why, if there is one."""
        if self.warmup_epochs is not None and self.warmup_epochs > self.epochs:
            return (
                "warmup_epochs",
                f"training ends after {self.epochs}, so the rate would never be reached; make it shorter",
            )
        if self.step_epochs is not None and self.step_epochs >= self.epochs:
            return "step_epochs", f"training ends after {self.epochs}, so the rate would never fall; make it shorter"
        return super().find_misplaced()


class RangeTest(Settings):
    """From which rate to which a range test goes, and in how many training steps."""

    lowest: Rate = Field(default=1e-7, description="give a positive number, such as 1e-7")
    highest: Rate = Field(default=10.0, description="give a number above the lowest rate, such as 10.0")
    steps: Annotated[int, Strict(), Field(ge=50, le=100_000)] = Field(
        default=500, description="give a whole number from 50 on, such as 500"
    )

    @field_validator("highest")
    @classmethod
    def _is_above_the_lowest(cls, highest: float, info: ValidationInfo) -> float:
        if highest <= info.data.get("lowest", 0.0):
            raise ValueError("it must be above the lowest rate")
        return highest


class Consistent(Setup):
    """A setup whose settings all have their place."""

    @model_validator(mode="after")
    def _has_nothing_misplaced(self) -> Self:
        if misplaced := self.find_misplaced():
            raise ValueError(": ".join(misplaced))
        return self


class RangeParameters(Consistent, RangeTest):
    """The parameters of one execution of the range test notebook."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(without_duplicates)] = Field(
        description="give distinct whole numbers from 0 on, such as [0, 1, 2, 3, 4]"
    )


class Parameters(Fixed, Consistent):
    """The parameters of one execution of the training notebook: one learning rate, all its seeds."""

    learning_rate: Rate = Field(description="give a positive number, such as 0.001")
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(without_duplicates)] = Field(
        description="give distinct whole numbers from 0 on, such as [0, 1, 2, 3, 4]"
    )
