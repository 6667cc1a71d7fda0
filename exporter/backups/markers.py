"""The markers beside backups: which were read, what they prove, and what is wrong with the others."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from exporter.backups.contents import MarkerFile
from runbookd.inventory import MAX_MARKER_BYTES, Marker, MarkerError, ProofKind, read_marker

MAX_MARKERS_READ = 4
"""Markers of either kind that one reading looks at, the newest first, until one holds."""


class MarkerState(StrEnum):
    """What a marker is worth."""

    VALID = "valid"
    WEAK = "weak"
    """What was done proves nothing, such as unpacking alone."""
    FAILED = "failed"
    """It says that the backup is not good."""
    MISMATCHED = "mismatched"
    """It is about other content than what lies there: another size, or another mark of the storage."""
    STALE = "stale"
    """The backup that it is about is gone."""
    MALFORMED = "malformed"
    UNREADABLE = "unreadable"
    """The storage does not give it out."""


@dataclass(frozen=True)
class Proofs:
    """What the newest markers prove, and how many are in which state."""

    verified: Marker | None = None
    restored: Marker | None = None
    states: Counter[tuple[ProofKind, MarkerState]] = field(default_factory=Counter)


@dataclass(frozen=True)
class _MarkerResult:
    """A marker that was read, or what is wrong with it."""

    marker: Marker | None
    state: MarkerState


class ProofReader:
    """Reads markers, each once: what was read is kept until it is written anew."""

    def __init__(self) -> None:
        self._cache: dict[tuple[str, float, int], _MarkerResult] = {}
        self.requests = 0

    async def read(self, store: ObjectStore, markers: Sequence[MarkerFile], now: float) -> Proofs:
        """Look at the newest markers. A storage that lists and gives out nothing is a state and no error."""
        self.requests = 0
        states: Counter[tuple[ProofKind, MarkerState]] = Counter()
        newest = {
            proof: await self._newest_valid(store, [each for each in markers if each.proof is proof], now, states)
            for proof in ProofKind
        }
        self._forget_deleted(markers)
        return Proofs(newest[ProofKind.VERIFIED], newest[ProofKind.RESTORED], states)

    async def _newest_valid(
        self,
        store: ObjectStore,
        markers: Iterable[MarkerFile],
        now: float,
        states: Counter[tuple[ProofKind, MarkerState]],
    ) -> Marker | None:
        """The newest that holds; the state of each that was looked at is counted."""
        for each in sorted(markers, key=lambda marker: marker.stored_object.modified, reverse=True)[:MAX_MARKERS_READ]:
            result = await self._read_marker(store, each)
            state = result.state if result.marker is None else _evaluate(result.marker, each, now)
            states[each.proof, state] += 1
            # A drill shows that restoring works, also when the retention has taken the backup of that day since.
            if state is MarkerState.VALID or (state is MarkerState.STALE and each.proof is ProofKind.RESTORED):
                return result.marker
        return None

    async def _read_marker(self, store: ObjectStore, file: MarkerFile) -> _MarkerResult:
        key = (file.stored_object.name, file.stored_object.modified, file.stored_object.size)
        if key not in self._cache:
            result = await self._fetch(store, file)
            if result.state is MarkerState.UNREADABLE:
                return result
            self._cache[key] = result
        return self._cache[key]

    async def _fetch(self, store: ObjectStore, file: MarkerFile) -> _MarkerResult:
        if file.stored_object.size > MAX_MARKER_BYTES:
            return _MarkerResult(None, MarkerState.MALFORMED)
        self.requests += 1
        try:
            response = await obstore.get_async(store, file.stored_object.name)
            return _MarkerResult(read_marker(bytes(await response.bytes_async())), MarkerState.VALID)
        except MarkerError:
            return _MarkerResult(None, MarkerState.MALFORMED)
        except (BaseError, OSError):
            return _MarkerResult(None, MarkerState.UNREADABLE)

    def _forget_deleted(self, markers: Sequence[MarkerFile]) -> None:
        names = {each.stored_object.name for each in markers}
        self._cache = {key: result for key, result in self._cache.items() if key[0] in names}


def _evaluate(marker: Marker, file: MarkerFile, now: float) -> MarkerState:
    """A name that was put on another backup's marker, or a date to come, makes it no marker of this one."""
    if file.stored_object.name != f"{marker.backup}.{marker.proof}.json" or marker.at.timestamp() > now:
        return MarkerState.MALFORMED
    if not marker.ok:
        return MarkerState.FAILED
    if not marker.proves:
        return MarkerState.WEAK
    if file.backup is None:
        return MarkerState.STALE
    if marker.size != file.backup.size or (marker.etag is not None and marker.etag != file.backup.etag):
        return MarkerState.MISMATCHED
    return MarkerState.VALID
