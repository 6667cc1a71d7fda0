"""Samples of a Redis server's INFO, under redis_exporter's names."""

import re
from collections.abc import Iterator, Mapping

from exporter.metric import Sample
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
    INSTANCE,
    LINK_UP,
    REPLICA_LAG,
    REPLICA_OFFSET,
    WORDS,
)

RedisInfo = Mapping[str, str]

_REPLICA = re.compile(r"slave\d+")
_DATABASE = re.compile(r"db\d+")


def parse_info(text: bytes) -> RedisInfo:
    """Return the fields of a reply to INFO."""
    lines = text.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def samples_of(info: RedisInfo, database: int) -> Iterator[Sample]:
    """Yield the samples of an INFO; a field that this server lacks gives none."""
    yield from (metric(float(info[field])) for field, metric in FIELDS.items() if field in info)
    yield from (metric(info[field] == word) for (field, word), metric in WORDS.items() if field in info)
    yield INSTANCE(1, *(info.get(label, "") for label in INSTANCE.labels))
    yield from _databases(info, database)
    for field, value in info.items():
        if field.startswith("cmdstat_"):
            yield from _command(field.removeprefix("cmdstat_"), _values(value))
        elif field.startswith("errorstat_"):
            yield ERRORS(float(_values(value)["count"]), field.removeprefix("errorstat_"))
    yield from _replication(info)


def _databases(info: RedisInfo, database: int) -> Iterator[Sample]:
    """Yield the samples of each database, including the target's, which INFO omits if empty."""
    databases = {f"db{database}": "keys=0,expires=0"}
    databases |= {name: value for name, value in info.items() if _DATABASE.fullmatch(name)}
    for name, value in databases.items():
        numbers = _values(value)
        yield DB_KEYS(float(numbers["keys"]), name)
        yield DB_EXPIRING(float(numbers["expires"]), name)
        if "avg_ttl" in numbers:
            yield DB_TTL(float(numbers["avg_ttl"]) / 1000, name)


def _command(name: str, numbers: Mapping[str, str]) -> Iterator[Sample]:
    yield COMMANDS(float(numbers["calls"]), name)
    yield COMMAND_SECONDS(float(numbers["usec"]) / 1_000_000, name)
    yield COMMAND_REJECTED(float(numbers["rejected_calls"]), name)
    yield COMMAND_FAILED(float(numbers["failed_calls"]), name)


def _replication(info: RedisInfo) -> Iterator[Sample]:
    for field, value in info.items():
        if _REPLICA.fullmatch(field):
            numbers = _values(value)
            replica = (numbers["ip"], numbers["port"], numbers["state"])
            yield REPLICA_OFFSET(float(numbers["offset"]), *replica)
            if "lag" in numbers:
                yield REPLICA_LAG(float(numbers["lag"]), *replica)
    if "master_link_status" in info:
        yield LINK_UP(info["master_link_status"] == "up", info["master_host"], info["master_port"])


def _values(text: str) -> dict[str, str]:
    """Return the parts of a value such as `calls=1,usec=2`."""
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)
