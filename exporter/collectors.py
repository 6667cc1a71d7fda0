"""All collectors, by the inventory key of their targets; one folder per kind.

A kind is loaded when a target of it is configured: the libraries of object storage alone take four MiB.
"""

from collections.abc import Callable, Iterator, Mapping

from exporter.collector import Collector


def _postgres() -> type[Collector]:
    from exporter.postgres.collector import PostgresCollector

    return PostgresCollector


def _redis() -> type[Collector]:
    from exporter.redis.collector import RedisCollector

    return RedisCollector


def _queues() -> type[Collector]:
    from exporter.bullmq.collector import QueuesCollector

    return QueuesCollector


def _backups() -> type[Collector]:
    from exporter.backups.collector import BackupsCollector

    return BackupsCollector


def _http() -> type[Collector]:
    from exporter.http.collector import HttpCollector

    return HttpCollector


def _search() -> type[Collector]:
    from exporter.search.collector import SearchCollector

    return SearchCollector


def _numbers() -> type[Collector]:
    from exporter.numbers.collector import NumbersCollector

    return NumbersCollector


class _Collectors(Mapping[str, type[Collector]]):
    """The collector of each kind, loaded when it is looked up."""

    def __init__(self, **load: Callable[[], type[Collector]]) -> None:
        self._load = load

    def __getitem__(self, kind: str) -> type[Collector]:
        return self._load[kind]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._load)

    def __len__(self) -> int:
        return len(self._load)


COLLECTORS: Mapping[str, type[Collector]] = _Collectors(
    postgres=_postgres,
    redis=_redis,
    queues=_queues,
    backups=_backups,
    http=_http,
    search=_search,
    numbers=_numbers,
)
"""The keys are those of a stack in the inventory."""
