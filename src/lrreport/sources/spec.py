"""The table [import] of a study file: which logs are read, and how ambiguities are resolved."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from lrreport.study.frozen import FrozenModel
from lrreport.study.settings import suggest

Texts = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


def _check_source(name: str) -> str:
    from lrreport.sources import SOURCES  # here, since the sources import this module

    if name not in SOURCES:
        raise ValueError(f"there is no such source{suggest(name, SOURCES)}; there are {', '.join(SOURCES)}")
    return name


class Drop(FrozenModel):
    """Runs that are left out: those of a status, and those with given values of a setting."""

    status: Texts = Field(default=(), description='give a list such as ["failed", "stopped"]')
    settings: dict[str, Any] = Field(default={}, description="give a table such as { debug = true }")


class ImportSpec(FrozenModel):
    """What `read_import` reads and how.

    `settings` maps names of this study to those of the source: { learning_rate = "optimizer.lr" }. `name` is a pattern of
    settings in names of files or folders, or "auto" for all that are found there. `metrics` and `percent` are columns of
    the source: those that are metrics although their names do not say so, and those whose values are percent.
    """

    source: Annotated[str, AfterValidator(_check_source)] = Field(
        alias="from", description='give a source of logs, such as "table" or "tensorboard"'
    )
    folder: str = Field(default=".", description="give the folder of the logs, from the study file's own folder")
    paths: Annotated[Texts, Field(min_length=1)] = Field(
        default=("**",), description='give patterns of paths below the folder, such as ["runs/*"]'
    )
    exclude: Texts = Field(default=(), description='give patterns of paths to leave out, such as ["runs/broken.csv"]')
    name: str | None = Field(default=None, description='give a pattern such as "lr{learning_rate}_s{seed}", or "auto"')
    settings: dict[str, str] = Field(default={}, description='give a table such as { learning_rate = "optimizer.lr" }')
    seed: str | None = Field(default=None, description='give the name of the setting that is the seed, or "" for none')
    metrics: Texts = Field(default=(), description="give the names of columns that are metrics")
    percent: Texts = Field(default=(), description="give the names of metrics whose values are percent in the source")
    drop: Drop = Drop()
    ignore: Texts = Field(default=(), description="give the names of settings that may differ within a level")
    duplicates: Literal["error", "identical", "first", "last", "mean"] = Field(
        default="identical", description='give "error", "identical", "first", "last" or "mean"'
    )
    axis: Literal["epoch", "step", "samples", "seconds"] | None = Field(
        default=None, description='give "epoch", "step", "samples" or "seconds"'
    )
    paired: bool = Field(default=False, description="give true if equal seeds gave equal starts and data orders")
    missing: Literal["unknown", "unrelated"] = Field(
        default="unknown", description='give "unrelated" if runs are missing for reasons that the setting did not cause'
    )
    deleted: bool = Field(default=False, description="give true to read runs that were deleted in MLflow")
