"""Replies of Redis about one queue, in the real format."""

from typing import Any

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
