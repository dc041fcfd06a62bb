"""The base of all settings."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Immutable settings; unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, populate_by_name=True)
