"""The commands that a scrape sends for one queue: all of them at first, and then only those whose replies can differ.

A snapshot is made of a reply per command (`snapshot_commands`). A command that is not sent has a reply that follows
from another one, such as the end of an empty list, or it changes slowly and is sent once per `refresh`. Some replies
turn out to be missing when the first round trip is over; the second one gets these (`late_request`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redis.exceptions import ResponseError

from exporter.bullmq import Queue
from exporter.bullmq.snapshot import FIXED, KEYS, MAX_HELD_JOBS, PRIORITY, Place, due_time, snapshot_commands
from exporter.redis.connection import Command, pack_commands

# Entries read from both ends of a list: at the first scrape of a queue, and after that.
_FIRST_LOOK, _LOOK = (25, 25), (1, 3)
# With at most `_SHORT` entries at the last scrape, a list or `prioritized` is read as a whole with one command, up to
# `_SHORT_READ` entries; with more, its count has a command of its own.
_SHORT, _SHORT_READ = 8, 16
# Common priorities; the plan learns others, one more per scrape.
_FIRST_LEVELS = tuple(range(1, 11))
MOST_LEVELS = 20
# Sent once per `refresh`.
_SLOW = frozenset(
    {Place.MARKER, Place.COMPLETED_TOTAL, Place.FAILED_TOTAL, Place.SCHEDULERS, Place.NEXT_RUN, Place.MISSED}
)
# Sent once per `refresh`, and when the number of jobs in this state has changed.
_FOLLOWING: Mapping[int, int] = {
    Place.FIRST_FAILED: Place.FAILED,
    Place.LAST_FAILED: Place.FAILED,
    Place.RECENTLY_FAILED: Place.FAILED,
    Place.LAST_COMPLETED: Place.COMPLETED,
}
# Lists by their counts: the end where jobs enter, the end where they leave, and the entries that are kept of both.
_LISTS: Mapping[int, tuple[int | None, int, tuple[int, int]]] = {
    Place.WAITING: (Place.WAIT_NEWEST, Place.WAIT_OLDEST, _LOOK),
    Place.PAUSED: (Place.PAUSED_NEWEST, Place.PAUSED_OLDEST, _LOOK),
    Place.ACTIVE: (None, Place.ACTIVE_OLDEST, (0, MAX_HELD_JOBS)),
}
_WHOLE = {oldest: count for count, (_, oldest, _) in _LISTS.items()}
_NOT_IN_WHOLE = {newest: count for count, (newest, _, _) in _LISTS.items() if newest is not None}
Replies = Sequence[Any]


class RequestPlan:
    """The next request for one queue, and the replies that are known."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.restart()

    def restart(self) -> None:
        """Send everything at the next scrape."""
        self._levels: Sequence[int] = _FIRST_LEVELS
        self._known: list[Any] = []
        self._late: Sequence[int] = ()
        self._late_cache: tuple[Sequence[int], bytes] = ((), b"")
        self._places: Sequence[int] = ()
        self._cache: tuple[object, Sequence[int], bytes] = (None, (), b"")

    def request(self, *, slow: bool) -> tuple[bytes, int]:
        """Return the packed commands of the first round trip and their number; `slow` adds the slow ones."""
        key = (
            slow,
            self._levels,
            [count <= _SHORT for count in self._known[:4]],
            self._known[Place.DELAYED : Place.DELAYED + 1] == [0],
        )
        if key != self._cache[0]:
            places = [place for place in range(FIXED + 1 + len(self._levels)) if self._is_sent(place, slow)]
            commands = snapshot_commands(self._queue, self._points(), *(_LOOK if self._known else _FIRST_LOOK))
            self._cache = key, places, pack_commands(self._whole(place) or commands[place] for place in places)
        self._places = self._cache[1]
        return self._cache[2], len(self._places)

    @property
    def places(self) -> Sequence[int]:
        """The places of the commands in the last request."""
        return self._places

    def complete(self, replies: Replies, now: float) -> Replies:
        """Return the replies of all commands; those of `late_request` are still the previous ones."""
        previous, full, self._late = self._known, self._known[:FIXED] or [None] * FIXED, ()
        sent = dict(zip(self._places, replies, strict=True))
        for place in filter(lambda place: place < FIXED, sent):
            full[place] = sent[place]
        front = [reply for place, reply in sent.items() if place >= FIXED]
        if previous:
            front = self._read_whole(full, previous, front)
            self._late = tuple(self._missing(full, previous, now))
        self._known = [*full, *front]
        return self._known

    def late_request(self) -> tuple[bytes, int]:
        """Return the packed commands that the second round trip adds, and their number."""
        if self._late != self._late_cache[0]:
            commands = snapshot_commands(self._queue, (), *_LOOK)
            self._late_cache = self._late, pack_commands(commands[place] for place in self._late)
        return self._late_cache[1], len(self._late)

    def add_late(self, replies: Replies) -> Replies:
        """Take the replies to `late_request`, and return those of all commands."""
        self._known = [*self._known]
        for place, reply in zip(self._late, replies, strict=True):
            if not isinstance(reply, ResponseError):  # the queue vanished in between; the next scrape finds out
                self._known[place] = reply
        return self._known

    def learn(self, new_levels: Sequence[int]) -> None:
        """Read the priorities seen now and before from now on, because priorities come and go."""
        before = () if self._levels is _FIRST_LEVELS else self._levels
        known_levels = dict.fromkeys((*new_levels, *before))
        self._levels = tuple(sorted(list(known_levels)[: MOST_LEVELS - 1]))

    def _points(self) -> Sequence[int]:
        """Return the scores from which on the first job is read: that of all, and after each known level."""
        return [0, *((level + 1) * PRIORITY for level in self._levels)]

    def _is_sent(self, place: int, slow: bool) -> bool:
        if not self._known or place in _SLOW or place in _FOLLOWING:
            return slow or not self._known
        if place == Place.FIRST_DUE:
            return bool(self._known[Place.DELAYED])
        if place in _LISTS or place == Place.PRIORITIZED:
            return not self._is_short(place)
        if place in _NOT_IN_WHOLE:
            return not self._is_short(_NOT_IN_WHOLE[place])
        if place > FIXED:
            return not self._is_short(Place.PRIORITIZED)
        return place != Place.OVERDUE

    def _is_short(self, count: int) -> bool:
        return bool(self._known) and self._known[count] <= _SHORT

    def _whole(self, place: int) -> Command | None:
        """Return the command that reads all of a short list or of a short `prioritized`, or None for another place."""
        if place in _WHOLE and self._is_short(_WHOLE[place]):
            return "LRANGE", self._queue.key(KEYS[_WHOLE[place]]), -_SHORT_READ, -1
        if place == FIXED and self._is_short(Place.PRIORITIZED):
            return "ZRANGE", self._queue.key("prioritized"), 0, _SHORT_READ - 1, "WITHSCORES"
        return None

    def _read_whole(self, full: list[Any], previous: Replies, front: list[Any]) -> list[Any]:
        """Fill the replies that follow from a list that was read as a whole; return those of `prioritized`."""
        for count, (newest, oldest, (first, last)) in _LISTS.items():
            if previous[count] <= _SHORT:
                entries = full[oldest]
                full[count], full[oldest] = len(entries), entries[-last:]
                if newest is not None:
                    full[newest] = entries[:first]
        if previous[Place.PRIORITIZED] > _SHORT:
            return front
        pairs = list(zip(front[0][::2], front[0][1::2], strict=True))
        full[Place.PRIORITIZED] = len(pairs)
        return list({float(score) // PRIORITY: [job, score] for job, score in reversed(pairs)}.values())[::-1]

    def _missing(self, full: list[Any], previous: Replies, now: float) -> Iterator[int]:
        """Yield the places that the first round trip should have read, as its replies show."""
        for count in (*_LISTS, Place.PRIORITIZED):
            if previous[count] <= _SHORT and full[count] == _SHORT_READ:
                yield count
        for place, count in _FOLLOWING.items():
            if full[count] != previous[count] and place not in self._places:
                yield place
        if full[Place.DELAYED] and not previous[Place.DELAYED]:
            yield from (Place.FIRST_DUE, Place.OVERDUE)
        elif full[Place.FIRST_DUE] and due_time(full[Place.FIRST_DUE]) <= now:
            yield Place.OVERDUE
        else:
            full[Place.OVERDUE] = 0
