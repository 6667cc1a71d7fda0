"""The readings of a Redis server: one round trip per scrape; in the background, keys."""

from collections.abc import Iterator, Sequence
from typing import Any

from redis.exceptions import ResponseError

from exporter.collector import Client, Reading
from exporter.metric import Sample
from exporter.redis.connection import Command, RawConnection, pack_commands, raise_target_error
from exporter.redis.info import InfoSamples, RedisInfo, parse_info
from exporter.redis.metrics import CERT_EXPIRY, HITS_MIXED, latency_samples, slowlog_samples
from exporter.redis.prefixes import Settings, sample_keys
from runbookd.redis_errors import redis_error_text

_OTHERS: Sequence[Command] = (("SLOWLOG", "LEN"), ("LATENCY", "LATEST"))
# INFO ALL spends most of its time on percentiles, which no metric shows; from Redis 7 on, sections can be chosen.
_ALL, _SECTIONS = (("INFO", "ALL"), *_OTHERS), (("INFO", "DEFAULT", "COMMANDSTATS"), *_OTHERS)
# Commands in which workers wait: BullMQ up to 4, BullMQ from 5 on, and other libraries.
_BLOCKING_COMMANDS = ("brpoplpush", "bzpopmin", "blmove", "blpop", "brpop")
_CLUSTER = "the server is one node of a Redis Cluster: all numbers are those of this node"


class RedisClient(Client):
    """One connection; a reading is one round trip."""

    def __init__(self, connection: RawConnection, has_queues: bool) -> None:
        self._connection, self._has_queues = connection, has_queues
        self._commands = _SECTIONS if connection.major_version >= 7 else _ALL
        self._request = pack_commands(self._commands)

    @property
    def usable(self) -> bool:
        """Whether the connection is open."""
        return self._connection.usable

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - INFO holds no ages
        """Read INFO, the slow log and the latency spikes; a refused command costs its own samples."""
        replies = await self._connection.execute(self._request, len(self._commands))
        text, slow, spikes = replies
        errors = [reply for reply in replies if isinstance(reply, ResponseError)]
        if len(errors) == len(replies):
            raise_target_error(errors[0])
        notes = [*self._connection.notes, *_refusals(self._commands, replies)]
        if self._connection.mode == "cluster":
            notes.append(_CLUSTER)
        expiry = self._connection.certificate_expiry
        samples = [] if expiry is None else [CERT_EXPIRY(expiry)]
        samples += [*self._info_samples(text, notes), *slowlog_samples(slow), *latency_samples(spikes)]
        return Reading(tuple(samples), round_trips=1, notes=tuple(notes))

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    def _info_samples(self, text: Any, notes: list[str]) -> Iterator[Sample]:
        """Yield the samples of INFO, and add its faults to `notes`."""
        if not isinstance(text, bytes):
            return
        fields = parse_info(text)
        info = InfoSamples(fields, self._connection.database)
        yield from info.samples()
        yield HITS_MIXED(self._hits_include_queues(fields))
        if info.note:
            notes.append(info.note)

    def _hits_include_queues(self, fields: RedisInfo) -> bool:
        return self._has_queues or any(f"cmdstat_{command}" in fields for command in _BLOCKING_COMMANDS)


class PrefixClient(Client):
    """Counts keys by prefix until a point in time (event loop's clock)."""

    def __init__(self, connection: RawConnection, prefixes: Settings, until: float) -> None:
        self._connection, self._prefixes, self._until = connection, prefixes, until

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - keys have no ages
        """Scan a sample of the keys."""
        samples, round_trips = await sample_keys(self._connection, self._prefixes, self._until)
        return Reading(tuple(samples), round_trips)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


def _refusals(commands: Sequence[Command], replies: Sequence[Any]) -> Iterator[str]:
    """Yield each refused command with the server's reason."""
    for command, reply in zip(commands, replies, strict=True):
        if isinstance(reply, ResponseError):
            yield f"{' '.join(map(str, command))} is refused, so its metrics are absent: {redis_error_text(reply)}"
