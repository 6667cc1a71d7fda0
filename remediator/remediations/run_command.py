"""Runs a command of the inventory: a fixed program with fixed arguments, without a shell.

Sources: rollback, maintenance mode, limits with an end and cache warm-up in the runbooks of Personal Network CRM
("Rollback Procedures"), DeelRx ("Redis/Rate Limiting Issues"), Formula PM ("Application Rollback") and Life Platform
("Database Migration Deployment").
"""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from remediator.clients.child_process import CapturedResult, run_captured
from remediator.masking import mask_secrets
from remediator.model.act_words import ActWords
from remediator.model.command_texts import arguments_of
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
from runbookd.inventory import format_duration
from runbookd.inventory.commands import CommandEntry
from runbookd.visible import is_visible_file

MIN_SECRET = 6  # characters of a variable's value that is masked in the output
CANNOT_TELL = "it must exit with 0 (as wanted) or 1 (not)"


@dataclass(frozen=True)
class CommandEffect:
    """One argument list, with the check that belongs to it."""

    scope: Scope
    entry: CommandEntry
    arguments: Sequence[str]
    check_arguments: Sequence[str] | None
    undo_arguments: Sequence[str] | None

    @property
    def identity(self) -> Identity:
        """See Effect."""
        return {
            "entry": str(self.scope.target),
            "command": digest(self.arguments, self.entry.environment),
            "program": _program_state(self.arguments[0]),
        }

    @property
    def evidence(self) -> dict[str, Any]:
        """See Effect."""
        undo = {} if self.undo_arguments is None else {"undo": self._shown(self.undo_arguments)}
        return {"argv": self._shown(self.arguments), **undo}

    def problem(self) -> str | None:
        """See Effect."""
        programs = [arguments[0] for arguments in (self.arguments, self.check_arguments) if arguments is not None]
        return next((problem for program in programs if (problem := program_problem(program))), None)

    async def check(self) -> bool | None:
        """See Effect."""
        if self.check_arguments is None:
            return None
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                result = await self._run(self.check_arguments)
        except TimeoutError:
            raise self._unreadable(f"takes longer than {CHECK_SECONDS:g} s") from None
        except (OSError, ValueError) as error:
            raise self._unreadable(f"cannot be started: {_start_error(error)}") from None
        if result.status not in (0, 1):
            raise self._unreadable(f"{self._how(result)}; {CANNOT_TELL}")
        return result.status == 0

    async def attempt(self) -> Attempt:
        """See Effect."""
        try:
            async with asyncio.timeout(self.entry.timeout.total_seconds()):
                result = await self._run(self.arguments)
        except TimeoutError:
            limit = format_duration(self.entry.timeout)
            return Attempt(ItemState.UNKNOWN, f"took longer than {limit}, and was ended with its whole process group")
        except (OSError, ValueError) as error:
            return Attempt(ItemState.FAILED, f"cannot be started: {_start_error(error)}", began=False)
        if result.status == 0:
            return Attempt(ItemState.APPLIED, self._how(result))
        return Attempt(ItemState.FAILED if result.status > 0 else ItemState.UNKNOWN, self._how(result))

    async def _run(self, arguments: Sequence[str]) -> CapturedResult:
        passed = {name: os.environ[name] for name in self.entry.environment if name in os.environ}
        return await run_captured(arguments, {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **passed})

    def _how(self, result: CapturedResult) -> str:
        """Return how a program ended and what it wrote, masked."""
        status = result.status
        how = f"ended with {status}" if status >= 0 else f"was killed by signal {-status}"
        left = "; it left processes behind, which were ended" if result.left_processes else ""
        output = masked_output(result.output, self._secrets())
        return f"{how}{left}; it wrote:\n{output}" if output else f"{how}{left}"

    def _secrets(self) -> list[str]:
        """Return the values of the variables that may be secret; paths explain an error."""
        values = (os.environ.get(name, "") for name in self.entry.environment)
        return [value for value in values if len(value) >= MIN_SECRET and not value.startswith("/")]

    def _shown(self, arguments: Sequence[str]) -> list[str]:
        return [mask_secrets(argument, *self._secrets()) for argument in arguments]

    def _unreadable(self, reason: str) -> TargetUnreachable:
        return TargetUnreachable(f"{self.scope.target}: its check {reason}")


def _program_state(program: str) -> str:
    """Return what changes when another program takes its place."""
    try:
        state = Path(program).stat()
    except OSError:
        return "missing"
    return f"{state.st_dev}-{state.st_ino}-{state.st_mtime_ns}"


def program_problem(program: str) -> str | None:
    """Return why this user cannot run a program, or None."""
    if not is_visible_file(Path(program)):
        return f"{program} is no program that this user can see; install it, or correct the path"
    if not os.access(program, os.X_OK):
        return f"this user may not execute {program}; give it the right (chmod +x)"
    if Path(program).stat().st_mode & stat.S_IWOTH:
        return f"every user of this machine may change {program}; take that right away (chmod o-w)"
    return None


def _start_error(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}; check the program and, for a script, its #! line"
    return "its arguments cannot be passed to a program"


def _effect(scope: Scope, entry: CommandEntry, values: Values, undoes: bool) -> CommandEffect:
    main = entry.undo if undoes else entry.argv
    if main is None:
        raise TargetUnknown(f"{scope.target} has no undo any longer; undo it by hand")
    undo = None if undoes or entry.undo is None else arguments_of(entry.undo, values)
    check = None if entry.check is None else arguments_of(entry.check, values)
    return CommandEffect(scope, entry, arguments_of(main, values), check, undo)


@asynccontextmanager
async def _open(scope: Scope) -> AsyncIterator[CheckedSession]:
    entry = scope.stack.commands[scope.target.name]
    if not isinstance(entry, CommandEntry):
        raise TargetUnknown(f"{scope.target} is a request; use http_call for it")
    if missing := [name for name in entry.environment if name not in os.environ]:
        raise TargetUnreachable(
            f"{scope.target}: the remediator has no variable {missing[0]}; set it, or remove it from environment"
        )
    yield CheckedSession(scope, entry, partial(_effect, scope, entry))


def _write_fix(scope: Scope, _causes: Sequence[Cause]) -> Fix:
    return Fix(
        f"The command {scope.target.name} repairs by hand what the application or its schedule should: let the program"
        " that causes the alert do it by itself, or run the command from a timer, before the alert's limit."
    )


REMEDIATION = Remediation(
    name="run_command",
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
    words=ActWords("Run the command {}", "Ran the command {}"),
    needs=Needs(lambda stack, name: isinstance(stack.commands[name], CommandEntry), "argv"),
)
