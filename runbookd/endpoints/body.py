"""Reads a body up to a limit, compressed or not: neither an endless one nor a bomb takes more memory than that."""

import zlib
from collections.abc import AsyncIterable

MAX_WINDOW = 47  # zlib: gzip or deflate, whichever the header says
READ = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})


class BodyProblem(Exception):
    """The body cannot be read; the text says why, and shows nothing of it."""


async def read_body(chunks: AsyncIterable[bytes], encoding: str, limit: int, limit_name: str = "body_limit") -> bytes:
    """Return the whole body, decompressed.

    Raises:
        BodyProblem: it is larger than `limit` bytes, or compressed in a way that is not read here.
    """
    encoding = encoding.strip().lower()
    if encoding not in READ:
        raise BodyProblem(f"the body is compressed with {encoding[:20]!r}, although the request allows none")
    inflate = None if encoding in ("", "identity") else zlib.decompressobj(MAX_WINDOW)
    body = bytearray()  # bytes would be copied for each chunk: quadratic, and seconds for a large body
    async for chunk in chunks:
        body += chunk if inflate is None else _inflate(inflate, chunk, limit + 1 - len(body))
        if len(body) > limit or (inflate is not None and inflate.unconsumed_tail):
            raise BodyProblem(f"the body is larger than {limit_name} ({limit} bytes)")
    return bytes(body)


def _inflate(inflate: "zlib._Decompress", chunk: bytes, room: int) -> bytes:
    try:
        return inflate.decompress(chunk, max(room, 1))
    except zlib.error:
        raise BodyProblem("the compressed body is malformed") from None
