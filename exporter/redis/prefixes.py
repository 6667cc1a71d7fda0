"""Counts keys by prefix, and finds the highest counters, from a sample of bounded cost.

SCAN returns keys in the order of their hashes, which do not depend on their names: its first part is a fair sample.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from math import isfinite

from redis.exceptions import ResponseError

from exporter.metric import Metric, Sample
from exporter.redis.connection import RawConnection, pack_commands
from exporter.redis.metrics import KEYS, READABLE, SAMPLED, VALUE
from exporter.redis.scan import MOST_STEPS, PAUSE_SECONDS, KeyScan
from runbookd.inventory import PrefixSettings

MOST_VALUES = 10_000
_VALUES_PER_REQUEST = 500

Settings = Mapping[str, PrefixSettings]


def most_prefix_series(metric: Metric, prefixes: Settings) -> int:
    """Return the maximum number of series of one of PREFIX_METRICS with these settings."""
    tops = [settings.top for settings in prefixes.values()]
    counts = {KEYS: len(tops), SAMPLED: min(len(tops), 1), VALUE: sum(tops)}
    return counts.get(metric, sum(top > 0 for top in tops))


@dataclass
class KeySample:
    """The keys that a scan has seen so far, by prefix."""

    keys_seen: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    counters: dict[str, list[bytes]] = field(default_factory=dict)

    def add(self, keys: Iterable[bytes], prefixes: Settings) -> None:
        """Count keys by prefix, and keep the names of those whose values will be read."""
        for key in keys:
            self.keys_seen += 1
            for pattern, settings in prefixes.items():
                if key.startswith(pattern[:-1].encode()):
                    self.counts[pattern] = self.counts.get(pattern, 0) + 1
                    names = self.counters.setdefault(pattern, [])
                    if settings.top and len(names) < MOST_VALUES:
                        names.append(key)


async def sample_keys(connection: RawConnection, prefixes: Settings, until: float) -> tuple[list[Sample], int]:
    """Return the samples of `prefixes` and their round trips.

    The scan stops at `until` (event loop's clock).

    Raises:
        TargetError: the connection broke, or Redis refused the scan.
    """
    scan, key_sample, steps = KeyScan(), KeySample(), 0
    async for keys in scan.steps(connection, until):
        key_sample.add(keys, prefixes)
        steps += 1
        if steps >= MOST_STEPS:
            break
    (total,) = await connection.execute(pack_commands([("DBSIZE",)]), 1)
    database = f"db{connection.database}"
    ratio = _ratio(scan, key_sample.keys_seen, total)
    # A scan may stop before its first key; then the counts are unknown.
    patterns = prefixes if ratio else ()
    counts = [KEYS(round(key_sample.counts.get(pattern, 0) / ratio), database, pattern) for pattern in patterns]
    tops = {pattern: settings.top for pattern, settings in prefixes.items() if settings.top}
    values = [
        each for pattern, top in tops.items() async for each in _highest_counters(connection, pattern, top, key_sample)
    ]
    return [*counts, SAMPLED(ratio, database), *values], steps + 2


def _ratio(scan: KeyScan, keys_seen: int, total: object) -> float:
    """Return the share of keys seen; 0, so that nothing is estimated, if Redis refuses the number of all keys."""
    if scan.complete:
        return 1.0
    if not isinstance(total, int):
        return 0.0
    return min(keys_seen / total, 1.0) if total else 1.0


async def _highest_counters(
    connection: RawConnection, pattern: str, top: int, key_sample: KeySample
) -> AsyncIterator[Sample]:
    """Yield the highest counters with a prefix, without values that are not numbers."""
    database, names = f"db{connection.database}", key_sample.counters.get(pattern, [])
    counters: list[tuple[float, str]] = []
    for start in range(0, len(names), _VALUES_PER_REQUEST):
        batch = names[start : start + _VALUES_PER_REQUEST]
        (values,) = await connection.execute(pack_commands([("MGET", *batch)]), 1)
        if isinstance(values, ResponseError):
            yield READABLE(False, database, pattern)
            return
        counters += [
            (number, _text(key)) for key, value in zip(batch, values, strict=True) for number in _number(value)
        ]
        await asyncio.sleep(PAUSE_SECONDS)
    yield READABLE(True, database, pattern)
    for number, key in nlargest(top, counters):
        yield VALUE(number, database, key)


def _text(key: bytes) -> str:
    return key.decode(errors="replace")


def _number(value: bytes | None) -> Iterator[float]:
    try:
        number = float(value or "nan")
    except ValueError:
        return
    if isfinite(number):
        yield number
