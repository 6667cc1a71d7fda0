"""Bearer tokens: who sent a request, told in constant time. A token file is read anew at each request."""

import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiohttp import hdrs, web

from inventory import Secret, SecretError


class Bearers:
    """The tokens of some senders, each known by a name; `place` with that name says where its file is named."""

    def __init__(self, files: Mapping[str, Path], place: str) -> None:
        self._files = {name: Secret(place.format(name), None, file) for name, file in files.items()}

    def __bool__(self) -> bool:
        return bool(self._files)

    def check(self) -> Sequence[str]:
        """What is wrong with the token files, a line each."""
        return [problem for secret in self._files.values() if (problem := _problem(secret)) is not None]

    def sender(self, request: web.Request) -> str:
        """The name of who sent `request`.

        Raises:
            HTTPUnauthorized: it carries no bearer token.
            HTTPForbidden: its token is nobody's.
            HTTPServiceUnavailable: its token is nobody's, but one of the files can not be read.
        """
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise web.HTTPUnauthorized(text="a bearer token is needed\n", headers={hdrs.WWW_AUTHENTICATE: "Bearer"})
        accepted = {name: _read(secret) for name, secret in self._files.items()}
        for name, known in accepted.items():
            if known is not None and hmac.compare_digest(_bytes(known), _bytes(token.strip())):
                return name
        if None in accepted.values():  # it may be being replaced right now, so it is worth trying again
            raise web.HTTPServiceUnavailable(text="a token file can not be read; try again\n")
        raise web.HTTPForbidden(text="this bearer token is not accepted\n")


def _bytes(token: str) -> bytes:
    return token.encode("utf-8", "surrogateescape")  # a header may hold any bytes


def _read(secret: Secret) -> str | None:
    try:
        return secret.read()
    except SecretError:
        return None


def _problem(secret: Secret) -> str | None:
    try:
        secret.read()
    except SecretError as error:
        return str(error)
    return None
