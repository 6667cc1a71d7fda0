"""The readings of a Redis server: one round trip per scrape; in the background, keys."""

from redis.exceptions import ResponseError

from exporter.collector import Client, Reading
from exporter.redis.connection import RawConnection, pack_commands, raise_target_error
from exporter.redis.info import RedisInfo, parse_info, samples_of
from exporter.redis.metrics import HITS_MIXED, latency_samples
from exporter.redis.prefixes import Settings, sample_keys

_REQUEST = pack_commands([("INFO", "ALL"), ("SLOWLOG", "LEN"), ("LATENCY", "LATEST")])
# Commands in which workers wait: BullMQ up to 4, BullMQ from 5 on, and other libraries.
_BLOCKING_COMMANDS = ("brpoplpush", "bzpopmin", "blmove", "blpop", "brpop")


class RedisClient(Client):
    """One connection; a reading is one round trip."""

    def __init__(self, connection: RawConnection, has_queues: bool) -> None:
        self._connection, self._has_queues = connection, has_queues

    @property
    def usable(self) -> bool:
        """Whether the connection is open."""
        return self._connection.usable

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - INFO holds no ages
        """Read INFO, the slow log and the latency spikes."""
        text, slow, spikes = await self._connection.execute(_REQUEST, 3)
        if isinstance(text, ResponseError):
            raise_target_error(text)
        fields = parse_info(text)
        samples = (*samples_of(fields, self._connection.database), HITS_MIXED(self._hits_include_queues(fields)))
        return Reading((*samples, *latency_samples(slow, spikes)), round_trips=1)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

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
