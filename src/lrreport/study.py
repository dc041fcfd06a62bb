"""What a study varies, what it keeps fixed, and what an earlier report said; read from studies/*.toml."""

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from lrreport import LrreportError

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_STUDY = "studies/fashion_mnist.toml"
TRAINING_IMAGES = {
    "fashion_mnist": 60_000, "mnist": 60_000, "kmnist": 60_000, "qmnist": 60_000, "cifar10": 50_000, "sample": 2_000,
}  # fmt: skip
DATASETS, MODELS, LOSSES = tuple(TRAINING_IMAGES), ("mlp",), ("cross_entropy",)
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
CHOICES = {"dataset": DATASETS, "model": MODELS, "loss": LOSSES, "optimizer": OPTIMIZERS}
IMPORT_PATH = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")
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
JARGON = {  # pydantic's words, in those of who writes a study file
    "Input should be a valid tuple": "it should be a list",
    "Tuple should have at least 1 item after validation, not 0": "it is empty",
    "Tuple should have at least 2 items after validation, not 0": "it is empty",
    "Tuple should have at least 2 items after validation, not 1": "one value alone is fixed, not varied",
    f"Tuple should have at most {MOST_LEVELS} items after validation, not": f"it has more than {MOST_LEVELS} values,",
}
LARGEST_FILE = 1_000_000  # bytes
TABLES = ("name", "title", "vary", "fixed", "margins", "range_test", "published")  # of a study file
RESERVED_NAMES = ("runs", "reference")  # folders of outputs/ that belong to no study
T = TypeVar("T")


def _without_duplicates(values: tuple[T, ...]) -> tuple[T, ...]:
    repeated = next((value for place, value in enumerate(values) if value in values[:place]), None)
    if repeated is not None:
        raise ValueError(f"{repeated!r} appears twice")
    return values


def _not_reserved(name: str) -> str:
    if name in RESERVED_NAMES:
        raise ValueError(f"{name!r} is a folder that lrreport keeps for itself")
    return name


# Strict, since pydantic would otherwise read true as 1 and "5" as 5. The description is the remedy in an error message.
Rate = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
Margin = Annotated[float, Strict(), Field(gt=0, lt=1, allow_inf_nan=False)]
Below1 = Annotated[float, Strict(), Field(ge=0, lt=1)]
Share = Annotated[float, Strict(), Field(gt=0, le=1)]
Fraction = Annotated[float, Strict(), Field(ge=0, le=1)]
Loss = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,80}$"), AfterValidator(_not_reserved)]


def _is_known(name: str, info: ValidationInfo) -> str:
    names = CHOICES[info.field_name or ""]
    if name not in names and not IMPORT_PATH.match(name):
        close = difflib.get_close_matches(name, names, n=1)
        raise ValueError(f"there is no such {info.field_name}{f', did you mean {close[0]!r}?' if close else ''}")
    return name


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
        most = TRAINING_IMAGES.get(dataset, size + 10) - 10
        if dataset in TRAINING_IMAGES and (size % 10 or size > most):
            raise ValueError(f"{dataset} has ten classes, so it must be a multiple of 10 up to {most}")
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


AXES = tuple(
    name for name in Fixed.model_fields if name not in ("dataset", "validation_size", "split_seed", "device")
)  # what may vary beside the learning rate: neither what rates are compared on, nor where


RANGELESS = ("epochs", "schedule", "step_epochs", "gamma", "warmup_epochs")  # a range test has none of these


class Varied(Settings):
    """The learning rates, the seeds that repeat each of them, and if wanted the values of one more setting."""

    learning_rate: Annotated[tuple[Rate, ...], Field(min_length=1), AfterValidator(_without_duplicates)] = Field(
        description="give distinct positive learning rates, such as [0.001, 0.0001]"
    )
    seed: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_without_duplicates)] = Field(
        default=(0, 1, 2, 3, 4), description="give distinct whole numbers from 0 on, such as [0, 1, 2, 3, 4]"
    )

    @property
    def axis(self) -> str | None:
        """The setting that varies beside the learning rate and the seed, if one does."""
        return next((name for name in AXES if getattr(self, name, None) is not None), None)

    @model_validator(mode="after")
    def _has_one_more_axis_at_most(self) -> Self:
        for name in AXES:
            if name != self.axis and getattr(self, name, None) is not None:
                raise ValueError(
                    f"{name}: {self.axis} varies already, and one setting may beside the learning rate and the seed; "
                    "leave one of the two out"
                )
        return self


def _make_axis(name: str) -> tuple[Any, Any]:
    """Return a field of `Vary`: several values of a setting of `Fixed`, each of them checked as there."""
    field = Fixed.model_fields[name]
    one = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    several = Annotated[
        tuple[one, ...], Field(min_length=2, max_length=MOST_LEVELS), AfterValidator(_without_duplicates)  # type: ignore[valid-type]
    ]  # fmt: skip
    return several | None, Field(default=None, description=f"in a list of two or more values, {field.description}")


