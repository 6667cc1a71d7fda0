"""The collectors: one kind of target a file, and this one map. The keys are those of a stack in the inventory."""

from exporter.collector import Collector
from exporter.collectors.backups import BackupsCollector
from exporter.collectors.http import HttpCollector
from exporter.collectors.postgres import PostgresCollector
from exporter.collectors.queues import QueuesCollector
from exporter.collectors.redis import RedisCollector

COLLECTORS: dict[str, type[Collector]] = {
    "postgres": PostgresCollector,
    "redis": RedisCollector,
    "queues": QueuesCollector,
    "backups": BackupsCollector,
    "http": HttpCollector,
}
