"""The kill switch: a person's word in the ledger, or a file. Asked in the transaction of every effect's intent.

The file is for the moment in which nothing else works: `touch` needs no token, no network and no daemon that answers.
"""

import os
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.ledger import switches

MAX_REASON = 200  # characters of the file, which anybody may have written


async def pause_reason(connection: AsyncConnection, context: Context, stack: str) -> str | None:
    """Why nothing may be done for `stack`, or None."""
    return read_pause_file(context.pause_file) or await switches.stored_pause_reason(
        connection, context.clock.now(), stack
    )


def read_pause_file(file: Path | None) -> str | None:
    """What the file says; None where there is no file. One that can not be read, or looked for, pauses as well."""
    if file is None:
        return None
    try:
        with open(file, encoding="utf-8", errors="replace", opener=_open_nonblocking) as stream:
            text = " ".join(stream.read(MAX_REASON).split())
    except FileNotFoundError:
        return _missing_file_reason(file)
    except OSError as error:
        return f"the file {file} can not be read: {error.strerror}"
    return f"{text or 'no reason given'} (the file {file})"


def _missing_file_reason(file: Path) -> str | None:
    if file.is_symlink():
        return f"the file {file} leads nowhere"
    return None if file.parent.is_dir() else f"the file {file}: its folder is gone"


def _open_nonblocking(path: str, flags: int) -> int:
    """A pipe would keep the whole process waiting for somebody who writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)
