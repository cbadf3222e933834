"""The base of everything that a person configures: frozen, and a field nobody knows is an error."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """One table of a configuration file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
