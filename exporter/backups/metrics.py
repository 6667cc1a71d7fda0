"""The metrics of backups, and their samples."""

from collections.abc import Iterator
from statistics import median

from exporter.backups.contents import IncompleteReason
from exporter.backups.folder import Listing
from exporter.backups.markers import MarkerState, Proofs
from exporter.errors import Fault
from exporter.metric import Sample, counter, gauge
from runbookd.inventory import ProofKind

_LISTING, _MARKERS, _OWN = "listing, or report", "markers", "the exporter"
MEDIAN_BACKUPS = 7
"""Number of backups before the newest whose median size is compared with it."""

UP = gauge("backup_up", "Whether the last listing of the backups succeeded (1).", "kind", source=_LISTING)
FOUND = gauge(
    "backup_found",
    "Whether a complete backup exists (1). Cached.",
    "kind",
    source=_LISTING,
)
LAST_SUCCESS = gauge(
    "backup_last_success_timestamp_seconds",
    "Date of the newest complete backup (by default the date in its name), in seconds since 1970; absent if there is"
    " none. Cached.",
    "kind",
    source=_LISTING,
)
LAST_SIZE = gauge(
    "backup_last_size_bytes", "Size of the newest complete backup, in bytes. Cached.", "kind", source=_LISTING
)
SIZE_MEDIAN = gauge(
    "backup_size_median_bytes",
    f"Median size of the complete backups before the newest, at most {MEDIAN_BACKUPS}, in bytes. Cached.",
    "kind",
    source=_LISTING,
)
OBJECTS = gauge(
    "backup_objects",
    "Complete backups in the folder; while backup_listing_truncated is 1, those counted so far. Cached.",
    "kind",
    source=_LISTING,
)
BYTES = gauge(
    "backup_bytes",
    "Total size of the backups that backup_objects counts, in bytes; absent if the size of one is unknown. Cached.",
    "kind",
    source=_LISTING,
)
OLDEST = gauge(
    "backup_oldest_timestamp_seconds",
    "Date of the oldest complete backup, in seconds since 1970; absent if there is none. Cached.",
    "kind",
    source=_LISTING,
)
TRUNCATED = gauge(
    "backup_listing_truncated",
    "Whether the exporter is still counting the old backups of a large folder (1). Cached.",
    "kind",
    source=_LISTING,
)
INCOMPLETE = gauge(
    "backup_incomplete_objects",
    "Incomplete backups after the newest complete one: empty (no bytes), uploading (a name such as ….partial), future"
    " (a date in the future), damaged (according to the report). Cached.",
    "kind",
    "state",
    source=_LISTING,
)
UNMATCHED = gauge(
    "backup_unmatched_objects",
    "Objects in the last listing that are not markers and do not match the pattern. Cached.",
    "kind",
    source=_LISTING,
)
FAILED = gauge(
    "backup_listing_failed",
    "Whether the last listing failed for this reason: options, endpoint (no answer, or not a storage), region,"
    " credentials, clock (the storage refuses the request's date), folder (no such bucket or folder), report (not a"
    " valid report), timeout, other.",
    "kind",
    "reason",
    source=_OWN,
)
LAST_CHECK = gauge(
    "backup_last_check_timestamp_seconds",
    "When the folder was last listed, or the report written, in seconds since 1970.",
    "kind",
    source=_LISTING,
)
LIST_REQUESTS = counter(
    "backup_list_requests_total",
    "List requests, each for up to 1000 objects; the storage bills for them.",
    "kind",
    source=_OWN,
)
VERIFIED = gauge(
    "backup_last_verified_timestamp_seconds",
    "When a backup that still exists was last verified to its end, in seconds since 1970; absent without a proof."
    " Cached.",
    "kind",
    source=_MARKERS,
)
RESTORED = gauge(
    "backup_last_restored_timestamp_seconds",
    "When a backup was last restored into a scratch database, in seconds since 1970; absent without a proof. Cached.",
    "kind",
    source=_MARKERS,
)
RESTORE_DURATION = gauge(
    "backup_last_restore_duration_seconds",
    "Duration of the last restore, in seconds. Cached.",
    "kind",
    source=_MARKERS,
)
RESTORE_ROWS = gauge(
    "backup_last_restore_rows",
    "Rows of all tables in the scratch database of the last restore. Cached.",
    "kind",
    source=_MARKERS,
)
RESTORED_NEWEST_ROW = gauge(
    "backup_last_restore_newest_row_timestamp_seconds",
    "Time of the newest row in the scratch database of the last restore, in seconds since 1970: newer ones would have"
    " been lost. Absent if the drill did not look for it. Cached.",
    "kind",
    source=_MARKERS,
)
ENCRYPTED = gauge(
    "backup_encrypted",
    "Whether the backups are encrypted (1), according to the newest marker or the report; absent if unknown. Cached.",
    "kind",
    source=f"{_MARKERS}, or report",
)
PROOFS = gauge(
    "backup_proofs",
    "Markers examined, newest first until a valid one, by state: valid, weak (the check proves too little), failed (the"
    " backup is bad), mismatched (the backup has changed), stale (the backup is gone), malformed, unreadable. Cached.",
    "kind",
    "proof",
    "state",
    source=_MARKERS,
)
METRICS = (
    UP,
    FOUND,
    LAST_SUCCESS,
    LAST_SIZE,
    SIZE_MEDIAN,
    OBJECTS,
    BYTES,
    OLDEST,
    TRUNCATED,
    INCOMPLETE,
    UNMATCHED,
    FAILED,
    LAST_CHECK,
    LIST_REQUESTS,
    VERIFIED,
    RESTORED,
    RESTORE_DURATION,
    RESTORE_ROWS,
    RESTORED_NEWEST_ROW,
    ENCRYPTED,
    PROOFS,
)
SERIES = {
    INCOMPLETE.name: len(IncompleteReason),
    FAILED.name: len(Fault),
    PROOFS.name: len(ProofKind) * len(MarkerState),
}
"""Metrics with more than one series per target."""


