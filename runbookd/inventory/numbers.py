"""Numbers that other services publish as JSON: the errors of an error tracker, the users of an analytics tool."""

from datetime import timedelta
from typing import Annotated, Any

from runbookd.inventory.constraints import Alias, BeforeValidator, Field
from runbookd.inventory.durations import Duration
from runbookd.inventory.http import HttpTarget, JsonPath
from runbookd.inventory.section import Name, Section, must_hold


class Number(Section):
    """A number at a place of the JSON body. `missing` is its value if the body has no such place."""

    place: Annotated[JsonPath, Alias("json")]
    missing: Annotated[float, Field(allow_inf_nan=False)] | None = None


def _from_place(value: Any) -> Any:
    return {"json": value} if isinstance(value, str) else value


class NumbersTarget(HttpTarget):
    """An address that is requested every `refresh`; its answer holds the numbers of `values`."""

    values: Annotated[dict[Name, Annotated[Number, BeforeValidator(_from_place)]], Field(min_length=1, max_length=50)]
    refresh: Duration = timedelta(minutes=5)

    @must_hold
    def _is_no_probe(self) -> None:
        if self.version is not None:
            raise ValueError("version: a probe in http reads it; numbers do not")

    @property
    def reads_the_body(self) -> bool:
        """Whether the contents of the body count."""
        return True
