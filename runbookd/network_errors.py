"""Explains failed connections in plain words."""

import errno
import re
import socket

REMEDY = "check the address, and that the server is up"
_TEXTS = {
    errno.ECONNREFUSED: "the connection is refused",
    errno.ECONNRESET: "the server closed the connection",
    errno.EPIPE: "the server closed the connection",
    errno.EHOSTUNREACH: "the host cannot be reached",
    errno.ENETUNREACH: "the network of the host cannot be reached",
    errno.ETIMEDOUT: "no answer in time",
    errno.ENOENT: "the socket does not exist",
    errno.EACCES: "this user may not use the socket",
}
# The address in asyncio's text, as in "[Errno 111] Connect call failed ('127.0.0.1', 5432)".
_ADDRESS = re.compile(r"Connect call failed \('([^']+)', (\d+)")
_NUMBER = re.compile(r"\[Errno (\d+)\]")  # of the first address, where several were tried


def network_error_text(error: OSError) -> str:
    """Return the cause, with the address if the error names it; the remedy is mostly `REMEDY`."""
    if isinstance(error, socket.gaierror):
        return "its host name is unknown"
    if isinstance(error, TimeoutError):
        return _TEXTS[errno.ETIMEDOUT]
    number = error.errno if error.errno is not None else _number_of(error)
    text = _TEXTS.get(number or 0) or error.strerror or str(error) or "the connection failed"
    address = _ADDRESS.search(str(error))
    return f"{address[1]}:{address[2]}: {text}" if address else text


def _number_of(error: OSError) -> int | None:
    if isinstance(error, ConnectionResetError | ConnectionAbortedError):  # asyncio raises it without a number
        return errno.ECONNRESET
    match = _NUMBER.search(str(error))
    return int(match[1]) if match else None
