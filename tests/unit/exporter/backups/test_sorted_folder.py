"""A folder of any size costs one or two requests per reading, and its listing stays correct.

A generator serves the bucket of a million objects over HTTP. Tests that change objects between readings use obstore's
memory store, which sorts and starts after a name as S3 does.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import obstore
import pytest
from aiohttp import web
from obstore.store import MemoryStore, S3Store

from benchmarks.many_keys import PATTERN, ManyKeys
from exporter.backups.folder import Listing, Tally
from exporter.backups.sorted_folder import SortedFolder
from runbookd.inventory import BackupNames, ProofKind, marker_name

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAMES = BackupNames(PATTERN, ZoneInfo("UTC"))
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@asynccontextmanager
async def serve_keys(keys: ManyKeys) -> AsyncIterator[S3Store]:
    runner = web.AppRunner(keys.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    config = {"access_key_id": "a", "secret_access_key": "b", "region": "us-east-1", "endpoint": endpoint}
    yield S3Store("bucket", prefix="db", config=config, client_options={"allow_http": True})
    await runner.cleanup()


class WatchedFolder:
    """A folder that is read every five minutes from NOW on."""

    def __init__(self, store: S3Store | MemoryStore) -> None:
        self.store, self.tally = store, Tally()
        self.folder = SortedFolder(NAMES, self.tally)
        self.now = NOW

    async def read(self) -> Listing:
        listing = await self.folder.read(self.store, self.now.timestamp())
        self.now += 5 * MINUTE
        return listing


async def cost(keys: ManyKeys, readings: int) -> None:
    async with serve_keys(keys) as store:
        watched_folder = WatchedFolder(store)
        for _ in range(readings):
            listing = await watched_folder.read()
            assert listing.recent.backups[0].made_at == keys.newest.timestamp()
        assert watched_folder.tally.requests == keys.requests


async def test_million_old_backups_cost_at_most_twice_as_much_as_a_thousand() -> None:
    small, large = (ManyKeys(count, NOW - HOUR, step=30 * MINUTE) for count in (1_000, 1_000_000))
    for keys in (small, large):
        await cost(keys, readings=24)
    assert small.requests == 24
    assert large.requests <= 2 * small.requests
    assert large.keys_listed <= 2 * small.keys_listed


async def test_partial_census_is_reported_as_truncated() -> None:
    async with serve_keys(ManyKeys(1_000_000, NOW - HOUR)) as store:
        found = await WatchedFolder(store).read()
    assert found.truncated
    assert found.count < 1_000_000
    assert found.oldest_at == NAMES.date_of(ManyKeys(1_000_000, NOW - HOUR).key(0).removeprefix("db/")).timestamp()


@pytest.mark.parametrize(
    ("step", "newest"),
    [
        (timedelta(seconds=1), NOW),
        (5 * MINUTE, NOW - MINUTE),
        (DAY, NOW - DAY),
        (7 * DAY, NOW - 3 * DAY),
        (HOUR, NOW - 900 * DAY),
        (timedelta(seconds=1), NOW - 900 * DAY),
    ],
)
async def test_newest_backups_are_found_at_any_density_and_age(step: timedelta, newest: datetime) -> None:
    keys = ManyKeys(5_000, newest, step)
    async with serve_keys(keys) as store:
        watched = WatchedFolder(store)
        found = await watched.read()
        assert found.recent.backups[0].made_at == newest.timestamp()
        assert len(found.recent.backups) >= 8
        assert keys.requests < 30
        steady = keys.requests
        for _ in range(20):
            found = await watched.read()
        assert (found.truncated, found.count, found.size) == (False, 5_000, 5_000 * keys.size)
        assert keys.requests - steady <= 20 + 6


async def put(store: MemoryStore, *moments: datetime, content: bytes = b"dump") -> None:
    for moment in moments:
        await obstore.put_async(store, NAMES.name_at(moment), content)


@pytest.fixture
async def hourly() -> MemoryStore:
    """Return a store with a backup for each of the last 2500 hours."""
    store = MemoryStore()
    await put(store, *(NOW - number * HOUR for number in range(2_500)))
    return store


async def complete_census(watched_folder: WatchedFolder) -> Listing:
    for _ in range(10):
        listing = await watched_folder.read()
        if not listing.truncated:
            return listing
    raise AssertionError("the census does not end")


async def test_new_backups_are_counted_at_once(hourly: MemoryStore) -> None:
    watched = WatchedFolder(hourly)
    assert (await complete_census(watched)).count == 2_500
    await put(hourly, *(NOW + number * MINUTE for number in range(1, 21)))
    found = await watched.read()
    assert (found.count, found.size, found.truncated) == (2_520, 4 * 2_520, False)
    assert found.recent.backups[0].made_at == (NOW + 20 * MINUTE).timestamp()
    assert (await watched.read()).count == 2_520


async def test_older_backups_become_the_newest_after_a_deletion(hourly: MemoryStore) -> None:
    watched = WatchedFolder(hourly)
    await complete_census(watched)
    gone = [NAMES.name_at(NOW - number * HOUR) for number in range(40)]
    await obstore.delete_async(hourly, gone)
    found = await watched.read()
    assert found.recent.backups[0].made_at == (NOW - 40 * HOUR).timestamp()
    assert len(found.recent.backups) == 8
    assert (await complete_census(watched)).count == 2_460


async def test_deletions_by_retention_are_noticed_within_a_day(hourly: MemoryStore) -> None:
    watched = WatchedFolder(hourly)
    await complete_census(watched)
    await obstore.delete_async(hourly, [NAMES.name_at(NOW - number * HOUR) for number in range(2_400, 2_500)])
    watched.now += DAY
    await watched.read()
    await watched.read()
    found = await watched.read()
    assert found.oldest_at == (NOW - 2_399 * HOUR).timestamp()
    for _ in range(8):
        found = await watched.read()
    assert found.count == 2_400


async def test_folder_that_becomes_small_is_listed_completely_again(hourly: MemoryStore) -> None:
    watched = WatchedFolder(hourly)
    await complete_census(watched)
    await obstore.delete_async(hourly, [NAMES.name_at(NOW - number * HOUR) for number in range(2_497)])
    assert (await watched.read()).count == 3
    before = watched.tally.requests
    assert (await watched.read()).count == 3
    assert watched.tally.requests == before + 1
    await obstore.delete_async(hourly, [NAMES.name_at(NOW - number * HOUR) for number in range(2_497, 2_500)])
    found = await watched.read()
    assert (found.count, found.recent.backups, found.oldest_at) == (0, (), None)


async def test_thousands_of_future_dates_do_not_hide_the_newest(hourly: MemoryStore) -> None:
    await put(hourly, *(NOW + 50 * DAY + number * MINUTE for number in range(2_500)))
    watched = WatchedFolder(hourly)
    found = await watched.read()
    assert found.recent.backups[0].made_at == NOW.timestamp()
    assert found.recent.incomplete_counts()["future"] > 0
    assert watched.tally.requests == 4  # two complete listings, the window, and the census
    await watched.read()
    assert watched.tally.requests == 5


async def test_other_objects_cost_no_request_and_are_not_backups(hourly: MemoryStore) -> None:
    for number in range(3_000):
        await obstore.put_async(hourly, f"zzz/{number}", b"x")
    watched = WatchedFolder(hourly)
    assert (await complete_census(watched)).count == 2_500
    before = watched.tally.requests
    await watched.read()
    assert watched.tally.requests == before + 1


async def test_subfolders_between_backups_are_skipped(hourly: MemoryStore) -> None:
    for number in range(2_500):
        await obstore.put_async(hourly, f"db_2/{number}", b"x")
    found = await complete_census(WatchedFolder(hourly))
    assert (found.count, found.oldest_at) == (2_500, (NOW - 2_499 * HOUR).timestamp())


async def test_marker_on_a_page_boundary_stays_with_its_backup(hourly: MemoryStore) -> None:
    """Mark every backup around the end of the first page, which holds the oldest thousand objects."""
    marked = [NAMES.name_at(NOW - number * HOUR) for number in range(1_480, 1_515)]
    for name in marked:
        await obstore.put_async(hourly, marker_name(name, ProofKind.RESTORED), b"{}")
    found = await complete_census(WatchedFolder(hourly))
    assert found.count == 2_500
    old = [
        marker for marker in found.recent.markers if marker.stored_object.name.removesuffix(".restored.json") in marked
    ]
    assert len(old) == 8
    assert all(marker.backup is not None for marker in old)
