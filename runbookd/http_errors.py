"""Explains failed HTTP requests in plain words. The library's own repeat the address, with its password and query."""

import ssl

import aiohttp
from aiohttp import client_exceptions as errors

from runbookd.network_errors import REMEDY, network_error_text

# The first match counts, so that a class stands before its bases.
_TEXTS: dict[type[BaseException], str] = {
    errors.ClientConnectorDNSError: "the name of the host cannot be resolved; check it and the name server",
    errors.InvalidUrlRedirectClientError: "it redirects to something that is not an address; correct its redirect",
    errors.NonHttpUrlRedirectClientError: "it redirects to something that is not a web page; correct its redirect",
    aiohttp.InvalidURL: "not an address; write it as https://host/path",
    aiohttp.TooManyRedirects: "it redirects without an end; correct its redirects",
    aiohttp.ClientPayloadError: "the answer broke off or is malformed; check the server and the proxies before it",
    aiohttp.ClientResponseError: "the answer is not valid HTTP; check that a web server listens there",
    aiohttp.ServerDisconnectedError: "the server closed the connection without an answer; check that it is up",
    TimeoutError: f"no answer in time; {REMEDY}",
}


def http_error_text(error: Exception) -> str:
    """Return cause and remedy of a request that had no response, without a part of its address."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"TLS: {_certificate_text(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientSSLError):
        return "TLS: the handshake failed; check that the port speaks TLS"
    for kind, text in _TEXTS.items():
        if isinstance(error, kind):
            return text
    if isinstance(error, OSError):
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        return f"{network_error_text(cause)}; {REMEDY}"
    return f"the request failed ({type(error).__name__}); check the address"


def _certificate_text(error: Exception) -> str:
    reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else "it does not fit the host"
    return f"the certificate is refused ({reason}); renew or correct it"
