"""Generate the tables of docs/reference/policy-tests.md from the models of the format."""

import types
import typing
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from remediator.model.run_state import RunState
from runbookctl.policy import file_format
from runbookctl.policy.planned_items import ItemList
from runbookd.inventory import format_duration
from tools.docs import REFERENCE
from tools.docs.page_parts import replace_part, table

PAGE = REFERENCE / "policy-tests.md"
BLOCKS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("A file", file_format.PolicyFile),
    ("A case", file_format.Case),
    ("alerts", file_format.AlertSpan),
    ("plans", file_format.Plan),
    ("freezes", file_format.Freeze),
    ("conditions", file_format.Condition),
    ("events", file_format.Event),
    ("events: pause", file_format.Pause),
    ("events: resume", file_format.Resume),
    ("events: approve", file_format.Approve),
    ("events: reject", file_format.Reject),
    ("events: acknowledge", file_format.Acknowledge),
    ("events: close_breaker", file_format.CloseBreaker),
    ("events: deploy", file_format.Deploy),
    ("events: start", file_format.Start),
    ("events: crash", file_format.Crash),
    ("events: ledger_out", file_format.LedgerOut),
    ("events: alertmanager_out", file_format.AlertmanagerOut),
    ("expect", file_format.Expectation),
    ("expect: runs", file_format.ExpectedRun),
    ("expect: episodes", file_format.ExpectedEpisode),
    ("expect: messages", file_format.ExpectedMessage),
    ("expect: breakers", file_format.ExpectedBreaker),
)


def policy_tests_page() -> Iterator[tuple[Path, str]]:
    """Yield the page with its tables generated again."""
    yield PAGE, replace_part(PAGE, "\n".join(_section(title, kind) for title, kind in BLOCKS))


def _section(title: str, kind: type[BaseModel]) -> str:
    rows = [["key", "value", "meaning", "default"]]
    rows += [_row(field.alias or name, field) for name, field in kind.model_fields.items()]
    return f"### {title}\n\n{' '.join((kind.__doc__ or '').split())}\n\n{table(rows)}"


def _row(name: str, field: FieldInfo) -> list[str]:
    return [f"`{name}`", _value(field.annotation, field), field.description or _described(field), _default(field)]


def _described(field: FieldInfo) -> str:
    """Return the summary of the block that the key holds, which has its own section."""
    for kind in _parts(field.annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return (kind.__doc__ or "").split("\n")[0]
    return ""


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from _parts(part)


def _value(annotation: Any, field: FieldInfo) -> str:
    """Return the kind of value in words."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return _value(next(each for each in typing.get_args(annotation) if each is not types.NoneType), field)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _value(arguments[0], field)
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin is tuple:
        return f"list of {_value(arguments[0], field)}"
    if origin is dict:
        return "map"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "block"
    return _WORDS[annotation]


_WORDS: dict[Any, str] = {
    str: "text",
    int: "number",
    bool: "`true`, `false`",
    timedelta: "duration",
    AwareDatetime: "moment",
    Path: "path",
    RunState: "[state](remediation-states.md)",
    ItemList: "number or list of items",
}


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    match field.default:
        case timedelta() as span:
            return f"`{format_duration(span)}`"
        case datetime() as moment:
            return f"`{moment:%Y-%m-%dT%H:%M:%SZ}`"
        case bool() as flag:
            return f"`{str(flag).lower()}`"
        case None | "" | () | _ as value if not value or value is PydanticUndefined:
            return ""
        case value:
            return f"`{value}`"
