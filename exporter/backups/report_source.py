"""Reads the report of a backup tool from a file or a URL."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp

from exporter.errors import Fault, TargetMisconfigured, TargetRefused, TargetUnavailable
from runbookd.addresses import AddressError
from runbookd.addresses.http import HttpAddress, read_http_address
from runbookd.endpoints.request import HEADER_BYTES, HEADERS
from runbookd.http_errors import http_error_text
from runbookd.inventory import BackupReport, SecretError
from runbookd.service import VERSION

MAX_BYTES = 32 * 1024**2  # enough for a repository with 100,000 backups
_HEADERS = {"User-Agent": f"runbook-exporter/{VERSION}", "Accept": "application/json"}


@dataclass(frozen=True)
class ReportText:
    """A report, and when it was written, in seconds since 1970.

    An outdated report must not look fresh.
    """

    content: bytes
    written_at: float


async def read_report(report: BackupReport) -> ReportText:
    """Return the report's text.

    Raises:
        TargetMisconfigured: the file cannot be read, or the address is wrong.
        TargetUnavailable: the URL does not answer.
        TargetRefused: the response is too large or has another status than 200.
    """
    if report.file is not None:
        return await asyncio.to_thread(_read_file, report.file)
    return await _fetch_url(_address_of(report).url)


def _address_of(report: BackupReport) -> HttpAddress:
    try:
        return read_http_address(report.url_secret().read())
    except SecretError as error:
        raise TargetMisconfigured(str(error), Fault.OPTIONS) from None
    except AddressError as error:
        raise TargetMisconfigured(f"report.url: {error}", Fault.OPTIONS) from None


def _read_file(file: Path) -> ReportText:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        return ReportText(_check_size(content), file.stat().st_mtime)
    except OSError as error:
        message = f"report.file: cannot read {file} ({error.strerror}); have the backup tool write it there"
        raise TargetMisconfigured(message, Fault.FOLDER) from None


async def _fetch_url(url: str) -> ReportText:
    try:
        async with (
            aiohttp.ClientSession(headers=_HEADERS, max_field_size=HEADER_BYTES, max_headers=HEADERS) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                remedy = "correct the address, its credentials or the server"
                raise TargetRefused(f"report.url: status {response.status}, not 200; {remedy}", Fault.ENDPOINT)
            content = await response.content.read(MAX_BYTES + 1)
            while len(content) <= MAX_BYTES and (chunk := await response.content.read(MAX_BYTES)):
                content += chunk
            return ReportText(_check_size(content), _modified_at(response.headers.get("Last-Modified")))
    except (aiohttp.ClientError, OSError) as error:
        raise TargetUnavailable(f"report.url: {http_error_text(error)}", Fault.ENDPOINT) from None


def _check_size(content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise TargetRefused(f"the report is larger than {MAX_BYTES // 1024**2} MiB", Fault.REPORT)
    return content


def _modified_at(header: str | None) -> float:
    """Return the date of the header, or now if it is absent, invalid or in the future."""
    now = time.time()
    try:
        date = parsedate_to_datetime(header or "")
    except ValueError:
        return now
    return min((date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp(), now)
