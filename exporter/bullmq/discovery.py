"""Which queues there are, and their workers. Read in the background: every job is a key of its own.

`Queue.meta` is written by all but flow producers of version 3, whose queues show by their workers' connections: a
worker names the one that it waits on `PREFIX:base64(QUEUE)`, with `:w:NAME` after it if it has a name.
"""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

_CLIENT = re.compile(rb"(?: |^)name=(\S+) .*? db=(\d+) ")


def queue_bases(keys: Iterable[bytes], prefixes: Sequence[str]) -> set[tuple[str, str]]:
    """Return (prefix, queue) for each of `keys` that is the `meta` of a queue below one of `prefixes`."""
    texts = (key.decode(errors="surrogateescape") for key in keys)
    bases = (_split(text.removesuffix(":meta"), prefixes) for text in texts if text.endswith(":meta"))
    return {each for each in bases if each is not None}


def count_workers(clients: bytes, database: int, prefixes: Sequence[str]) -> Mapping[tuple[str, str], int]:
    """Return how many workers wait at which (prefix, queue), from the answer to CLIENT LIST."""
    names = (match[1] for match in map(_CLIENT.search, clients.splitlines()) if match and int(match[2]) == database)
    queues = (_queue_of_worker(name.decode(errors="surrogateescape"), prefixes) for name in names)
    return Counter(each for each in queues if each is not None)


def escape_glob(text: str) -> str:
    """Return `text` as a pattern that matches only itself."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", text)


def _split(base: str, prefixes: Sequence[str]) -> tuple[str, str] | None:
    """The prefix, the longest that fits, and the queue's name, which may have colons as well."""
    for prefix in sorted(prefixes, key=len, reverse=True):
        if base.startswith(f"{prefix}:") and len(base) > len(prefix) + 1:
            return prefix, base[len(prefix) + 1 :]
    return None


def _queue_of_worker(client: str, prefixes: Sequence[str]) -> tuple[str, str] | None:
    """The queue that the connection with this name waits at, if it is a worker's."""
    base = _split(client, prefixes)
    if base is None:
        return None
    encoded, _, role = base[1].partition(":")
    if role and not role.startswith("w:"):
        return None
    try:
        return base[0], base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
