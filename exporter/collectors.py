"""All collectors, by the key of their targets in the inventory. Each kind of target has one folder."""

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
