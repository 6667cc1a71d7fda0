"""The collectors: one folder per kind of target, and this one map. Its keys are those of a stack in the inventory."""

from exporter.backups.collector import BackupsCollector
from exporter.bullmq.collector import QueuesCollector
from exporter.collector import Collector
from exporter.http.collector import HttpCollector
from exporter.postgres.collector import PostgresCollector
from exporter.redis.collector import RedisCollector

COLLECTORS: dict[str, type[Collector]] = {
    "postgres": PostgresCollector,
    "redis": RedisCollector,
    "queues": QueuesCollector,
    "backups": BackupsCollector,
    "http": HttpCollector,
}
