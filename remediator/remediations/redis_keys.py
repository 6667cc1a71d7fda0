"""Entries of a Redis target that name keys, and scripts that act on one key.

`unlink_prefix`, `reset_rate_limit` and `block_address` share it. Each acts only on keys of an entry in the inventory,
and the Redis user needs only patterns of these.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from remediator.clients.redis import translate_errors
from remediator.model.errors import TargetUnknown, TargetUnreachable
from remediator.model.parameters import EnumParameter
from remediator.model.remediation import Needs, Scope
from runbookd.inventory import Stack

SCRIPT_DEADLINE_MS = 5_000
RIGHTS = "deploy/redis/remediator-cache.acl"
Entry = TypeVar("Entry")

_CHECKS, *_PARTS = re.split(
    r"^-- ([a-z]+) --$", (files(__package__) / "redis_keys.lua").read_text("utf-8"), flags=re.MULTILINE
)
_SCRIPTS = {word: _CHECKS + text for word, text in zip(_PARTS[::2], _PARTS[1::2], strict=True)}


def needs_keys(kind: str) -> Needs:
    """Return the need of entries of this kind, and of the right to act on their keys."""

    def given(stack: Stack, name: str) -> bool:
        target = stack.redis[name]
        return bool(getattr(target, kind)) and target.admin_url_secret().configured

    return Needs(given, f"{kind} and admin_url_file")


def entry_parameter(entries: Mapping[str, object], kind: str) -> EnumParameter:
    """Return the parameter that chooses one of several entries."""
    return EnumParameter(f"one of the {kind} of the inventory", tuple(entries), required=len(entries) != 1)


def chosen_entry(scope: Scope, entries: Mapping[str, Entry], parameter: str, kind: str) -> tuple[str, Entry]:
    """Return the entry that the operator chose, or the only one; an alert chooses none.

    Raises:
        TargetUnknown: the inventory has none, or several and none was chosen.
    """
    if not entries:
        raise TargetUnknown(f"{scope.target} has no {kind}; add one to the inventory")
    name = scope.parameters.get(parameter, next(iter(entries)) if len(entries) == 1 else None)
    if not isinstance(name, str) or name not in entries:
        raise TargetUnknown(f"{scope.target} has the {kind} {', '.join(entries)}; choose one with --set {parameter}=…")
    return name, entries[name]


def operators_value(scope: Scope, parameter: str) -> str:
    """Return a value that only an operator sets.

    Raises:
        TargetUnknown: an alert has started the run.
    """
    value = scope.parameters.get(parameter)
    if not isinstance(value, str):
        raise TargetUnknown(f"{scope.target}: only an operator can start this, with --set {parameter}=…")
    return value


async def act_on_key(redis: Redis, part: str, key: str, *arguments: str | int) -> str:
    """Run one part of the script on `key` and return its word."""
    seconds, microseconds = await redis.time()
    latest = int(seconds) * 1000 + int(microseconds) // 1000 + SCRIPT_DEADLINE_MS
    return str(await redis.eval(_SCRIPTS[part], 1, key, latest, *arguments))


@contextmanager
def translate_key_errors(scope: Scope) -> Iterator[None]:
    """Translate errors; a missing right is named with the file that gives it."""
    with translate_errors(scope):
        try:
            yield
        except NoPermissionError:
            raise _missing_right(scope) from None
        except ResponseError as error:
            if "can't run this command" in str(error) or "can't access at least one of the keys" in str(error):
                raise _missing_right(scope) from None
            code, _, message = str(error).partition(" ")
            if code != "TOOLATE":
                raise
            raise TargetUnreachable(f"{scope.target}: {message}") from None


def _missing_right(scope: Scope) -> TargetUnreachable:
    return TargetUnreachable(
        f"{scope.target}: the user of admin_url lacks a right to these keys; give it those of {RIGHTS}, with your keys"
    )
