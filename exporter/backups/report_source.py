"""Where the report of a backup tool is read from: a file, or a URL."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp

from exporter.errors import Fault, TargetMisconfigured, TargetRefused, TargetUnreachable
from runbookd.inventory import BackupReport
from runbookd.service import VERSION

MAX_BYTES = 32 * 1024**2  # a repository with a hundred thousand backups; what is larger is no report
_HEADERS = {"User-Agent": f"runbook-exporter/{VERSION}", "Accept": "application/json"}


@dataclass(frozen=True)
class Text:
    """A report, and when it was written, in seconds since 1970: reports that nobody renews must not look fresh."""

    content: bytes
    written_at: float


async def read_report(report: BackupReport) -> Text:
    """Return the report's text.

    Raises:
        TargetMisconfigured: the file can not be read.
        TargetUnreachable: nobody answers at the URL.
        TargetRefused: something else than the report came.
    """
    if report.file is not None:
        return await asyncio.to_thread(_from_file, report.file)
    return await _from_url(report.url or "")


def _from_file(file: Path) -> Text:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        return Text(_checked(content), file.stat().st_mtime)
    except OSError as error:
        words = f"report.file: can not read {file} ({error.strerror}); have the backup tool write it there"
        raise TargetMisconfigured(words, Fault.FOLDER) from None


async def _from_url(url: str) -> Text:
    try:
        async with (
            aiohttp.ClientSession(headers=_HEADERS) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise TargetRefused(f"report.url answered with status {answer.status}", Fault.ENDPOINT)
            content = await answer.content.read(MAX_BYTES + 1)
            while len(content) <= MAX_BYTES and (more := await answer.content.read(MAX_BYTES)):
                content += more
            return Text(_checked(content), _modified(answer.headers.get("Last-Modified")))
    except (aiohttp.ClientError, OSError) as error:
        raise TargetUnreachable(f"report.url: no answer ({type(error).__name__})", Fault.ENDPOINT) from None


def _checked(content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise TargetRefused(f"the report is larger than {MAX_BYTES // 1024**2} MiB", Fault.REPORT)
    return content


def _modified(header: str | None) -> float:
    """A date that is no date, or one to come, is as good as none: then it is as old as this answer."""
    now = time.time()
    try:
        date = parsedate_to_datetime(header or "")
    except ValueError:
        return now
    return min((date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp(), now)
