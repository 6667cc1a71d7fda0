"""Logs what a daemon lacks at its start, so that it does not wait in silence for work that never comes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import structlog
from aiohttp import web

from runbookd.inventory import Inventory

TARGET_KINDS = ("postgres", "redis", "queues", "backups", "http")
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MissingPart:
    """A part of the configuration that is not there, and what follows from that."""

    what: str
    meaning: str


MISSING_PARTS: web.AppKey[Iterable[MissingPart]] = web.AppKey("missing_parts")
"""The missing parts of an application; serve() logs them once it listens."""


def missing_targets(inventory: Inventory, meaning: str) -> Iterator[MissingPart]:
    """Report an inventory without stacks or targets; `meaning` is what the daemon then does not do."""
    if not inventory.stacks:
        yield MissingPart("stacks in the inventory", f"{meaning}; add one under `stacks`")
    elif not any(getattr(stack, kind) for stack in inventory.stacks.values() for kind in TARGET_KINDS):
        yield MissingPart("targets in the inventory", f"{meaning}; add {', '.join(TARGET_KINDS)} to a stack")


def log_missing(parts: Iterable[MissingPart]) -> None:
    """Log each part as one warning."""
    for part in parts:
        log.warning("missing", what=part.what, meaning=part.meaning)
