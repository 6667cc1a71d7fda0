"""Reads backup names: a backup's date, the markers, and the key at which a listing begins."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo


class ProofKind(StrEnum):
    """The proof in a marker beside a backup; the value is part of its name: `….verified.json`."""

    VERIFIED = "verified"
    RESTORED = "restored"


_MARKER = re.compile(rf"(?P<backup>.+)\.(?P<proof>{'|'.join(ProofKind)})\.json")
# Temporary names during an upload: curl, rclone (which inserts eight hex digits), rsync and others.
_UNFINISHED = re.compile(
    r"(?P<name>.+?)(\.[0-9a-f]{8})?\.(partial|part|tmp|temp|incomplete|uploading|filepart)|\.(?P<hidden>.+)\.\w{6}"
)
# Year, month and day, or year and day of the year; then any time fields that follow in descending order.
_SORTED = re.compile(r"(?P<literal>[^%]*)%[Yy](?:[^%]*%m[^%]*%d|[^%]*%j)(?:[^%]*%H(?:[^%]*%M(?:[^%]*%S)?)?)?")
_AFTER_DIGITS = ":"  # the byte after 9: every storage lists in byte order


def marker_name(backup: str, proof: ProofKind) -> str:
    """Return the name of the marker of kind `proof` for `backup`."""
    return f"{backup}.{proof}.json"


def parse_marker_name(name: str) -> tuple[str, ProofKind] | None:
    """Return a marker's backup and proof, or None if `name` is not a marker."""
    match = _MARKER.fullmatch(name)
    return (match["backup"], ProofKind(match["proof"])) if match else None


def key_before(key: str) -> str:
    """Return a key just before `key`: a listing that starts after it begins with `key`."""
    return key[:-1] + chr(ord(key[-1]) - 1)


@dataclass(frozen=True)
class BackupNames:
    """The backup names that match `pattern` (strptime), with times in `zone`."""

    pattern: str
    zone: ZoneInfo

    def date_of(self, name: str) -> datetime | None:
        """Return the backup's date, or None if `name` is not a backup name."""
        try:
            at = datetime.strptime(name, self.pattern)  # noqa: DTZ007 - the zone is ours, unless the name has one
        except ValueError:
            return None
        return at if at.tzinfo is not None else at.replace(tzinfo=self.zone)

    def name_at(self, moment: datetime) -> str:
        """Return the name of a backup made at `moment`."""
        return moment.astimezone(self.zone).strftime(self.pattern)

    def date_of_partial(self, name: str) -> datetime | None:
        """Return the date of an unfinished upload (`….partial`), or None for any other name."""
        match = _UNFINISHED.fullmatch(name)
        return self.date_of(match["name"] or match["hidden"]) if match else None

    @property
    def sorts_by_date(self) -> bool:
        """Whether sorting names by bytes sorts backups by date."""
        return _SORTED.match(self.pattern) is not None

    def first_key(self) -> str:
        """Return a key before all backups; empty if the pattern starts with its date.

        Like `key_at` and `last_key`, it needs a pattern that sorts by date.
        """
        literal = self._sort_match()["literal"]
        return key_before(literal) if literal else ""

    def key_at(self, moment: datetime) -> str:
        """Return a key just before the first backup made at or after `moment`."""
        return key_before(moment.astimezone(self.zone).strftime(self._sort_match()[0]))

    def last_key(self) -> str:
        """Return a key after all backups."""
        return self._sort_match()["literal"] + _AFTER_DIGITS

    def _sort_match(self) -> re.Match[str]:
        match = _SORTED.match(self.pattern)
        if match is None:
            raise ValueError(f"{self.pattern!r} does not sort by date")
        return match