if TYPE_CHECKING:
    Vary = Varied
else:
    Vary = create_model("Vary", __base__=Varied, __doc__=Varied.__doc__, **{name: _make_axis(name) for name in AXES})


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

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_without_duplicates)] = Field(
        description="give distinct whole numbers from 0 on, such as [0, 1, 2, 3, 4]"
    )

    @property
    def rates(self) -> list[float]:
        """The learning rate of each step, growing by the same factor."""
        factor = self.highest / self.lowest
        return [self.lowest * factor ** (step / (self.steps - 1)) for step in range(self.steps)]


class Parameters(Fixed, Consistent):
    """The parameters of one execution of the training notebook: one learning rate, all its seeds."""

    learning_rate: Rate = Field(description="give a positive number, such as 0.001")
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_without_duplicates)] = Field(
        description="give distinct whole numbers from 0 on, such as [0, 1, 2, 3, 4]"
    )


class Margins(Settings):
    """What counts as small, fixed before looking at any result."""

    accuracy: Margin = Field(default=0.005, description="give a fraction such as 0.005, which is 0.5 points")
    loss: Margin = Field(default=0.01, description="give a number of nats such as 0.01")


class PublishedResult(Settings):
    """The numbers that an earlier report gave for one learning rate; accuracies are fractions, losses nats."""

    learning_rate: Rate
    train_loss: Loss | None = Field(default=None, description="give nats, such as 0.32")
    train_accuracy: Fraction | None = Field(default=None, description="give a fraction, such as 0.8845 for 88.45 %")
    test_accuracy: Fraction | None = Field(default=None, description="give a fraction, such as 0.8700 for 87.00 %")


class PublishedClaim(Settings):
    """One assertion of an earlier report, in words and as a claim of our vocabulary with its arguments."""

    says: str
    claim: str
    arguments: dict[str, Any] = {}
    remark: str = ""


class Published(Settings):
    """An earlier report: its title, its numbers and its claims."""

    title: str
    result: tuple[PublishedResult, ...] = ()
    claim: tuple[PublishedClaim, ...] = ()


class Study(Settings):
    """One question and all that is needed to answer it; `folder` is where its file is, and its own modules."""

    name: Name = Field(description="use letters, digits, '.', '_', '+' and '-' (not 'runs' or 'reference')")
    title: str = Field(default="Impact of the learning rate", description="give a line of text")
    vary: Vary = Field(description="add a table [vary] with learning_rate = [0.001, 0.0001]")
    fixed: Fixed = Fixed()
    margins: Margins = Margins()
    range_test: RangeTest | None = None
    published: Published | None = None
    folder: Path | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        axis = self.vary.axis
        if axis and getattr(self.fixed, axis) != Fixed.model_fields[axis].default:
            raise ValueError(f"fixed.{axis}: the study varies it, so leave it out of [fixed]")
        if axis and self.published is not None:
            raise ValueError(
                f"vary.{axis}: an earlier report is checked with one {axis}; leave out this or [published]"
            )
        for level in self.levels().values():
            if misplaced := level.fixed.find_misplaced():
                table = "vary" if misplaced[0] == axis else "fixed"
                raise ValueError(f"{table}.{': '.join(misplaced)}")
        return self

    def levels(self) -> dict[Any, Self]:
        """Return the study at each value of its second axis, where that is fixed; without such an axis {None: itself}.

        An option that belongs to only some of the values, such as the momentum of SGD, is left out at the others.
        """
        axis = self.vary.axis
        if axis is None:
            return {None: self}
        vary = Vary(learning_rate=self.vary.learning_rate, seed=self.vary.seed)
        levels: dict[Any, Self] = {}
        for value in getattr(self.vary, axis):
            of_range = None if axis in RANGELESS and levels else self.range_test  # one is enough
            changes = {"vary": vary, "fixed": self._fix(axis, value), "range_test": of_range}
            levels[value] = self.model_copy(update=changes)
        return levels

    def _fix(self, axis: str, value: Any) -> Fixed:
        """Return the fixed settings at one value of the second axis."""
        values = getattr(self.vary, axis)
        foreign = [
            option
            for option, (choice, owners) in OPTIONS.items()
            if choice == axis and value not in owners and any(other in owners for other in values)
        ]
        return Fixed(**self.fixed.model_dump(exclude={axis, *foreign}), **{axis: value})

    def runs(self) -> Iterator[Parameters]:
        """Yield the parameters of each notebook run: one for each level and learning rate, in the study's order."""
        for level in self.levels().values():
            for rate in self.vary.learning_rate:
                seeds = tuple(sorted(self.vary.seed))
                yield Parameters(learning_rate=rate, seeds=seeds, **level.fixed.model_dump())

    def range_parameters(self) -> RangeParameters | None:
        """Return the parameters of the range test of a study of one axis, or None if it has none."""
        if self.range_test is None:
            return None
        setup = self.fixed.model_dump(exclude={"epochs"})
        return RangeParameters(seeds=tuple(sorted(self.vary.seed)), **setup, **self.range_test.model_dump())

    def changed(self, name: str | None = None, **changes: Any) -> Self:
        """Return the study with other settings, under a name of its own so that it replaces no other report.

        `changes` are keys of `vary` and `fixed`; those that are None are left as they are.
        Raises LrreportError for a value that a study file could not hold either.
        """
        settings = self.model_dump(mode="json", exclude_none=True) | {"folder": self.folder}
        for key, value in changes.items():
            if value is not None and key == self.vary.axis:
                raise LrreportError(f"command line: {key} varies in this study; change it in the study's file")
            if value is not None:
                settings["vary" if key in ("learning_rate", "seed") else "fixed"][key] = value
        changed = parse_study(settings, "command line")
        if changed != self:
            settings["name"] = f"{self.name}-{changed.digest()[:6]}"
        if name is not None:
            settings["name"] = name
        return parse_study(settings, "command line")  # type: ignore[return-value]

    def digest(self) -> str:
        """Return the SHA-256 (hexadecimal) of all the settings but the name."""
        settings = json.dumps(self.model_dump(mode="json", exclude={"name"}, exclude_none=True), sort_keys=True)
        return hashlib.sha256(settings.encode()).hexdigest()


