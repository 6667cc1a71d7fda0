"""The kill switch: an operator's pause in the ledger, or a file. Read in the transaction of every effect's intent.

The file is for the moment in which nothing else works: `touch` needs no token, no network and no running daemon.
"""

import os
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.ledger import switches

MAX_REASON = 200  # characters; any user of the host may have written the file


async def pause_reason(connection: AsyncConnection, context: Context, stack: str) -> str | None:
    """Return why `stack` is paused, or None."""
    return read_pause_file(context.pause_file) or await switches.stored_pause_reason(
        connection, context.clock.now(), stack
    )


def read_pause_file(file: Path | None) -> str | None:
    """Return the reason in the file, or None without one; an unreadable file pauses as well."""
    if file is None:
        return None
    try:
        with open(file, encoding="utf-8", errors="replace", opener=_open_nonblocking) as stream:
            text = " ".join(stream.read(MAX_REASON).split())
    except FileNotFoundError:
        return _missing_file_reason(file)
    except OSError as error:
        return f"cannot read the file {file}: {error.strerror}"
    return f"{text or 'no reason given'} (the file {file})"


def _missing_file_reason(file: Path) -> str | None:
    if file.is_symlink():
        return f"the file {file} is a broken symbolic link"
    return None if file.parent.is_dir() else f"the folder of the file {file} is missing"


def _open_nonblocking(path: str, flags: int) -> int:
    """Open without blocking: a named pipe would halt the process until it has a writer."""
    return os.open(path, flags | os.O_NONBLOCK)
