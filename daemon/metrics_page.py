"""The metrics page: content negotiation (text 0.0.4 or OpenMetrics, gzip) around prometheus_client's encoders."""

from aiohttp import hdrs, web
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector


def metrics_response(source: Collector, request: web.Request) -> web.Response:
    """Return everything that `source` (a registry, or families collected already) holds, as the client asks for it."""
    encode, content_type = choose_encoder(",".join(request.headers.getall(hdrs.ACCEPT, [])))
    response = web.Response(body=encode(source), headers={hdrs.CONTENT_TYPE: content_type})
    # aiohttp would choose deflate first, which Prometheus can not read.
    if gzip_accepted(",".join(request.headers.getall(hdrs.ACCEPT_ENCODING, []))):
        response.enable_compression(web.ContentCoding.gzip)
    return response
