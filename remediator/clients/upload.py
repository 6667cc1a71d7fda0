"""Uploads a backup: understands the storage's answers, and retries those after which a retry is safe.

A retry is safe because each request refuses to replace an object, or follows a look at the name. An object that an
earlier request stored although its answer was lost is recognized by the caller, by its content.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path

from obstore.exceptions import AlreadyExistsError, BaseError, UnauthenticatedError

from remediator.clients.backup_store import BackupFolder
from remediator.clients.object_store import code_of, status_of

STORAGE_ERRORS = (BaseError, OSError, NotImplementedError)
PAUSES = (1, 2, 4, 8, 15, 30)  # seconds between the requests; one minute in all
_BUSY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
# S3: another request for the same name is under way, so nothing was decided about this one.
_CONFLICTS = frozenset({"ConditionalRequestConflict", "OperationAborted"})
_BUSY_CODES = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "ThrottlingException"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})


class Answer(Enum):
    """The meaning of a storage's refusal."""

    EXISTS = auto()  # the name is taken
    AGAIN = auto()  # busy, unreachable, a conflict, or credentials that have expired since they were read
    NOT_CONDITIONAL = auto()  # the storage cannot refuse to replace an object
    REFUSED = auto()


def meaning_of(error: Exception) -> Answer:
    """Return the meaning of an error of the storage."""
    status, code = status_of(error), code_of(error)
    if code in _CONFLICTS | _BUSY_CODES | _EXPIRED or isinstance(error, UnauthenticatedError):
        return Answer.AGAIN
    if isinstance(error, AlreadyExistsError):
        return Answer.EXISTS
    if isinstance(error, NotImplementedError) or status == 501 or "If-None-Match" in str(error):
        return Answer.NOT_CONDITIONAL
    if status in _BUSY_STATUS or (status is None and _is_transport(error)):
        return Answer.AGAIN
    return Answer.REFUSED


def _is_transport(error: Exception) -> bool:
    """Return whether the connection failed, or an answer was cut."""
    return "HTTP error" in str(error) or "Content-Range" in str(error) or isinstance(error, TimeoutError)


async def upload(open_folder: Callable[[], BackupFolder], name: str, file: Path, size: int) -> str:
    """Store `file` under the unused `name`; return a note for the operator, or an empty text.

    Each request opens the folder again, and with it reads the credentials, which may have been replaced.

    Raises:
        Exception: one of STORAGE_ERRORS, after the last retry.
    """
    conditional, pauses = True, list(PAUSES)
    while True:
        try:
            await open_folder().create(name, file, size, conditional=conditional)
            return (
                "" if conditional else "the storage cannot refuse to replace an object, so the name was checked first"
            )
        except STORAGE_ERRORS as error:
            match meaning_of(error):
                case Answer.NOT_CONDITIONAL if conditional:
                    conditional = False
                case Answer.AGAIN if pauses:
                    await asyncio.sleep(pauses.pop(0))
                case _:
                    raise


async def read_digest(open_folder: Callable[[], BackupFolder], name: str) -> str | None:
    """Return the SHA-256 of the stored content, or None; retry an answer that was cut."""
    for pause in PAUSES[:2]:
        try:
            return await open_folder().digest(name)
        except STORAGE_ERRORS as error:
            if meaning_of(error) is not Answer.AGAIN:
                raise
        await asyncio.sleep(pause)
    return await open_folder().digest(name)
