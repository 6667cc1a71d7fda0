"""The diagnostics of one stack, whose parts are read concurrently."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from remediator.diagnostics.postgres import read_postgres
from remediator.diagnostics.redis import read_redis
from remediator.diagnostics.surroundings import read_surroundings
from remediator.masking import mask_text
from remediator.model.errors import TargetUnreachable
from remediator.model.logfmt import format_pairs, format_value
from remediator.model.remediation import Scope, TargetName
from runbookd.inventory import Stack

PART_SECONDS = 8.0
MAX_PARTS = 20
Read = Callable[[Scope], Awaitable[Mapping[str, Any]]]
_READERS: Mapping[str, Read] = {"postgres": read_postgres, "queues": read_redis, "stack": read_surroundings}


def parts_of(stack_name: str, stack: Stack, first_part: str) -> Sequence[TargetName]:
    """List the parts of a stack that the remediator can read, `first_part` first; its surroundings are one part."""
    parts = [
        TargetName(stack_name, "postgres", name)
        for name, postgres in stack.postgres.items()
        if postgres.admin_dsn_secret().configured
    ]
    for name, queues in stack.queues.items():
        if stack.redis[queues.redis].admin_url_secret().configured:
            part = TargetName(stack_name, "queues", name)
            parts.append(
                replace(part, queue=first_part.removeprefix(f"{part}/") if first_part.startswith(f"{part}/") else None)
            )
    around = [TargetName(stack_name, "stack", stack_name)] if stack.http or stack.services else []
    return [*sorted(parts, key=lambda part: str(part) != first_part)[: MAX_PARTS - len(around)], *around]


async def read_part(scope: Scope) -> Mapping[str, Any]:
    """Read the diagnostics of one part.

    Raises:
        TargetUnreachable: the part does not answer within PART_SECONDS.
    """
    try:
        async with asyncio.timeout(PART_SECONDS):
            return await _READERS[scope.target.kind](scope)
    except TimeoutError:
        raise TargetUnreachable(f"{scope.target}: did not answer within {PART_SECONDS:.0f} s") from None


async def read_all(scopes: Sequence[Scope], read: Read = read_part) -> Mapping[str, Mapping[str, Any] | str]:
    """Read every part; return its diagnostics by name, or one line that states the error."""
    results = await asyncio.gather(*(read(scope) for scope in scopes), return_exceptions=True)
    return {str(scope.target): _part_or_error(result) for scope, result in zip(scopes, results, strict=True)}


def _part_or_error(result: Mapping[str, Any] | BaseException) -> Mapping[str, Any] | str:
    if isinstance(result, TargetUnreachable):
        return f"cannot read: {mask_text(str(result))}"
    if isinstance(result, BaseException):
        raise result
    return result


def format_lines(bundle: Mapping[str, Mapping[str, Any] | str]) -> list[str]:
    """Format the bundle with one line per row, without empty values."""
    lines = []
    for part, sections in bundle.items():
        lines.append(f"{part}:" if isinstance(sections, Mapping) else f"{part}: {sections}")
        if isinstance(sections, Mapping):
            lines += _indented_lines(sections, "  ")
    return lines


def _indented_lines(sections: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in sections.items():
        if isinstance(value, Mapping):
            yield from _row_lines(f"{indent}{name}: ", value, indent)
        elif _is_rows(value):
            yield f"{indent}{name}:"
            for row in value:
                yield from _row_lines(f"{indent}  ", row, f"{indent}  ")
        elif value:
            yield f"{indent}{name}: {value if isinstance(value, str) else format_value(value)}"


def _row_lines(prefix: str, row: Mapping[str, Any], indent: str) -> Iterator[str]:
    """Yield a row in one line, and its nested rows below it."""
    nested_rows = {name: value for name, value in row.items() if _holds_rows(value)}
    scalars = format_pairs({name: value for name, value in row.items() if name not in nested_rows})
    if scalars or nested_rows:
        yield (prefix + scalars).rstrip()
    yield from _indented_lines(nested_rows, f"{indent}  ")


def _holds_rows(value: Any) -> bool:
    return _is_rows(value) or (isinstance(value, Mapping) and any(_holds_rows(each) for each in value.values()))


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)
