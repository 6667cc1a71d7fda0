"""Samples of a Redis server's INFO, under redis_exporter's names."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from math import isfinite

from exporter.metric import Metric, Sample
from exporter.redis.metrics import (
    COMMAND_FAILED,
    COMMAND_REJECTED,
    COMMAND_SECONDS,
    COMMANDS,
    DB_EXPIRING,
    DB_KEYS,
    DB_TTL,
    ERRORS,
    FIELDS,
    FRAGMENTATION,
    INSTANCE,
    LAST_IO,
    LINK_UP,
    REPLICA_LAG,
    REPLICA_OFFSET,
    WORDS,
)

RedisInfo = Mapping[str, str]

_REPLICA = re.compile(r"slave\d+")
_DATABASE = re.compile(r"db\d+")
# Scripts return errors with any text as the code, such as JSON with an ID in it.
_ERROR_CODE = re.compile(r"[A-Z][A-Z_]{1,31}")
OTHER = "other"
_ERROR_PREFIX, _COMMAND_PREFIX = "errorstat_", "cmdstat_"
_MOST_NAMED = 5
# The title of the section that lists databases, and of no empty one.
_KEYSPACE = "# Keyspace"


def parse_info(text: bytes) -> RedisInfo:
    """Return the fields of a reply to INFO."""
    lines = text.decode(errors="replace").splitlines()
    fields = dict(_split(line) for line in lines if ":" in line and not line.startswith("#"))
    fields.setdefault("redis_mode", fields.get("server_mode", ""))  # Valkey's name
    return fields | {line: "" for line in lines if line == _KEYSPACE}


def _split(line: str) -> tuple[str, str]:
    """Return the name and value of a field; the name of an error may contain colons."""
    name, _, value = line.rpartition(":") if line.startswith(_ERROR_PREFIX) else line.partition(":")
    return name, value


class InfoSamples:
    """The samples of one INFO. A field that is odd or incomplete costs its own sample, and `note` names it."""

    def __init__(self, info: RedisInfo, database: int) -> None:
        self._info, self._database = info, database
        self._faults: dict[str, None] = {}

    @property
    def note(self) -> str:
        """The faults and the server's version, or empty; complete after `samples`."""
        if not self._faults:
            return ""
        names = list(self._faults)
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        version = self._info.get("redis_version", "unknown")
        return f"INFO of version {version} lacks a number in: {', '.join(names[:_MOST_NAMED])}{more}"

    def samples(self) -> Iterator[Sample]:
        """Yield the samples; a field that this server lacks gives none."""
        info = self._info
        for field, metric in FIELDS.items():
            if field in info:
                yield from self._number(metric, info, field)
        if (ratio := _finite(info.get("mem_fragmentation_ratio"))) is not None:
            yield FRAGMENTATION(ratio)
        yield from (metric(info[field] == word) for (field, word), metric in WORDS.items() if field in info)
        yield INSTANCE(1, *(info.get(label, "") for label in INSTANCE.labels))
        yield from self._databases()
        for field, value in info.items():
            if field.startswith(_COMMAND_PREFIX):
                yield from self._command(field.removeprefix(_COMMAND_PREFIX), _values(value))
        yield from self._errors()
        yield from self._replication()

    def _number(
        self, metric: Metric, numbers: Mapping[str, str], field: str, *labels: str, per: float = 1, of: str = ""
    ) -> Iterator[Sample]:
        """Yield the sample of a field divided by `per`; record a fault if it is not a number."""
        number = _finite(numbers.get(field))
        if number is None:
            self._faults[f"{of} {field}".strip()] = None
        else:
            yield metric(number / per, *labels)

    def _databases(self) -> Iterator[Sample]:
        """Yield the samples of each database, including the target's, which INFO omits if empty."""
        databases = {f"db{self._database}": "keys=0,expires=0"} if _KEYSPACE in self._info else {}
        databases |= {name: value for name, value in self._info.items() if _DATABASE.fullmatch(name)}
        for name, value in databases.items():
            numbers = _values(value)
            yield from self._number(DB_KEYS, numbers, "keys", name, of="db")
            yield from self._number(DB_EXPIRING, numbers, "expires", name, of="db")
            if "avg_ttl" in numbers:
                yield from self._number(DB_TTL, numbers, "avg_ttl", name, per=1000, of="db")

    def _command(self, name: str, numbers: Mapping[str, str]) -> Iterator[Sample]:
        yield from self._number(COMMANDS, numbers, "calls", name, of="cmdstat")
        yield from self._number(COMMAND_SECONDS, numbers, "usec", name, per=1_000_000, of="cmdstat")
        yield from self._number(COMMAND_REJECTED, numbers, "rejected_calls", name, of="cmdstat")
        yield from self._number(COMMAND_FAILED, numbers, "failed_calls", name, of="cmdstat")

    def _errors(self) -> Iterator[Sample]:
        """Yield the errors by code; those whose code is a text of a script count as `other`."""
        counts: Counter[str] = Counter()
        for field, value in self._info.items():
            if field.startswith(_ERROR_PREFIX):
                code = field.removeprefix(_ERROR_PREFIX)
                number = _finite(_values(value).get("count"))
                if number is None:
                    self._faults["errorstat count"] = None
                else:
                    counts[code if _ERROR_CODE.fullmatch(code) else OTHER] += number  # type: ignore[assignment]
        yield from (ERRORS(number, code) for code, number in counts.items())

    def _replication(self) -> Iterator[Sample]:
        info = self._info
        for field, value in info.items():
            if _REPLICA.fullmatch(field):
                yield from self._replica(_values(value))
        if "master_link_status" in info:
            primary = (info.get("master_host", ""), info.get("master_port", ""))
            yield LINK_UP(info["master_link_status"] == "up", *primary)
            if (seconds := _finite(info.get("master_last_io_seconds_ago"))) is not None and seconds >= 0:
                yield LAST_IO(seconds, *primary)

    def _replica(self, numbers: Mapping[str, str]) -> Iterator[Sample]:
        replica = tuple(numbers.get(label, "") for label in ("ip", "port", "state"))
        # While a replica loads its first copy, the server states an offset and a lag of 0.
        if numbers.get("state") != "online":
            return
        yield from self._number(REPLICA_OFFSET, numbers, "offset", *replica, of="slave")
        if "lag" in numbers:
            yield from self._number(REPLICA_LAG, numbers, "lag", *replica, of="slave")


def _finite(text: str | None) -> float | None:
    """Return a number, or None for anything else; old servers print ratios as `-nan`."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if isfinite(number) else None


def _values(text: str) -> dict[str, str]:
    """Return the parts of a value such as `calls=1,usec=2`."""
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)
