"""What the names of backups say: when one was made, what is a marker, and where a listing has to begin."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo


class ProofKind(StrEnum):
    """What a marker beside a backup proves; the value is its place in the marker's name, as in `….verified.json`."""

    VERIFIED = "verified"
    RESTORED = "restored"


_MARKER = re.compile(rf"(?P<backup>.+)\.(?P<proof>{'|'.join(ProofKind)})\.json")
# Names that programs write under until the file is whole: curl, rclone (with its own eight digits), rsync and others.
_UNFINISHED = re.compile(
    r"(?P<name>.+?)(\.[0-9a-f]{8})?\.(partial|part|tmp|temp|incomplete|uploading|filepart)|\.(?P<hidden>.+)\.\w{6}"
)
# Year, month, day, or year and day of the year; then as much of the time as follows in the same order.
_SORTED = re.compile(r"(?P<literal>[^%]*)%[Yy](?:[^%]*%m[^%]*%d|[^%]*%j)(?:[^%]*%H(?:[^%]*%M(?:[^%]*%S)?)?)?")
_AFTER_DIGITS = ":"  # follows 9 in every storage's order, which is that of bytes


def marker_name(backup: str, proof: ProofKind) -> str:
    """The name of the marker that proves something about `backup`."""
    return f"{backup}.{proof}.json"


def parse_marker_name(name: str) -> tuple[str, ProofKind] | None:
    """The backup that a marker is about and what it proves, or None where `name` is no marker's."""
    match = _MARKER.fullmatch(name)
    return (match["backup"], ProofKind(match["proof"])) if match else None


def key_before(key: str) -> str:
    """A key right before `key`, so that a listing which starts after it begins with `key`."""
    return key[:-1] + chr(ord(key[-1]) - 1)


@dataclass(frozen=True)
class BackupNames:
    """The names that fit `pattern` (strptime), whose times are those of `zone`."""

    pattern: str
    zone: ZoneInfo

    def date_of(self, name: str) -> datetime | None:
        """When the backup of that name was made, or None where it is no backup's name."""
        try:
            at = datetime.strptime(name, self.pattern)  # noqa: DTZ007 - the zone is ours, unless the name has one
        except ValueError:
            return None
        return at if at.tzinfo is not None else at.replace(tzinfo=self.zone)

    def name_at(self, moment: datetime) -> str:
        """The name of a backup that is made at `moment`."""
        return moment.astimezone(self.zone).strftime(self.pattern)

    def date_of_partial(self, name: str) -> datetime | None:
        """The date of a backup whose upload goes on under another name (`….partial`), or None for any other name."""
        match = _UNFINISHED.fullmatch(name)
        return self.date_of(match["name"] or match["hidden"]) if match else None

    @property
    def sorts_by_date(self) -> bool:
        """Whether names in the order of bytes are backups in the order of time."""
        return _SORTED.match(self.pattern) is not None

    def first_key(self) -> str:
        """A key before every backup's, for a pattern that sorts by date; empty where that is the very beginning."""
        literal = self._sort_match()["literal"]
        return key_before(literal) if literal else ""

    def key_at(self, moment: datetime) -> str:
        """A key right before those of the backups from `moment` on, for a pattern that sorts by date."""
        return key_before(moment.astimezone(self.zone).strftime(self._sort_match()[0]))

    def last_key(self) -> str:
        """A key behind every backup's, for a pattern that sorts by date."""
        return self._sort_match()["literal"] + _AFTER_DIGITS

    def _sort_match(self) -> re.Match[str]:
        match = _SORTED.match(self.pattern)
        if match is None:
            raise ValueError(f"{self.pattern!r} does not sort by date")
        return match