def load_study(path: Path | str) -> Study:
    """Return the study in a TOML file; its name is the file's unless the file gives another.

    A path that does not exist from here is also looked for in the repository.
    Raises LrreportError, in one line that names file, key, value and remedy.
    """
    file = Path(path)
    if not file.is_absolute() and not file.exists():
        file = REPOSITORY / file
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise LrreportError(
                f"{path}: larger than {LARGEST_FILE // 1_000_000} MB, so not a study; name another file"
            )
        settings = tomllib.loads(content.decode().removeprefix("\ufeff").replace("\r\n", "\n"))
    except (OSError, ValueError, RecursionError) as err:
        if isinstance(err, OSError):
            known = ", ".join(sorted(f"studies/{study.name}" for study in (REPOSITORY / "studies").glob("*.toml")))
            raise LrreportError(f"{path}: cannot read the study ({err.strerror}); there are {known}") from err
        problem = "nested too deeply" if isinstance(err, RecursionError) else " ".join(str(err).split())
        raise LrreportError(f"{path}: not a TOML file: {problem}; see studies/quick.toml for one") from err
    if "folder" in settings:
        raise LrreportError(f"{path}: unknown key folder; the keys here are {', '.join(TABLES)}")
    return parse_study({"name": file.stem, **settings, "folder": file.resolve().parent}, str(path))


def parse_study(settings: dict[str, Any], place: str) -> Study:
    """Return the study with these settings, or raise a LrreportError that begins with `place`."""
    return parse_settings(Study, settings, place)


M = TypeVar("M", bound=Settings)


def parse_settings(model: type[M], settings: dict[str, Any], place: str) -> M:
    """Return `model` with these settings, or raise LrreportError: one line with place, key, value and remedy."""
    try:
        return model.model_validate(settings)
    except ValidationError as err:
        errors = err.errors(include_url=False)
        # A list with a wrong item is also reported as too short, which it is not.
        errors = [error for error in errors if error["type"] != "too_short"] or errors
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise LrreportError(f"{place}: {_describe(model, errors[0])}{more}") from err


def _describe(model: type[Settings], error: Any) -> str:
    *parents, key = [part for part in error["loc"] if isinstance(part, str)] or [""]
    table = reduce(_descend, parents, model)
    path = ".".join([*parents, key])
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(key, table.model_fields, n=1)
        known = ", ".join(name for name in table.model_fields if name != "folder")
        hint = f"did you mean {close[0]}?" if close else f"the keys here are {known}"
        return f"unknown key {path}; {hint}"
    if isinstance(error["input"], dict) and error["type"] == "value_error":  # about one setting beside the others
        within, _, problem = error["msg"].removeprefix("Value error, ").partition(": ")
        value = reduce(lambda table, name: table.get(name, {}), within.split("."), error["input"])
        return f"{'.'.join(filter(None, [path, within]))} = {_brief(value)}: {problem}"
    field = table.model_fields.get(key)
    remedy = f"; {field.description}" if field is not None and field.description else ""
    if error["type"] == "missing" and isinstance(error["loc"][-1], int):
        return f"{path}: too few values{remedy}"
    if error["type"] == "missing":
        return f"{path} is missing{remedy}"
    problem = error["msg"].removeprefix("Value error, ")
    for jargon, plain in JARGON.items():
        problem = problem.replace(jargon, plain)
    return f"{path} = {_brief(error['input'])}: {problem[0].lower()}{problem[1:]}{remedy}"


def _descend(model: type[Settings], key: str) -> type[Settings]:
    """Return the model behind a key; a key of a list of tables leads to the model of its entries."""
    found: Any = model.model_fields[key].annotation
    while not (isinstance(found, type) and issubclass(found, Settings)):
        found = found.__args__[0]
    return found


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
