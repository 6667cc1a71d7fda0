"""The markers beside backups: their proofs, and the problems of those without one."""

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
"""Markers of either kind that one reading examines, newest first, until one is valid."""


class MarkerState(StrEnum):
    """The state of a marker."""

    VALID = "valid"
    WEAK = "weak"
    """The check proves too little, for example unpacking without restoring."""
    FAILED = "failed"
    """The check found the backup to be bad."""
    MISMATCHED = "mismatched"
    """The backup now has another size or ETag than the marker states."""
    STALE = "stale"
    """The marker's backup is gone."""
    MALFORMED = "malformed"
    UNREADABLE = "unreadable"
    """The storage does not return the marker."""


@dataclass(frozen=True)
class Proofs:
    """The proofs of the newest markers, and the number of markers per state.

    `weak` is the newest marker that proves too little: it still states how the backup is encrypted.
    """

    verified: Marker | None = None
    restored: Marker | None = None
    weak: Marker | None = None
    states: Counter[tuple[ProofKind, MarkerState]] = field(default_factory=Counter)


@dataclass(frozen=True)
class _MarkerResult:
    """A marker, or the state that explains its absence."""

    marker: Marker | None
    state: MarkerState


class ProofReader:
    """Reads each marker once, and again after it was rewritten."""

    def __init__(self) -> None:
        self._cache: dict[tuple[str, float, int], _MarkerResult] = {}
        self._weak: Marker | None = None
        self.requests = 0

    async def read(self, store: ObjectStore, markers: Sequence[MarkerFile], now: float) -> Proofs:
        """Evaluate the newest markers. A marker that the storage refuses is a state, not an error."""
        self.requests = 0
        self._weak = None
        states: Counter[tuple[ProofKind, MarkerState]] = Counter()
        newest = {
            proof: await self._newest_valid(store, [each for each in markers if each.proof is proof], now, states)
            for proof in ProofKind
        }
        self._forget_deleted(markers)
        return Proofs(newest[ProofKind.VERIFIED], newest[ProofKind.RESTORED], self._weak, states)

    async def _newest_valid(
        self,
        store: ObjectStore,
        markers: Iterable[MarkerFile],
        now: float,
        states: Counter[tuple[ProofKind, MarkerState]],
    ) -> Marker | None:
        """Return the newest valid marker, and count the state of each one examined."""
        for each in sorted(markers, key=lambda marker: marker.stored_object.modified, reverse=True)[:MAX_MARKERS_READ]:
            result = await self._read_marker(store, each)
            state = result.state if result.marker is None else _evaluate(result.marker, each, now)
            states[each.proof, state] += 1
            if state is MarkerState.WEAK and self._weak is None:
                self._weak = result.marker
            # A drill proves that restoring works even after retention has deleted its backup.
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
        except (BaseError, OSError, UnicodeEncodeError):  # the last for a name on disk that is not UTF-8
            return _MarkerResult(None, MarkerState.UNREADABLE)

    def _forget_deleted(self, markers: Sequence[MarkerFile]) -> None:
        names = {each.stored_object.name for each in markers}
        self._cache = {key: result for key, result in self._cache.items() if key[0] in names}


def _evaluate(marker: Marker, file: MarkerFile, now: float) -> MarkerState:
    """Return the state of the marker.

    The name of another backup or a date in the future makes it malformed.
    """
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
