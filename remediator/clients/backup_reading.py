"""Reads a whole backup of any maker, and tells what that proves.

The format is recognized by the content: an archive of pg_dump, plain SQL, or tar, in gzip, bzip2 or xz, in age.
"""

import asyncio
import hashlib
import os
import re
import shutil
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remediator.clients.backup_access import program_environment
from remediator.clients.backup_layers import Peeled, peel, unreadable_packing
from remediator.clients.child_process import run_command
from remediator.clients.tar_end import TarEnd, is_tar
from remediator.model.errors import BackupUnreadable, TargetUnreachable
from runbookd.inventory import Check

ARCHIVE = b"PGDMP"
TAIL_BYTES = 8192
CHUNK_BYTES = 1024**2
UNPACKERS = frozenset({"gunzip", "gzip", "zcat", "pigz", "bunzip2", "bzip2", "xz", "unxz", "zstd", "lz4"})
READ_ARCHIVE = ("pg_restore", "--file=/dev/null")
_PLAIN = re.compile(rb"\A(?:\xef\xbb\xbf)?--\r?\n-- PostgreSQL database (?:cluster )?dump\r?\n")
_END = re.compile(rb"^-- PostgreSQL database (?:cluster )?dump complete\s*$", re.MULTILINE)
# pg_dump goes on after its last line: with empty comments, and since 2025 with the end of its restriction.
_AFTER_END = re.compile(rb"(?:\s|--)*(?:\\unrestrict [A-Za-z0-9]+\r?\n)?(?:\s|--)*")


@dataclass(frozen=True)
class BackupReading:
    """The result of a complete reading. `content` names the format, `checks` what was proven about it."""

    content: str
    checks: frozenset[Check]
    size: int
    sha256: str
    encryption: str = ""
    is_locked: bool = False


@dataclass
class _Digest:
    """The size and the SHA-256 of what went through."""

    size: int = 0
    sha256: Any = field(default_factory=hashlib.sha256)

    async def follow(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for chunk in chunks:
            self.size += len(chunk)
            self.sha256.update(chunk)
            yield chunk


async def read_backup(
    chunks: AsyncIterator[bytes], identities: Sequence[Any], read_archive: Sequence[str] = READ_ARCHIVE
) -> BackupReading:
    """Read `chunks` to their end; an archive is read by `read_archive`.

    Raises:
        BackupUnreadable: the backup is damaged, cut, empty, or encrypted for another key.
        TargetUnreachable: the program that reads it is missing.
    """
    digest = _Digest()
    async with aclosing(digest.follow(chunks)) as source:
        peeled = await peel(source, identities)
        content, checks = await _read(peeled, read_archive)
        async for _ in source:  # the rest, if a program did not need it
            pass
    return BackupReading(
        content, checks, digest.size, digest.sha256.hexdigest(), peeled.encryption, is_locked=peeled.is_locked
    )


async def read_file(file: Path) -> AsyncGenerator[bytes, None]:
    """Yield the content of a local file."""
    with file.open("rb") as content:
        while chunk := await asyncio.to_thread(content.read, CHUNK_BYTES):
            yield chunk


async def write_file(chunks: AsyncIterator[bytes], file: Path) -> None:
    """Write the new file, which only this user may read."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
        async for chunk in chunks:
            await asyncio.to_thread(output.write, chunk)


async def _read(peeled: Peeled, read_archive: Sequence[str]) -> tuple[str, frozenset[Check]]:
    head, chunks = peeled.head, peeled.chunks
    unpacked = frozenset({Check.DECOMPRESSION}) if peeled.packings else frozenset()
    if not head:
        raise BackupUnreadable("it holds nothing" + (" once it is unpacked" if peeled.packings else ""))
    if peeled.is_locked:
        await _skim(chunks)
        return "encrypted content", frozenset()
    if head.startswith(ARCHIVE):
        await run_reader(read_archive, chunks)
        return "archive of pg_dump", unpacked | {Check.END, Check.STRUCTURE}
    if is_tar(head):  # also of pg_dump: pg_restore waits for ever at the end of one that was cut
        return f"tar archive of {await _read_tar(chunks)} members", unpacked | {Check.END}
    if is_plain(head):
        await _read_plain(chunks)
        return "plain SQL of pg_dump", unpacked | {Check.END}
    await _skim(chunks)
    packing = unreadable_packing(head)
    return f"content packed with {packing}" if packing else "content of an unknown format", unpacked


def is_plain(head: bytes) -> bool:
    """Return whether content that begins with `head` is plain SQL of pg_dump."""
    return _PLAIN.match(head) is not None


async def run_reader(command: Sequence[str], chunks: AsyncIterator[bytes]) -> None:
    """Let a program read `chunks` to their end.

    Raises:
        BackupUnreadable: it refuses them.
        TargetUnreachable: there is no such program.
    """
    environment = program_environment()
    if shutil.which(command[0], path=environment["PATH"]) is None:
        raise TargetUnreachable(f"cannot start {command[0]}: no such program; install it, or put it on PATH")
    result = await run_command(command, environment, stdin=chunks)
    if not result.ok:
        raise BackupUnreadable(f"{Path(command[0]).name} cannot read it to its end: it {result}")


def completed_checks(check: Sequence[str]) -> frozenset[Check]:
    """Return what a stored backup has passed whose content `check` has read.

    An unpacker proves less: a dump that was cut before compression also unpacks.
    """
    program = Path(check[0]).name
    if program in UNPACKERS:
        return frozenset({Check.CHECKSUM, Check.DECOMPRESSION})
    structure = {Check.STRUCTURE} if program == "pg_restore" else set()
    return frozenset({Check.CHECKSUM, Check.END} | structure)


async def _read_tar(chunks: AsyncIterator[bytes]) -> int:
    archive = TarEnd()
    async for chunk in chunks:
        archive.feed(chunk)
    archive.require_end()
    return archive.members


async def _read_plain(chunks: AsyncIterator[bytes]) -> None:
    tail = b""
    async for chunk in chunks:
        tail = (tail + chunk)[-TAIL_BYTES:]
    ends = deque(_END.finditer(tail), maxlen=1)
    if not ends or _AFTER_END.fullmatch(tail, ends[0].end()) is None:
        raise BackupUnreadable("its last line is not the one with which pg_dump ends a complete dump: it was cut")


async def _skim(chunks: AsyncIterator[bytes]) -> None:
    async for _ in chunks:
        pass
