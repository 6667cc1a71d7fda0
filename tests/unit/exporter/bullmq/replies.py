"""Replies of Redis about one queue, in the real format."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import hiredis

from exporter.bullmq.snapshot import PRIORITY, STATES


def replies(
    *,
    wait: list[bytes] = [],  # noqa: B006 - never changed
    paused: list[bytes] = [],  # noqa: B006
    prioritized: dict[bytes, int] = {},  # noqa: B006
    look: tuple[int, int] = (1, 3),
    meta: tuple[bytes | None, ...] = (None,) * 4,
    texts: tuple[bytes | None, ...] = (None,) * 4,
    held: list[bytes] = [],  # noqa: B006
    marker: int = 0,
    **counts: int,
) -> list[Any]:
    """Return the replies to `snapshot_commands`; pass complete lists, newest job first."""
    totals = dict.fromkeys(STATES, 0) | {"waiting": len(wait), "paused": len(paused), "active": len(held)}
    totals |= {"prioritized": len(prioritized)} | counts
    newest, oldest = look
    ends = [part for entries in (wait, paused) for part in (entries[:newest], entries[-oldest:])]
    front = [[job, b"%d" % (level * PRIORITY + 7)] for job, level in prioritized.items()]
    between = [held, [], 0, [], [], 0, [], list(texts), marker, None, None, 0, [], 0]
    return [*totals.values(), list(meta), *ends, *between, *front]


class QueueContents:
    """The contents of a queue, which answer any commands of the first round trip; lists have their newest job first."""

    def __init__(
        self,
        *,
        wait: Sequence[bytes] = (),
        paused: Sequence[bytes] = (),
        held: Sequence[bytes] = (),
        prioritized: Mapping[bytes, int] = {},
        meta: Sequence[bytes | None] = (None,) * 4,
        texts: Sequence[bytes | None] = (None,) * 4,
        jobs_of_a_level: int = 1,
        **counts: int,
    ) -> None:
        self._lists = {"wait": wait, "paused": paused, "active": held}
        self._prioritized = [
            (job if number == 0 else b"%b-%d" % (job, number), level * PRIORITY + 7 + number)
            for job, level in prioritized.items()
            for number in range(jobs_of_a_level)
        ]
        self._counts = {"prioritized": len(self._prioritized)} | counts
        self._meta, self._texts = list(meta), list(texts)

    def answers(self, request: bytes) -> list[Any]:
        """Return the replies to packed commands."""
        return [self._answer(*command) for command in _commands(request)]

    def _answer(self, command: bytes, key: bytes, *arguments: bytes) -> Any:
        part = key.decode().removeprefix("bull:q:")
        match command:
            case b"LLEN":
                return len(self._lists[part])
            case b"LRANGE":
                start, end = map(int, arguments)
                return list(self._lists[part][start : end + 1 or None])
            case b"ZCARD":
                return self._counts.get(part, 0)
            case b"ZRANGE" if part == "prioritized":
                pairs = self._prioritized[: int(arguments[1]) + 1]
                return [text for job, score in pairs for text in (job, b"%d" % score)]
            case b"ZRANGEBYSCORE":
                pairs = [(job, score) for job, score in self._prioritized if score >= int(arguments[0])]
                return [text for job, score in pairs[:1] for text in (job, b"%d" % score)]
        return {b"HMGET": self._meta, b"MGET": self._texts, b"ZRANGE": [], b"HGET": None}.get(command, 0)


def _commands(request: bytes) -> Iterator[list[bytes]]:
    reader = hiredis.Reader()
    reader.feed(request)
    while (command := reader.gets()) is not False:
        yield command
