"""Lists folders on disk with the names that the file system has; object stores allow fewer characters."""

import os
from collections.abc import Iterator
from dataclasses import replace
from stat import S_ISREG
from typing import NamedTuple

from exporter.backups.contents import StoredObject


class Level(NamedTuple):
    """The objects directly in a folder, and the names of its subfolders."""

    objects: list[StoredObject]
    folders: list[str]


def list_disk_level(folder: str) -> Level:
    """List a folder, without its subfolders' content. Raises OSError."""
    level = Level([], [])
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_folder(entry):
                level.folders.append(entry.name)
            else:
                level.objects.append(_object(entry))
    return level


def list_disk_tree(folder: str, subfolder: str) -> Iterator[StoredObject]:
    """Yield the files of a subfolder and all below it, named by their path. Raises OSError."""
    level = list_disk_level(f"{folder}/{subfolder}")
    yield from (replace(each, name=f"{subfolder}/{each.name}") for each in level.objects)
    for name in level.folders:
        yield from list_disk_tree(folder, f"{subfolder}/{name}")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder; a link that leads nowhere, in a circle or to a closed place is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _object(entry: os.DirEntry[str]) -> StoredObject:
    """Return a file; one that is gone or out of reach, such as the target of a link, and a device count as empty."""
    try:
        state = entry.stat()
    except OSError:
        return StoredObject(entry.name, 0, 0.0, None)
    return StoredObject(entry.name, state.st_size if S_ISREG(state.st_mode) else 0, state.st_mtime, _etag(state))


def _etag(state: os.stat_result) -> str:
    """Return the tag that the object storage library makes for a file, as markers record it."""
    return f'"{state.st_ino:x}-{state.st_mtime_ns // 1000:x}-{state.st_size:x}"'
