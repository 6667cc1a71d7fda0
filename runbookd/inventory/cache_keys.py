"""Keys of a Redis that the remediator may remove or set: caches, rate limits and blocked addresses."""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from runbookd.inventory.constraints import AfterValidator, Alias, BeforeValidator, Constraint, Field, StringConstraints
from runbookd.inventory.durations import Duration, format_duration
from runbookd.inventory.section import Section, must_hold

MIN_PREFIX = 3  # characters; a shorter one holds the keys of many programs
MAX_BLOCK = timedelta(hours=1)
_PARTS = re.compile(r"[A-Za-z]+")
# Parts of names whose keys are not a cache: the loss of one ends sessions, frees locks or loses jobs.
_FORBIDDEN_TEXTS = ("session", "mutex", "semaphore", "redlock", "csrf", "bullmq")
_FORBIDDEN_WORDS = frozenset(
    {"sess", "lock", "locks", "lease", "queue", "queues", "bull", "bee", "kue", "rq", "resque"}
)
_FORBIDDEN_WORDS |= {"sidekiq", "celery", "kombu", "job", "jobs"}

Network = IPv4Network | IPv6Network


def _check_literal(prefix: str) -> str:
    """Refuse a beginning of keys that is too short, or that a queue, a session or a lock may have."""
    if len(prefix) < MIN_PREFIX:
        raise ValueError(f"{prefix!r} is too short; a prefix has at least {MIN_PREFIX} characters, as in 'oauth:'")
    if not prefix.isprintable():
        raise ValueError(f"{prefix!r} has a character that cannot be printed")
    words = {word.lower() for word in _PARTS.findall(re.sub(r"([a-z])([A-Z])", r"\1 \2", prefix))}
    found = sorted(words & _FORBIDDEN_WORDS) or [text for text in _FORBIDDEN_TEXTS if text in prefix.lower()]
    if found:
        raise ValueError(
            f"{prefix!r} looks like the keys of a queue, a session or a lock ({found[0]}); no run touches those"
        )
    return prefix


def _check_template(placeholder: str) -> Constraint:
    """Require exactly one `placeholder`, behind a beginning that the key keeps."""

    def check(key: str) -> str:
        before, found, after = key.partition(placeholder)
        if not found or placeholder in after:
            raise ValueError(f"{key!r} must contain {placeholder} once, as in 'rl:user:{placeholder}'")
        _check_literal(before)
        return key

    return AfterValidator(check)


def _read_network(value: object) -> Network:
    try:
        return ip_network(str(value))
    except ValueError:
        raise ValueError(
            f"{value!r} is not a network, such as 203.0.113.0/24 or 2001:db8::/32, or an address"
        ) from None


Networks = tuple[Annotated[Network, BeforeValidator(_read_network)], ...]
Key = Annotated[str, StringConstraints(min_length=MIN_PREFIX, max_length=200)]


class KeyPrefix(Section):
    """A cache that `unlink_prefix` may empty: all keys that begin with `prefix`, which is a literal text."""

    prefix: Annotated[Key, AfterValidator(_check_literal)]

    @property
    def beginning(self) -> str:
        """The text with which every key of it begins."""
        return self.prefix


class RateLimit(Section):
    """The counter of one subject in the key `key`, which `reset_rate_limit` may remove."""

    key: Annotated[Key, _check_template("{subject}")]

    @property
    def beginning(self) -> str:
        """The text with which every key of it begins."""
        return self.key.partition("{subject}")[0]


class AddressBlock(Section):
    """The key with which the application blocks one address, as `block_address` sets it.

    It expires after `for_time`, at most `max_for`. Addresses in `proxies` (proxies, load balancers, health checks of
    your own) and in `never` are not blocked. At most `max_blocks` exist at once.
    """

    key: Annotated[Key, _check_template("{address}")]
    value: Annotated[str, StringConstraints(min_length=1, max_length=100)] = "1"
    for_time: Annotated[Duration, Alias("for")] = MAX_BLOCK
    max_for: Duration = MAX_BLOCK
    proxies: Networks
    never: Networks = ()
    max_blocks: Annotated[int, Field(ge=1, le=10_000)] = 200

    @property
    def beginning(self) -> str:
        """The text with which every key of it begins."""
        return self.key.partition("{address}")[0]

    @must_hold
    def _ends(self) -> None:
        if not timedelta(seconds=1) <= self.for_time <= self.max_for:
            raise ValueError(f"for must be from 1s to max_for, which is {format_duration(self.max_for)}")


def conflicts(keys: Iterable[tuple[str, str]], queue_prefixes: Iterable[str]) -> Iterator[str]:
    """Yield why keys, given as (place, beginning), may be a queue's: one beginning contains the other."""
    bases = sorted({f"{prefix}:" for prefix in queue_prefixes})
    for place, beginning in keys:
        for base in bases:
            if beginning.startswith(base) or base.startswith(beginning):
                yield f"{place}: {beginning!r} reaches the keys of queues with the prefix {base.removesuffix(':')!r}"
