"""Small HTTP requests to servers on 127.0.0.1, bypassing any proxy of the environment."""

import http.client
import urllib.error
import urllib.request

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_SECONDS = 2.0


def answers_ok(url: str) -> bool:
    """Return whether a GET succeeds."""
    try:
        request(url)
    except OSError:
        return False
    return True


def request(url: str, method: str = "GET", body: bytes | None = None, seconds: float = _SECONDS) -> bytes:
    """Send a request and return the body. Raises OSError without a good answer."""
    question = urllib.request.Request(url, data=body, method=method)  # noqa: S310 - always http://127.0.0.1
    try:
        with _direct.open(question, timeout=seconds) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except http.client.HTTPException as error:
        raise OSError(str(error)) from None
