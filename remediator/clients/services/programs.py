"""Runs the program of a manager, or the test of a configuration, with deadlines and without our environment."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta

from remediator.clients.child_process import CommandOutput, run_reading
from remediator.masking import mask_text
from remediator.model.errors import TargetUnreachable
from runbookd.inventory import format_duration

MAX_BYTES = 4 * 1024 * 1024


async def run_program(
    place: str, command: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None
) -> CommandOutput:
    """Run `command` to its end; nothing of the remediator's environment but PATH reaches it.

    Raises:
        TargetUnreachable: it cannot be started, or takes too long.
    """
    variables = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **(environment or {})}
    try:
        async with asyncio.timeout(seconds):
            return await run_reading(command, variables, MAX_BYTES)
    except TimeoutError:
        limit = format_duration(timedelta(seconds=seconds))
        raise TargetUnreachable(f"{place}: {command[0]} did not end within {limit}; check that it answers") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TargetUnreachable(
            f"{place}: cannot start {command[0]} ({reason}); install it, or put it on PATH"
        ) from None


async def run_test(place: str, arguments: Sequence[str], seconds: float) -> str | None:
    """Run the test of a configuration on this machine; return why it failed, or None."""
    result = await run_program(place, arguments, seconds)
    return None if result.status == 0 else f"{arguments[0]} {failure_text(result)}"


def failure_text(result: CommandOutput) -> str:
    """Return how a program ended, with its masked last error."""
    how = f"ended with {result.status}" if result.status >= 0 else f"was killed by signal {-result.status}"
    return f"{how}: {mask_text(result.error_line)}" if result.error_line else how
