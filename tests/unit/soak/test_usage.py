"""The soak names each resource that a daemon holds more of than before."""

from collections import Counter
from dataclasses import replace

import pytest

from soak.environment import EXPORTER, REMEDIATOR
from soak.usage import GROWTH_BYTES, MOST, Usage, compare

OPEN = Counter({"/dev/null": 3, "socket:[4]": 1})
USAGE = Usage(rss=100 * 1024**2, open=OPEN, tasks=9, postgres=1, redis=2, ledger=4, storage=1)


@pytest.mark.parametrize("daemon", [EXPORTER, REMEDIATOR])
@pytest.mark.parametrize(
    ("resource", "leaked"),
    [("tasks", 10), ("postgres", 2), ("redis", 3), ("ledger", 11), ("storage", 5)],
)
def test_one_leaked_thing_is_named(daemon: str, resource: str, leaked: int) -> None:
    (problem,) = compare({daemon: USAGE}, {daemon: replace(USAGE, **{resource: leaked})})
    assert problem.startswith(f"{daemon}: {resource} changed: ")


@pytest.mark.parametrize("daemon", [EXPORTER, REMEDIATOR])
def test_memory_may_grow_up_to_its_limit(daemon: str) -> None:
    limit = USAGE.rss + GROWTH_BYTES[daemon]
    assert compare({daemon: USAGE}, {daemon: replace(USAGE, rss=limit)}) == []
    assert compare({daemon: USAGE}, {daemon: replace(USAGE, rss=limit + 1)}) != []


def test_pools_may_grow_to_their_size() -> None:
    assert compare({REMEDIATOR: USAGE}, {REMEDIATOR: replace(USAGE, **MOST)}) == []


def test_leaked_file_is_named() -> None:
    (problem,) = compare({EXPORTER: USAGE}, {EXPORTER: replace(USAGE, open=OPEN + Counter(["/tmp/page", "/dev/null"]))})
    assert problem.startswith(f"{EXPORTER}: files changed: ")
    assert problem.endswith("; newly open: /dev/null, /tmp/page")
