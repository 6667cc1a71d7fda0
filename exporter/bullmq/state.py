"""The state of a target's queues that outlives its connections."""

from collections.abc import Iterable, Mapping

from redis.exceptions import ResponseError

from exporter.bullmq import Queue
from exporter.bullmq.discovery import count_workers, escape_glob, queue_bases
from exporter.bullmq.queue_tracker import QueueTracker
from exporter.redis.scan import KeyScan
from runbookd.inventory import QueueTarget
from runbookd.redis_errors import redis_error_text


class QueueState:
    """The names of the queues, their workers and trackers, and the current scan.

    `names` is None until the first scan has ended, `workers` while the server refuses CLIENT LIST. Names are those on
    the page: with several prefixes, a name begins with its prefix.
    """

    def __init__(self, target: QueueTarget) -> None:
        self._target, self._prefixes = target, target.prefixes
        self._discovers = target.names == "discover"
        self.names: frozenset[str] | None = None if self._discovers else frozenset(target.names)
        self.workers: Mapping[str, int] | None = None
        self.workers_refusal = ""
        """Why the server does not list its clients, or empty."""
        self._workers_at: float | None = None
        self._slow_at: float | None = None
        self._trackers: dict[str, QueueTracker] = {}
        self.restart_scan()

    def trackers(self, names: Iterable[str]) -> dict[str, QueueTracker]:
        """Return the trackers of these queues, and drop all others."""
        previous = self._trackers
        self._trackers = {name: previous.get(name) or QueueTracker(self._queue(name)) for name in sorted(names)}
        return self._trackers

    def slow_due(self, now: float) -> bool:
        """Return whether a scrape must read what changes slowly: once per `refresh`."""
        return self._slow_at is None or now - self._slow_at >= self._target.refresh.total_seconds()

    def note_slow(self, now: float) -> None:
        """Record that a scrape has read what changes slowly."""
        self._slow_at = now

    def worker_count_due(self, now: float) -> bool:
        """Return whether a scrape must count the workers: once per `refresh`, without discovery."""
        if self._discovers:
            return False
        return self._workers_at is None or now - self._workers_at >= self._target.refresh.total_seconds()

    def update_workers(self, clients: bytes | ResponseError, database: int, now: float) -> None:
        """Record the reply to CLIENT LIST, or its refusal."""
        self._workers_at, self.workers = now, None
        self.workers_refusal = redis_error_text(clients) if isinstance(clients, ResponseError) else ""
        if isinstance(clients, bytes):
            counts = count_workers(clients, database, self._prefixes)
            self.workers = {self._name_of(*queue): count for queue, count in counts.items()}

    def restart_scan(self) -> None:
        """Drop the current scan and start a new one."""
        prefixes = self._prefixes
        pattern = f"{escape_glob(prefixes[0])}:*:meta" if len(prefixes) == 1 else "*:meta"
        self.scan = KeyScan("MATCH", pattern, "TYPE", "hash")
        self._scanned_names: set[str] = set()

    def add_scanned(self, keys: Iterable[bytes]) -> None:
        """Record the queues among the keys of a step."""
        self._scanned_names |= {self._name_of(*each) for each in queue_bases(keys, self._prefixes)}

    def finish_scan(self) -> None:
        """Add the queues that the scan found; only a complete scan also removes queues."""
        kept_names = frozenset[str]() if self.scan.complete or self.names is None else self.names
        self.names = kept_names.union(self._scanned_names, self.workers or ())
        if self.scan.complete:
            self._scanned_names.clear()

    def _name_of(self, prefix: str, queue: str) -> str:
        return queue if len(self._prefixes) == 1 else f"{prefix}:{queue}"

    def _queue(self, name: str) -> Queue:
        base = self._target.key_of(name)
        assert base is not None, name  # noqa: S101 - the inventory has validated it
        return Queue(name, base)
