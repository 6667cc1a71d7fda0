"""The cookie of a session. Under TLS its name has the prefix that keeps other hosts and plain HTTP from setting it."""

import re
import secrets

from aiohttp import web

from remediator.console.sign_in.credentials import LASTS_FOR

_SECURE_NAME, _PLAIN_NAME = "__Host-runbookd", "runbookd_session"
_SHAPE = re.compile(r"[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """Return the random token of a new session: 256 bits."""
    return secrets.token_urlsafe(32)


def read_token(request: web.Request, *, is_secure: bool) -> str | None:
    """Return the token that the browser sent, or None."""
    token = request.cookies.get(_name(is_secure), "")
    return token if _SHAPE.fullmatch(token) else None


def set_token(response: web.StreamResponse, token: str, *, is_secure: bool) -> None:
    """Let the browser keep the token as long as a session can last."""
    age = int(LASTS_FOR.total_seconds())
    response.set_cookie(_name(is_secure), token, path="/", max_age=age, secure=is_secure, httponly=True, samesite="Lax")


def clear_token(response: web.StreamResponse, *, is_secure: bool) -> None:
    """Let the browser forget the token."""
    response.del_cookie(_name(is_secure), path="/", secure=is_secure, httponly=True, samesite="Lax")


def _name(is_secure: bool) -> str:
    return _SECURE_NAME if is_secure else _PLAIN_NAME
