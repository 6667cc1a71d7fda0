"""Tokens: who sent a request, told in constant time. A token file that has changed is read anew."""

import base64
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiohttp import hdrs, web

from runbookd.inventory import Secret, SecretError


class BearerTokens:
    """The tokens of some senders, each known by a name; `place` with that name says where its file is named.

    With `basic`, a token may also come as the password of basic authentication, whatever the user's name. Not for what
    people use: a browser would send it along wherever a page tells it to.
    """

    def __init__(self, files: Mapping[str, Path], place: str, *, basic: bool = False) -> None:
        self._basic = basic
        self._file_stamps: dict[str, tuple[int, int, int] | None] = {}
        self._cached_tokens: dict[str, str | None] = {}
        self._files = {name: Secret(place.format(name), None, file) for name, file in files.items()}

    def __bool__(self) -> bool:
        return bool(self._files)

    def check(self) -> Sequence[str]:
        """What is wrong with the token files, a line each."""
        return [problem for secret in self._files.values() if (problem := _problem(secret)) is not None]

    def authenticate(self, request: web.Request) -> str:
        """The name of who sent `request`.

        Raises:
            HTTPUnauthorized: it carries no token.
            HTTPForbidden: its token is nobody's.
            HTTPServiceUnavailable: its token is nobody's, but one of the files can not be read.
        """
        token = self._token(request.headers.get(hdrs.AUTHORIZATION, ""))
        if not token:
            raise web.HTTPUnauthorized(text="a bearer token is needed\n", headers={hdrs.WWW_AUTHENTICATE: "Bearer"})
        tokens_by_name = {name: self._current_token(name) for name in self._files}
        for name, accepted_token in tokens_by_name.items():
            if accepted_token is not None and hmac.compare_digest(_bytes(accepted_token), token):
                return name
        if None in tokens_by_name.values():  # it may be being replaced right now, so it is worth trying again
            raise web.HTTPServiceUnavailable(text="a token file can not be read; try again\n")
        raise web.HTTPForbidden(text="this bearer token is not accepted\n")

    def _current_token(self, name: str) -> str | None:
        """The token in the file now, or None where it can not be read."""
        secret = self._files[name]
        stamp = _file_stamp(secret)
        if stamp is None or self._file_stamps.get(name) != stamp:
            self._file_stamps[name], self._cached_tokens[name] = stamp, _read(secret)
        return self._cached_tokens[name]

    def _token(self, header: str) -> bytes:
        scheme, _, rest = header.partition(" ")
        if scheme.lower() == "bearer":
            return _bytes(rest.strip())
        return _password(rest.strip()) if self._basic and scheme.lower() == "basic" else b""


def _file_stamp(secret: Secret) -> tuple[int, int, int] | None:
    """What is another one after every change of the file; reading it at each delivery costs too much."""
    try:
        status = (secret.file or Path()).stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _password(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2]
    except ValueError:
        return b""


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
