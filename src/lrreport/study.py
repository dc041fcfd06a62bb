"""What a study varies, what it keeps fixed, and what an earlier report said; read from studies/*.toml."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, Strict, create_model, model_validator

from lrreport import LrreportError
from lrreport.parsing import parse_settings
from lrreport.settings import (
    MOST_LEVELS,
    OPTIONS,
    Fixed,
    Loss,
    Parameters,
    RangeParameters,
    RangeTest,
    Rate,
    Seed,
    Settings,
    without_duplicates,
)

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_STUDY = "studies/fashion_mnist.toml"
LARGEST_FILE = 1_000_000  # bytes
TABLES = ("name", "title", "vary", "fixed", "margins", "range_test", "published")  # of a study file
RESERVED_NAMES = ("runs", "reference")  # folders of outputs/ that belong to no study


def _is_folder_name(name: str) -> str:
    if name in RESERVED_NAMES:
        raise ValueError(f"{name!r} is a folder that lrreport keeps for itself")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,80}", name):
        raise ValueError("it has other characters, begins with another than a letter or digit, or is too long")
    return name


Margin = Annotated[float, Strict(), Field(gt=0, lt=1, allow_inf_nan=False)]
Fraction = Annotated[float, Strict(), Field(ge=0, le=1)]
Name = Annotated[str, AfterValidator(_is_folder_name)]
AXES = tuple(
    name for name in Fixed.model_fields if name not in ("dataset", "validation_size", "split_seed", "device")
)  # what may vary beside the learning rate: neither what rates are compared on, nor where
RANGELESS = ("epochs", "schedule", "step_epochs", "gamma", "warmup_epochs")  # a range test has none of these


class Varied(Settings):
    """The learning rates, the seeds that repeat each of them, and if wanted the values of one more setting."""

    learning_rate: Annotated[tuple[Rate, ...], Field(min_length=1), AfterValidator(without_duplicates)] = Field(
        description="give distinct positive learning rates, such as [0.001, 0.0001]"
    )
    seed: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(without_duplicates)] = Field(
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
        tuple[one, ...], Field(min_length=2, max_length=MOST_LEVELS), AfterValidator(without_duplicates)  # type: ignore[valid-type]
    ]  # fmt: skip
    remedy = f"in a list of two or more values, {field.description}"
    if isinstance(field.default, tuple) or name == "betas":
        example = "[[0.9, 0.999], [0.5, 0.9]]" if name == "betas" else "[[128, 64], [64]]"
        remedy = f"give a list of two or more such lists, such as {example}"
    return several | None, Field(default=None, description=remedy)


if TYPE_CHECKING:
    Vary = Varied
else:
    Vary = create_model("Vary", __base__=Varied, __doc__=Varied.__doc__, **{name: _make_axis(name) for name in AXES})


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
    """One question and all that is needed to answer it, and its file."""

    name: Name = Field(description="use letters, digits, '.', '_', '+' and '-' (not 'runs' or 'reference')")
    title: str = Field(default="Impact of the learning rate", description="give a line of text")
    vary: Vary = Field(description="add a table [vary] with learning_rate = [0.001, 0.0001]")
    fixed: Fixed = Fixed()
    margins: Margins = Margins()
    range_test: RangeTest | None = None
    published: Published | None = None
    file: Path | None = Field(default=None, exclude=True)

    @property
    def folder(self) -> Path | None:
        """Where the study's file is, and its own modules."""
        return None if self.file is None else self.file.parent

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
        settings = self.model_dump(mode="json", exclude_none=True) | {"file": self.file}
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
    """Return the study in a TOML file; its name is that of `name_study` unless the file gives another.

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
    if "file" in settings:
        raise LrreportError(f"{path}: unknown key file; the keys here are {', '.join(TABLES)}")
    return parse_study({"name": name_study(file.resolve()), **settings, "file": file.resolve()}, str(path))


def name_study(file: Path) -> str:
    """Return the name of a study whose file gives none: the file's, or of a study.toml the folder's."""
    return (
        re.sub(r"[^A-Za-z0-9._+-]+", "-", file.parent.name).strip("-.") or file.stem
        if file.stem == "study"
        else file.stem
    )


def parse_study(settings: dict[str, Any], place: str) -> Study:
    """Return the study with these settings, or raise a LrreportError that begins with `place`."""
    return parse_settings(Study, settings, place)
