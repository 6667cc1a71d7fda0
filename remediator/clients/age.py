"""Encrypts files and decrypts streams with age (https://age-encryption.org), in threads and in little memory.

A stream of age is authenticated piece by piece and has a marked end: what was cut or changed does not decrypt.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyrage

from remediator.model.errors import BackupLocked, BackupUnreadable

MAGIC = b"age-encryption.org/v1"
ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
_IDENTITY = "AGE-SECRET-KEY-"
_PIPE_BYTES = 1024**2


class IdentityError(ValueError):
    """A text holds no usable identity; the message quotes none of it."""


def encrypt_file(source: Path, target: Path, recipients: Sequence[str]) -> None:
    """Encrypt `source` to the new file `target`, which only this user may read."""
    keys = [pyrage.x25519.Recipient.from_str(each) for each in recipients]
    with (
        source.open("rb") as content,
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output,
    ):
        pyrage.encrypt_io(content, output, keys)


def read_identities(text: str) -> list[Any]:
    """Return the identities of a file as `age-keygen` writes it.

    Raises:
        IdentityError: there is none, or one is damaged.
    """
    lines = [line.strip() for line in text.splitlines()]
    try:
        identities = [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith(_IDENTITY)]
    except pyrage.IdentityError:
        raise IdentityError("an identity in it is damaged; write the file again with age-keygen") from None
    if not identities:
        raise IdentityError(f"it has no line that begins with {_IDENTITY}; age-keygen writes such a file")
    return identities


def public_keys(text: str) -> list[str]:
    """Return the public keys of the identities in `text`."""
    return [str(each.to_public()) for each in read_identities(text)]


async def decrypt(chunks: AsyncIterator[bytes], identities: Sequence[Any]) -> AsyncIterator[bytes]:
    """Yield the decrypted content of `chunks`.

    Raises:
        BackupUnreadable: it is encrypted for another key, or was cut or changed.
    """
    loop = asyncio.get_running_loop()
    encrypted_read, encrypted_write = os.pipe()
    plain_read, plain_write = os.pipe()
    work = loop.run_in_executor(None, _decrypt, encrypted_read, plain_write, identities)
    feeding = asyncio.create_task(_feed(encrypted_write, chunks))
    stream = asyncio.StreamReader(limit=_PIPE_BYTES)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(plain_read, "rb", 0)
    )
    try:
        while chunk := await stream.read(_PIPE_BYTES):
            yield chunk
        problem = await work
        await feeding  # an error of the source explains a stream that ends too early
        if problem is not None:
            raise problem
    finally:
        transport.close()  # the thread's next write fails, and it ends
        feeding.cancel()
        with suppress(BaseException):
            await feeding


def _decrypt(source: int, target: int, identities: Sequence[Any]) -> BackupUnreadable | None:
    """Decrypt from one pipe to another; return what is wrong with the content."""
    with os.fdopen(source, "rb") as encrypted, suppress(BrokenPipeError), os.fdopen(target, "wb") as plain:
        try:
            pyrage.decrypt_io(encrypted, plain, identities)
        except pyrage.DecryptError as error:
            if "No matching keys" in str(error):
                return BackupLocked("it is encrypted for another key than those of decrypt.identity_file")
            return BackupUnreadable(f"its encryption is damaged: {error}")
        except OSError as error:
            return BackupUnreadable(f"its encrypted content was cut or changed: {error}")
    return None


async def _feed(pipe: int, chunks: AsyncIterator[bytes]) -> None:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(pipe, "wb", 0)
    )
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # the thread has ended, and tells why
            async for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
    finally:
        writer.close()
