"""How BullMQ keeps a queue in Redis, and how to read it without changing it (versions 3 to 6).

`PREFIX:QUEUE:wait` and `:paused` are lists that get new jobs on the left and give them from the right. A paused queue
has its jobs in `paused` up to version 5 and in `wait` from version 6 on, so both always count. Jobs with a priority
stand in `wait` up to version 3 and in `prioritized` from 4 on. Entries that begin with `0:` are no jobs but markers
that wake workers (3 and 4). BullMQ's own counting script removes markers, and its `Queue` writes `meta` when it is
made, so neither may be used here.

- `snapshot`: the first round trip, everything that stands in the keys of a queue
- `queue_tracker`: what is known of a queue between two scrapes
- `ages`: the second round trip, the jobs that matter, and how long they wait or are held
- `ready_since`: since when a job could be worked on, from its hash
- `discovery`: which queues there are, and their workers
- `state`: what of all that outlives a connection
"""


class Queue:
    """A queue by its name on the page and by what its keys begin with."""

    def __init__(self, name: str, base: str) -> None:
        self.name = name
        self._base = f"{base}:".encode(errors="surrogateescape")

    def key(self, part: str) -> bytes:
        """Return the key of a list, set or hash of the queue."""
        return self._base + part.encode()

    def job_key(self, job: bytes, part: bytes = b"") -> bytes:
        """Return the key of a job, or of what belongs to it, as `:lock`."""
        return self._base + job + part
