"""Small HTTP questions to servers on 127.0.0.1, past any proxy that the environment names."""

import http.client
import urllib.error
import urllib.request

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_SECONDS = 2.0


def answers_ok(url: str) -> bool:
    """Whether a GET is answered with a status below 300."""
    try:
        request(url)
    except OSError:
        return False
    return True


def request(url: str, method: str = "GET", body: bytes | None = None, seconds: float = _SECONDS) -> bytes:
    """The body of the answer. Raises OSError when there is none, or one of 400 and above."""
    question = urllib.request.Request(url, data=body, method=method)  # noqa: S310 - only ever our own http://127.0.0.1
    try:
        with _direct.open(question, timeout=seconds) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except http.client.HTTPException as error:
        raise OSError(str(error)) from None
