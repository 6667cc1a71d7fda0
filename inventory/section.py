"""What every block of the inventory is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]


class Section(BaseModel):
    """A block of the inventory: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
