"""The format of an archive of dead letters: one line of JSON per job, which reads back byte for byte."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remediator.model.errors import TargetUnreachable

FORMAT = "runbookd-dead-letters-1"


@dataclass(frozen=True)
class ArchivedJob:
    """All of one job: its id, its place, the fields of its hash and its log."""

    id: str
    place: str
    score: str  # empty in a list
    fields: tuple[tuple[bytes, bytes], ...]
    logs: tuple[bytes, ...]

    @property
    def fingerprint(self) -> str:
        """The fingerprint that the script makes of the same content."""
        parts = sorted(_sha1(b"%d:%s%s" % (len(name), name, value)) for name, value in self.fields)
        parts += [_sha1(line) for line in self.logs]
        return _sha1(b"%d:%s" % (len(self.fields), "".join(parts).encode()))

    def arguments(self) -> list[bytes | str | int]:
        """Return the arguments with which the script puts the job back."""
        flat = [text for field in self.fields for text in field]
        return [self.id, self.place, self.score, len(flat), *flat, len(self.logs), *self.logs]

    @property
    def size(self) -> int:
        """The bytes of its content."""
        return sum(len(name) + len(value) for name, value in self.fields) + sum(map(len, self.logs))


def write_archive(queue: str, jobs: Sequence[ArchivedJob]) -> bytes:
    """Return the content of an archive: a head, and a line per job."""
    head = {"format": FORMAT, "queue": queue, "jobs": len(jobs)}
    return "".join(json.dumps(each) + "\n" for each in (head, *map(_as_json, jobs))).encode("ascii")


def read_jobs(content: bytes, place: str) -> Mapping[str, ArchivedJob]:
    """Return the jobs of an archive by id.

    Raises:
        TargetUnreachable: it is not such an archive, or not a whole one.
    """
    try:
        head, *lines = map(json.loads, content.decode("ascii").splitlines())
        jobs = [_from_json(line) for line in lines]
        if head["format"] != FORMAT or head["jobs"] != len(jobs):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TargetUnreachable(f"{place}: the archive is not a whole archive of dead letters") from None
    return {job.id: job for job in jobs}


def _as_json(job: ArchivedJob) -> dict[str, Any]:
    fields = [[_text(name), _text(value)] for name, value in job.fields]
    return {"id": job.id, "place": job.place, "score": job.score, "fields": fields, "logs": [*map(_text, job.logs)]}


def _from_json(line: Mapping[str, Any]) -> ArchivedJob:
    fields = tuple((_bytes(name), _bytes(value)) for name, value in line["fields"])
    return ArchivedJob(line["id"], line["place"], line["score"], fields, tuple(map(_bytes, line["logs"])))


def _text(raw: bytes) -> str | dict[str, str]:
    """Return text as it is, so that an operator can read it, and other bytes in base64."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode("ascii")}


def _bytes(written: Any) -> bytes:
    if isinstance(written, dict):
        return base64.b64decode(written["base64"], validate=True)
    raw: bytes = written.encode("utf-8")
    return raw


def _sha1(raw: bytes) -> str:
    """Return SHA-1, the only one that Redis has; the archive itself has a SHA-256."""
    return hashlib.sha1(raw, usedforsecurity=False).hexdigest()
