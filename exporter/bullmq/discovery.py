"""Finds the queues and their workers, in the background, because each job is a key.

All versions write `meta`, except for flow producers of version 3, whose queues are found by their workers' connections:
a worker names its waiting connection `PREFIX:base64(QUEUE)`, followed by `:w:NAME` if the worker has a name.
"""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

_CLIENT = re.compile(rb"(?: |^)name=(\S+) .*? db=(\d+) ")


def queue_bases(keys: Iterable[bytes], prefixes: Sequence[str]) -> set[tuple[str, str]]:
    """Return (prefix, queue) for each `meta` key of a queue under one of `prefixes`."""
    texts = (key.decode(errors="surrogateescape") for key in keys)
    bases = (_split(text.removesuffix(":meta"), prefixes) for text in texts if text.endswith(":meta"))
    return {each for each in bases if each is not None}


def count_workers(clients: bytes, database: int, prefixes: Sequence[str]) -> Mapping[tuple[str, str], int]:
    """Return the number of workers per (prefix, queue), from the reply to CLIENT LIST."""
    names = (match[1] for match in map(_CLIENT.search, clients.splitlines()) if match and int(match[2]) == database)
    queues = (_queue_of_worker(name.decode(errors="surrogateescape"), prefixes) for name in names)
    return Counter(each for each in queues if each is not None)


def escape_glob(text: str) -> str:
    """Return `text` as a pattern that matches only itself."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", text)


def _split(base: str, prefixes: Sequence[str]) -> tuple[str, str] | None:
    """Return the longest matching prefix and the queue's name, which may also contain colons."""
    for prefix in sorted(prefixes, key=len, reverse=True):
        if base.startswith(f"{prefix}:") and len(base) > len(prefix) + 1:
            return prefix, base[len(prefix) + 1 :]
    return None


def _queue_of_worker(client: str, prefixes: Sequence[str]) -> tuple[str, str] | None:
    """Return the queue of a worker's connection by its name, or None for other connections."""
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
