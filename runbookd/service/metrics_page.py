"""Answers a scrape with the content negotiation of prometheus_client (format and gzip)."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import hdrs, web
from isal import isal_zlib
from prometheus_client.exposition import gzip_accepted

from runbookd.service.exposition import Format

# Measured (make bench): zlib's level 1 takes about five times as long for a page that is larger by 12 %.
GZIP_LEVEL, GZIP_WINDOW = 2, 31  # the latter asks for gzip's header
# Not asyncio's threads: name lookups run there, and block all of them if no name server answers.
_ENCODING_THREAD = ThreadPoolExecutor(1, "metrics page")


async def metrics_response(encode: Callable[[Format], bytes], request: web.Request) -> web.Response:
    """Return the page of `encode` in the format and encoding that the client accepts.

    A thread encodes and compresses it, so that the event loop keeps serving; compression releases Python's lock.
    """
    format = Format.accepted(",".join(request.headers.getall(hdrs.ACCEPT, [])))
    headers = {hdrs.CONTENT_TYPE: format.content_type}
    # Not aiohttp's compression: it prefers deflate, which Prometheus cannot read.
    if compressed := gzip_accepted(",".join(request.headers.getall(hdrs.ACCEPT_ENCODING, []))):
        headers[hdrs.CONTENT_ENCODING] = web.ContentCoding.gzip.value
    body = await asyncio.get_running_loop().run_in_executor(_ENCODING_THREAD, _body, encode, format, compressed)
    return web.Response(body=body, headers=headers)


def _body(encode: Callable[[Format], bytes], format: Format, compressed: bool) -> bytes:
    page = encode(format)
    return isal_zlib.compress(page, GZIP_LEVEL, GZIP_WINDOW) if compressed else page
