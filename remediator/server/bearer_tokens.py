"""Bearer tokens, compared in constant time. A token file that has changed is re-read."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiohttp import hdrs, web

from remediator.model.errors import OperatorRemoved
from runbookd.inventory import Secret, SecretError


class BearerTokens:
    """The tokens of named senders; `place` and a name give where its file is configured.

    With `basic`, a token may also be the password of basic authentication, with any user name. Do not use it for
    operators: a browser would send the password with every request that a web page makes.
    """

    def __init__(self, files: Mapping[str, Path], place: str, *, basic: bool = False) -> None:
        self._basic = basic
        self._file_stamps: dict[str, tuple[int, int, int] | None] = {}
        self._cached_tokens: dict[str, str | None] = {}
        self._place = place
        self._files = self._secrets(files)
        self._removed_tokens: dict[bytes, str] = {}

    def replace(self, files: Mapping[str, Path]) -> None:
        """Accept the tokens in `files` from now on; those of removed senders are answered as such."""
        for name in self._files.keys() - files.keys():
            token = self._cached_tokens.get(name) or self._current_token(name)
            if token is not None:
                self._removed_tokens[_digest(_bytes(token))] = name
        self._files = self._secrets(files)
        self._file_stamps.clear()  # a name may have another file now

    def _secrets(self, files: Mapping[str, Path]) -> Mapping[str, Secret]:
        return {name: Secret(self._place.format(name), None, file) for name, file in files.items()}

    def __bool__(self) -> bool:
        return bool(self._files)

    def check(self) -> Sequence[str]:
        """Return the problems of the token files, one line each."""
        return [problem for secret in self._files.values() if (problem := _problem(secret)) is not None]

    def authenticate(self, request: web.Request) -> str:
        """Return the name of the sender of `request`.

        Raises:
            HTTPUnauthorized: the request carries no token, or that of a removed sender.
            HTTPForbidden: no sender has this token.
            HTTPServiceUnavailable: no sender has this token, but one of the files cannot be read.
        """
        token = self._token(request.headers.get(hdrs.AUTHORIZATION, ""))
        if not token:
            raise web.HTTPUnauthorized(
                text="no token; send a bearer token\n", headers={hdrs.WWW_AUTHENTICATE: "Bearer"}
            )
        tokens_by_name = {name: self._current_token(name) for name in self._files}
        for name, accepted_token in tokens_by_name.items():
            if accepted_token is not None and hmac.compare_digest(_bytes(accepted_token), token):
                return name
        if None in tokens_by_name.values():  # the file may be being replaced right now, so a retry may succeed
            raise web.HTTPServiceUnavailable(text="cannot read a token file; try again\n")
        if removed_name := self._removed_tokens.get(_digest(token)):
            raise web.HTTPUnauthorized(text=f"{OperatorRemoved(removed_name)}\n")
        place = self._place.format("NAME")
        raise web.HTTPForbidden(text=f"this bearer token is not accepted; send the one in the file of {place}\n")

    def _current_token(self, name: str) -> str | None:
        """Return the token in the file now, or None if the file cannot be read."""
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
    """Return a value that changes with the file, so that the token is re-read only then."""
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


def _digest(token: bytes) -> bytes:
    """Return a key under which a token can be remembered without keeping it."""
    return hashlib.sha256(token).digest()


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
