"""The metrics page: content negotiation (text 0.0.4 or OpenMetrics, gzip) as prometheus_client does it."""

import asyncio
import gzip
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import hdrs, web
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector

from runbookd.service.exposition import encode

# Measured (make bench): level 6 takes three times as long as level 1 for a tenth less, level 9 nine times as long.
GZIP_LEVEL = 1
# Its own: names are looked up in asyncio's threads, and where no name server answers all of them wait for long.
_COMPRESSION_THREAD = ThreadPoolExecutor(1, "gzip")


def metrics_response(source: Collector, request: web.Request) -> Awaitable[web.Response]:
    """Return everything that `source` (a registry, or families collected already) holds, as the client asks for it.

    It is encoded before this returns: what many scrapes at once then wait with is bytes, not families.
    """
    encoder, content_type = choose_encoder(",".join(request.headers.getall(hdrs.ACCEPT, [])))
    # Not aiohttp's compression: it would choose deflate first, which Prometheus can not read.
    compress = gzip_accepted(",".join(request.headers.getall(hdrs.ACCEPT_ENCODING, [])))
    return _response(encode(source, encoder), {hdrs.CONTENT_TYPE: content_type}, compress=compress)


async def _response(body: bytes, headers: dict[str, str], *, compress: bool) -> web.Response:
    if compress:
        headers[hdrs.CONTENT_ENCODING] = web.ContentCoding.gzip.value
        # In a thread, where it holds no lock of Python's: nothing else has to wait for it.
        body = await asyncio.get_running_loop().run_in_executor(_COMPRESSION_THREAD, _compress, body)
    return web.Response(body=body, headers=headers)


def _compress(body: bytes) -> bytes:
    return gzip.compress(body, GZIP_LEVEL, mtime=0)