def samples_of(listing: Listing, proofs: Proofs, kind: str) -> Iterator[Sample]:
    """Yield all samples of a successful reading."""
    yield from _listing_samples(listing, kind)
    yield from _newest_samples(listing, kind)
    yield from _proof_samples(listing, proofs, kind)


def _listing_samples(listing: Listing, kind: str) -> Iterator[Sample]:
    yield FOUND(listing.count > 0, kind)
    yield OBJECTS(listing.count, kind)
    if listing.size is not None:
        yield BYTES(listing.size, kind)
    yield TRUNCATED(listing.truncated, kind)
    yield UNMATCHED(listing.recent.unmatched, kind)
    yield LAST_CHECK(listing.checked_at, kind)
    if listing.oldest_at is not None:
        yield OLDEST(listing.oldest_at, kind)
    for state, number in listing.recent.incomplete_counts().items():
        yield INCOMPLETE(number, kind, state)


def _newest_samples(listing: Listing, kind: str) -> Iterator[Sample]:
    """Yield the newest backup's samples; none without a backup, instead of a date in 1970."""
    newest, *others = listing.recent.backups or (None,)
    if newest is None:
        return
    yield LAST_SUCCESS(newest.made_at, kind)
    if newest.size is not None:
        yield LAST_SIZE(newest.size, kind)
    sizes = [each.size for each in others[:MEDIAN_BACKUPS] if each.size is not None]
    if sizes:
        yield SIZE_MEDIAN(median(sizes), kind)


def _proof_samples(listing: Listing, proofs: Proofs, kind: str) -> Iterator[Sample]:
    if proofs.verified is not None:
        yield VERIFIED(proofs.verified.at.timestamp(), kind)
    if proofs.restored is not None:
        yield RESTORED(proofs.restored.at.timestamp(), kind)
        yield RESTORE_DURATION(proofs.restored.duration_seconds or 0, kind)
        yield RESTORE_ROWS(sum(proofs.restored.rows.values()), kind)
        if proofs.restored.newest_row_at is not None:
            yield RESTORED_NEWEST_ROW(proofs.restored.newest_row_at.timestamp(), kind)
    encrypted = _is_encrypted(listing, proofs)
    if encrypted is not None:
        yield ENCRYPTED(encrypted, kind)
    for proof in ProofKind:
        for state in MarkerState:
            yield PROOFS(proofs.states[proof, state], kind, proof, state)


def _is_encrypted(listing: Listing, proofs: Proofs) -> bool | None:
    if listing.encrypted is not None:
        return listing.encrypted
    encryptions = [
        each.encryption
        for each in (proofs.verified, proofs.restored, proofs.weak)
        if each and each.encryption is not None
    ]
    return bool(encryptions[0]) if encryptions else None
