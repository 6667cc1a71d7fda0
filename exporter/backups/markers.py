"""The markers beside backups: which were read, what they prove, and what is wrong with the others."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from exporter.backups.contents import MarkerFile
from runbookd.inventory import MAX_MARKER_BYTES, Marker, MarkerError, Proof, read_marker

LOOKED_AT = 4
"""Markers of either kind that one reading looks at, the newest first, until one holds."""


class State(StrEnum):
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
    states: Counter[tuple[Proof, State]] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Read:
    """A marker that was read, or what is wrong with it."""

    marker: Marker | None
    state: State


class ProofReader:
    """Reads markers, each once: what was read is kept until it is written anew."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, float, int], _Read] = {}
        self.requests = 0

    async def read(self, store: ObjectStore, markers: Sequence[MarkerFile], now: float) -> Proofs:
        """Look at the newest markers. A storage that lists and gives out nothing is a state and no error."""
        self.requests = 0
        states: Counter[tuple[Proof, State]] = Counter()
        found = {
            proof: await self._newest(store, [each for each in markers if each.proof is proof], now, states)
            for proof in Proof
        }
        self._forget_all_but(markers)
        return Proofs(found[Proof.VERIFIED], found[Proof.RESTORED], states)

    async def _newest(
        self, store: ObjectStore, markers: Iterable[MarkerFile], now: float, states: Counter[tuple[Proof, State]]
    ) -> Marker | None:
        """The newest that holds; the state of each that was looked at is counted."""
        for each in sorted(markers, key=lambda marker: marker.stored.modified, reverse=True)[:LOOKED_AT]:
            read = await self._one(store, each)
            state = read.state if read.marker is None else _judged(read.marker, each, now)
            states[each.proof, state] += 1
            # A drill shows that restoring works, also when the retention has taken the backup of that day since.
            if state is State.VALID or (state is State.STALE and each.proof is Proof.RESTORED):
                return read.marker
        return None

    async def _one(self, store: ObjectStore, file: MarkerFile) -> _Read:
        key = (file.stored.name, file.stored.modified, file.stored.size)
        if key not in self._read:
            read = await self._fetched(store, file)
            if read.state is State.UNREADABLE:
                return read
            self._read[key] = read
        return self._read[key]

    async def _fetched(self, store: ObjectStore, file: MarkerFile) -> _Read:
        if file.stored.size > MAX_MARKER_BYTES:
            return _Read(None, State.MALFORMED)
        self.requests += 1
        try:
            answer = await obstore.get_async(store, file.stored.name)
            return _Read(read_marker(bytes(await answer.bytes_async())), State.VALID)
        except MarkerError:
            return _Read(None, State.MALFORMED)
        except (BaseError, OSError):
            return _Read(None, State.UNREADABLE)

    def _forget_all_but(self, markers: Sequence[MarkerFile]) -> None:
        listed = {each.stored.name for each in markers}
        self._read = {key: read for key, read in self._read.items() if key[0] in listed}


def _judged(marker: Marker, file: MarkerFile, now: float) -> State:
    """A name that was put on another backup's marker, or a date to come, makes it no marker of this one."""
    if file.stored.name != f"{marker.backup}.{marker.proof}.json" or marker.at.timestamp() > now:
        return State.MALFORMED
    if not marker.ok:
        return State.FAILED
    if not marker.proves:
        return State.WEAK
    if file.backup is None:
        return State.STALE
    if marker.size != file.backup.size or (marker.etag is not None and marker.etag != file.backup.etag):
        return State.MISMATCHED
    return State.VALID
