"""Constraints of values in the inventory, in pydantic's words, but without pydantic until one is validated.

`Annotated[int, Field(ge=1)]` means what it means with pydantic's own `Field`. A process that only uses an inventory
does not import pydantic, which takes 15 MiB.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Literal


class Constraint:
    """Annotations of pydantic by their name there. They are made when it asks for the members of this group."""

    __is_annotated_types_grouped_metadata__: Literal[True] = True

    def __init__(self, name: str, *arguments: Any, **options: Any) -> None:
        self._name, self._arguments, self._options = name, arguments, options

    def __iter__(self) -> Iterator[object]:
        import pydantic

        made = getattr(pydantic, self._name)(*self._arguments, **self._options)
        if isinstance(made, pydantic.fields.FieldInfo):
            return iter(made.metadata)
        return iter(made if isinstance(made, Iterable) else [made])


Field = partial(Constraint, "Field")
StringConstraints = partial(Constraint, "StringConstraints")
BeforeValidator = partial(Constraint, "BeforeValidator")
AfterValidator = partial(Constraint, "AfterValidator")
PlainSerializer = partial(Constraint, "PlainSerializer")


class Alias(str):
    """The key of a field that has another name, in its annotation: `for` is no name in Python."""

    __slots__ = ()


class ByteSize:
    """A size such as `20GiB` or `1.5 GB`, as pydantic reads it; a number of bytes for everybody else."""

    @staticmethod
    def __get_pydantic_core_schema__(_source: Any, handler: Any) -> Any:
        import pydantic

        return handler.generate_schema(pydantic.ByteSize)


class AwareDatetime:
    """A moment with its offset from UTC."""

    @staticmethod
    def __get_pydantic_core_schema__(_source: Any, handler: Any) -> Any:
        import pydantic

        return handler.generate_schema(pydantic.AwareDatetime)
