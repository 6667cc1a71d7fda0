"""Lists a store page by page or level by level, whatever its names and whatever answers.

One odd name (`old//x.txt`, a control character) makes the object storage library refuse a page, and an answer that is
no listing looks empty to it. Both are read again in another way, which depends on the kind of storage.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from math import ceil
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError, GenericError, InvalidPathError, NotFoundError
from obstore.exceptions import PermissionDeniedError as Denied
from obstore.store import LocalStore, ObjectStore

from exporter.backups.contents import StoredObject, stored_objects
from exporter.backups.disk_listing import Level, list_disk_level, list_disk_tree
from exporter.backups.s3_listing import S3Listing

# S3 and GCS return at most 1000 objects per response, Azure 5000.
PAGE = 1000


@dataclass
class Tally:
    """The number of list requests since the start."""

    requests: int = 0


async def list_level(store: ObjectStore, tally: Tally) -> Level:
    """List the objects directly in the store's folder, and its subfolders.

    Raises:
        BaseError: the storage refuses, or is not a storage.
        OSError: the folder on disk cannot be read.
    """
    tally.requests += 1
    if isinstance(store, LocalStore):
        return await asyncio.to_thread(list_disk_level, str(store.prefix))
    try:
        response = await obstore.list_with_delimiter_async(store)
    except InvalidPathError:
        if (listing := S3Listing.of(store)) is None:
            raise
        return await _own_level(listing, tally)
    level = Level(stored_objects(response["objects"]), [path.rstrip("/") for path in response["common_prefixes"]])
    tally.requests += max(ceil((len(level.objects) + len(level.folders)) / PAGE), 1) - 1
    return level


async def list_pages(
    store: ObjectStore, tally: Tally, *, prefix: str | None = None, after: str = ""
) -> AsyncIterator[list[StoredObject]]:
    """List names after `after` page by page, in the storage's order; subfolders are included.

    The next page is requested only when it is consumed, and each request is counted. Raises as `list_level` does.
    """
    if isinstance(store, LocalStore):
        async for page in _disk_pages(store, tally, prefix or ""):
            yield page
        return
    position = after
    try:
        async for page in _library_pages(store, tally, prefix, after):
            yield page
            position = page[-1].name
    except InvalidPathError:
        listing = S3Listing.of(store)
        if listing is None:
            raise
        async for level in listing.pages(prefix=f"{prefix}/" if prefix else "", after=position):
            tally.requests += 1
            if level.objects:
                yield level.objects


async def is_really_empty(store: ObjectStore, tally: Tally) -> bool:
    """Return whether a folder is as empty as the library says, to which a web page looks empty, too.

    Raises:
        BaseError: the server is not a storage.
        OSError: the folder on disk cannot be read.
    """
    if isinstance(store, LocalStore):
        return not any(await list_level(store, tally))
    tally.requests += 1
    if (listing := S3Listing.of(store)) is None:
        await _check_storage(store)
        return True
    async for level in listing.pages():
        return not level.objects
    return True


async def _library_pages(
    store: ObjectStore, tally: Tally, prefix: str | None, after: str
) -> AsyncIterator[list[StoredObject]]:
    tally.requests += 1
    first = True
    async for chunk in obstore.list(store, prefix, offset=after or None, chunk_size=PAGE):
        tally.requests += not first
        first = False
        yield [
            StoredObject(each["path"], each["size"], each["last_modified"].timestamp(), each.get("e_tag"))
            for each in chunk
        ]


async def _disk_pages(store: LocalStore, tally: Tally, prefix: str) -> AsyncIterator[list[StoredObject]]:
    tally.requests += 1
    objects = await asyncio.to_thread(lambda: sorted(list_disk_tree(str(store.prefix), prefix), key=_name))
    for start in range(0, len(objects), PAGE):
        yield objects[start : start + PAGE]


async def _own_level(listing: S3Listing, tally: Tally) -> Level:
    whole = Level([], [])
    async for level in listing.pages(delimiter="/"):
        tally.requests += 1
        whole.objects.extend(level.objects)
        whole.folders.extend(level.folders)
    return whole


async def _check_storage(store: ObjectStore) -> None:
    """Raise GenericError unless the server behaves as a storage about a name that cannot exist."""
    try:
        await obstore.head_async(store, f"runbook-exporter-{uuid4().hex}")
    except (NotFoundError, FileNotFoundError, Denied):
        return
    except BaseError:
        pass
    raise GenericError("invalid list response")


def is_odd(name: str) -> bool:
    """Return whether the library would refuse the name; in a listing, it counts as one object of the folder."""
    return any(part in ("", ".", "..") for part in name.split("/")) or not name.isprintable()


def _name(each: StoredObject) -> str:
    return each.name
