"""Makes a request of the inventory: method, scheme, host and port are fixed there.

Sources: feature gates and limits of DeelRx ("Redis/Rate Limiting Issues"), rollback at the platform of Life Platform
("Application Rollback") and DeelRx ("Rollback Procedures").
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from remediator.clients.http_request import Answer, RequestNotSent, RequestUnanswered, send_request
from remediator.masking import mask_secrets
from remediator.model.act_words import ActWords
from remediator.model.command_texts import json_of, url_of
from remediator.model.errors import TargetUnknown, TargetUnreachable
from remediator.model.permanent_fix import Cause, Fix
from remediator.model.remediation import ONE_ITEM, Identity, ItemState, Needs, PermanentFix, Remediation, Scope
from remediator.remediations.checked_effect import (
    CHECK_SECONDS,
    Attempt,
    CheckedSession,
    Values,
    digest,
    masked_output,
)
from remediator.remediations.entry_declaration import BY_ENTRY, declare, end_of
from runbookd.inventory import SecretError
from runbookd.inventory.commands import RequestEntry
from runbookd.inventory.requests import Call, read_headers

MAX_BODY = 16_384  # bytes of an answer that are kept
MAX_CHECKED_BODY = 65_536  # bytes of an answer in which a check looks for its values
CANNOT_TELL = frozenset({401, 403, 407, 408, 425, 429})  # the server does not let the check look


@dataclass(frozen=True)
class RequestEffect:
    """One request, with the check that belongs to it."""

    scope: Scope
    entry: RequestEntry
    call: Call
    values: Values
    headers: Mapping[str, str]

    @property
    def url(self) -> str:
        """The address, filled in."""
        return url_of(self.call, self.values)

    @property
    def body(self) -> Any:
        """The JSON of the request, filled in."""
        return json_of(self.call.json_body, self.values, self.entry)

    @property
    def identity(self) -> Identity:
        """See Effect."""
        return {"entry": str(self.scope.target), "request": digest(self.call.method, self.url, self.body)}

    @property
    def evidence(self) -> dict[str, Any]:
        """See Effect."""
        shown = {} if self.body is None else {"json": self._mask(json.dumps(self.body, ensure_ascii=False))}
        has_undo = self.entry.undo is not None and self.call is not self.entry.undo
        undo = {"undo": self._mask(self._line(self.entry.undo))} if has_undo and self.entry.undo is not None else {}
        return {"request": self._mask(self._line(self.call)), **shown, **undo}

    def problem(self) -> str | None:
        """See Effect. Only the server can tell."""
        return None

    async def check(self) -> bool | None:
        """See Effect."""
        check = self.entry.check
        if check is None:
            return None
        seconds = min(CHECK_SECONDS, self.entry.timeout.total_seconds())
        try:
            answer = await self._send(check, None, seconds, MAX_CHECKED_BODY if check.has else 0)
        except (RequestNotSent, RequestUnanswered) as error:
            raise self._unreadable(str(error)) from None
        if answer.status == check.status:
            return not check.has or _has(self._json(answer), json_of(check.has, self.values, self.entry))
        if answer.status in CANNOT_TELL or not (200 <= answer.status < 300 or 400 <= answer.status < 500):
            raise self._unreadable(f"it answers {answer.status}, not {check.status}")
        return False

    async def attempt(self) -> Attempt:
        """See Effect."""
        keep = MAX_BODY if self.entry.keep_body else 0
        try:
            answer = await self._send(self.call, self.body, self.entry.timeout.total_seconds(), keep)
        except RequestNotSent as error:
            return Attempt(ItemState.FAILED, f"was not sent: {error}", began=False)
        except RequestUnanswered as error:
            return Attempt(ItemState.UNKNOWN, f"was sent: {error}")
        return Attempt(_state_of(answer.status), self._detail(answer))

    async def _send(self, call: Call, body: Any, seconds: float, max_bytes: int) -> Answer:
        url = url_of(call, self.values)
        return await send_request(call.method, url, self.headers, json=body, seconds=seconds, max_bytes=max_bytes)

    def _detail(self, answer: Answer) -> str:
        redirect = " (redirects are not followed)" if 300 <= answer.status < 400 else ""
        how = f"answered {answer.status}{redirect}"
        text = masked_output(answer.body.decode("utf-8", "replace"), self._secrets())
        return f"{how}:\n{text}{'…' if answer.is_cut else ''}" if text else how

    def _json(self, answer: Answer) -> Any:
        try:
            return json.loads(answer.body)
        except ValueError:
            size = f", or is longer than {MAX_CHECKED_BODY} bytes" if answer.is_cut else ""
            raise self._unreadable(f"its answer is not JSON{size}") from None

    def _secrets(self) -> list[str]:
        return [part for value in self.headers.values() for part in (value, value.rpartition(" ")[2])]

    def _line(self, call: Call) -> str:
        return f"{call.method} {url_of(call, self.values)}"

    def _mask(self, text: str) -> str:
        return mask_secrets(text, *self._secrets())

    def _unreadable(self, reason: str) -> TargetUnreachable:
        return TargetUnreachable(f"{self.scope.target}: its check cannot tell: {reason}")


def _state_of(status: int) -> ItemState:
    """Return what a status says: a failing server (5xx) may have done it before it failed."""
    if 200 <= status < 300:
        return ItemState.APPLIED
    return ItemState.FAILED if 300 <= status < 500 else ItemState.UNKNOWN


def _has(answer: Any, wanted: Any) -> bool:
    """Return whether `answer` has the keys of `wanted` with these values; true is not 1."""
    if isinstance(wanted, Mapping):
        return isinstance(answer, Mapping) and all(
            key in answer and _has(answer[key], value) for key, value in wanted.items()
        )
    return isinstance(answer, bool) is isinstance(wanted, bool) and answer == wanted


def _effect(
    scope: Scope, entry: RequestEntry, headers: Mapping[str, str], values: Values, undoes: bool
) -> RequestEffect:
    call = entry.undo if undoes else entry.call
    if call is None:
        raise TargetUnknown(f"{scope.target} has no undo any longer; undo it by hand")
    for each in filter(None, (call, entry.check, entry.undo)):
        url_of(each, values)
    return RequestEffect(scope, entry, call, values, headers)


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[CheckedSession]:
    entry = scope.stack.commands[scope.target.name]
    if not isinstance(entry, RequestEntry):
        raise TargetUnknown(f"{scope.target} is a command; use run_command for it")
    try:
        headers = read_headers(entry.headers, entry.headers_file)
    except SecretError as error:
        raise TargetUnreachable(f"{scope.target}: {error}") from None
    yield CheckedSession(scope, entry, partial(_effect, scope, entry, headers))


def _write_fix(scope: Scope, _causes: Sequence[Cause]) -> Fix:
    return Fix(
        f"The request {scope.target.name} is needed again and again. Let the service that it goes to do this by itself"
        " when the condition of the alert holds, or fix what leads to the condition."
    )


REMEDIATION = Remediation(
    name="http_call",
    kind="commands",
    keys=frozenset(),
    max_items=1,
    one_effect=True,
    open=_open,
    undo=BY_ENTRY,
    permanent_fix=PermanentFix(_write_fix),
    undo_when=end_of,
    declare=declare,
    past_size=ONE_ITEM,
    words=ActWords("Make the HTTP call {}", "Made the HTTP call {}"),
    needs=Needs(lambda stack, name: isinstance(stack.commands[name], RequestEntry), "method and url"),
)
