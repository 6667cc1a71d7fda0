"""Reads through the encryption and the packing of a backup, recognized by its first bytes and not by its name."""

import asyncio
import bz2
import lzma
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from remediator.clients import age
from remediator.model.errors import BackupLocked, BackupUnreadable

PEEK_BYTES = 512
PIECE_BYTES = 1024**2  # of unpacked content at a time: a small file may unpack to a large one
MAX_LAYERS = 4


class _Decompressor(Protocol):
    """The interface that bz2 and lzma share."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""

    @property
    def unused_data(self) -> bytes:
        """The input after the end."""

    @property
    def needs_input(self) -> bool:
        """Whether everything of the last input was used."""

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes:
        """Return at most `max_length` bytes."""


class _Gunzip:
    """zlib with the interface of bz2 and lzma."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = PIECE_BYTES, /) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)


PACKINGS: dict[bytes, tuple[str, Callable[[], _Decompressor]]] = {
    b"\x1f\x8b": ("gzip", _Gunzip),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMADecompressor),
}
UNREADABLE = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"PK\x03\x04": "zip", b"7z\xbc\xaf": "7z"}


@dataclass(frozen=True)
class Peeled:
    """The content of a backup without its layers, its first bytes, and what was taken off.

    `is_locked`: it is encrypted, and without identities the content is the encrypted one.
    """

    head: bytes
    chunks: AsyncIterator[bytes]
    encryption: str = ""
    packings: tuple[str, ...] = ()
    is_locked: bool = False


async def peel(chunks: AsyncIterator[bytes], identities: Sequence[Any]) -> Peeled:
    """Take the layers off; reading the content to its end proves them whole.

    Raises:
        BackupUnreadable: here or while reading, if a layer is damaged.
    """
    encryption, packings = "", tuple[str, ...]()
    for _ in range(MAX_LAYERS):
        head, chunks = await _peek(chunks)
        packing = next((PACKINGS[magic] for magic in PACKINGS if head.startswith(magic)), None)
        if head.startswith((age.MAGIC, age.ARMOR)):
            encryption = "age"
            if not identities:
                return Peeled(head, chunks, encryption, packings, is_locked=True)
            chunks = age.decrypt(chunks, identities)
        elif packing is not None:
            packings += (packing[0],)
            chunks = _unpack(chunks, *packing)
        else:
            return Peeled(head, chunks, encryption, packings)
    raise BackupUnreadable(f"it has more than {MAX_LAYERS} layers of packing")


async def decrypted(chunks: AsyncIterator[bytes], identities: Sequence[Any]) -> AsyncIterator[bytes]:
    """Take only the encryption off.

    Raises:
        BackupLocked: it is encrypted, and there are no identities.
    """
    head, chunks = await _peek(chunks)
    if not head.startswith((age.MAGIC, age.ARMOR)):
        return chunks
    if not identities:
        raise BackupLocked("it is encrypted, and the inventory has no decrypt")
    return age.decrypt(chunks, identities)


def unreadable_packing(head: bytes) -> str | None:
    """Return the name of a packing that cannot be unpacked here."""
    return next((name for magic, name in UNREADABLE.items() if head.startswith(magic)), None)


async def _peek(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """Return the first bytes, and all of the content with them."""
    start = b""
    async for chunk in chunks:
        start += chunk
        if len(start) >= PEEK_BYTES:
            break
    return start[:PEEK_BYTES], _chain(start, chunks)


async def _chain(start: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if start:
        yield start
    async for chunk in rest:
        yield chunk


async def _unpack(chunks: AsyncIterator[bytes], name: str, new: Callable[[], _Decompressor]) -> AsyncIterator[bytes]:
    """Yield the unpacked content: one or more streams, with zeros after the last as a tape leaves them."""
    stream: _Decompressor | None = None
    async for chunk in chunks:
        data = chunk
        while data or (stream is not None and not stream.eof and not stream.needs_input):
            if stream is None or stream.eof:
                data = data.lstrip(b"\x00") if stream is not None else data
                if not data:
                    break
                stream = new()
            piece = await _decompress(stream, data, name)
            data = stream.unused_data if stream.eof else b""
            if piece:
                yield piece
    while stream is not None and not stream.eof and (piece := await _decompress(stream, b"", name)):
        yield piece
    if stream is None or not stream.eof:
        raise BackupUnreadable(f"its {name} data ends too early: it was cut")


async def _decompress(stream: _Decompressor, data: bytes, name: str) -> bytes:
    try:
        return await asyncio.to_thread(stream.decompress, data, PIECE_BYTES)
    except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
        raise BackupUnreadable(f"its {name} data is damaged: {error}") from None
