"""BullMQ queues (versions 3 to 6) in Redis, read without changing them.

`PREFIX:QUEUE:wait` and `:paused` are lists: new jobs enter on the left, workers take them from the right. A paused
queue has its jobs in `paused` up to version 5 and in `wait` from version 6 on, so both always count. Jobs with a
priority are in `wait` up to version 3 and in `prioritized` from 4 on. Entries that begin with `0:` are not jobs but
markers that wake workers (3 and 4). BullMQ's own counting script removes markers, and its `Queue` writes `meta` when
created, so the exporter uses neither.

- `snapshot`: the first round trip, with the counts and ends of a queue's keys
- `request_plan`: the commands of a scrape, without those whose replies are known
- `queue_tracker`: what the exporter remembers of a queue between two scrapes
- `ages`: the second round trip, with how long jobs have been waiting or active
- `ready_since`: the time since which a job could have been processed, from its hash
- `discovery`: the names of the queues, and their workers
- `state`: what outlives a connection
"""


class Queue:
    """A queue: its name on the page, and the prefix of its keys."""

    def __init__(self, name: str, base: str) -> None:
        self.name = name
        self._base = f"{base}:".encode(errors="surrogateescape")

    def key(self, part: str) -> bytes:
        """Return the key of a list, set or hash of the queue."""
        return self._base + part.encode()

    def job_key(self, job: bytes, part: bytes = b"") -> bytes:
        """Return the key of a job, or of a part of it such as `:lock`."""
        return self._base + job + part
