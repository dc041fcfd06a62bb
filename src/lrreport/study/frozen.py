"""The base of all settings."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Settings that never change once read; a key that is not one of theirs is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, populate_by_name=True)
