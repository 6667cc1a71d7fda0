"""`ledger`: create, upgrade, copy and export the ledger. These commands connect to it themselves, as its owner."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from runbookctl.errors import RemediatorRefused, WrongUsage
from runbookctl.options import console
from runbookd.visible import is_visible_file

if TYPE_CHECKING:
    from runbookd.addresses.postgres import PostgresAddress

_FORM = "postgresql://role@host/database without a password, or a file that holds the address with one"


def migrate_ledger(
    ledger: Annotated[str, typer.Argument(help=f"The ledger, as its owner: {_FORM}.")],
) -> None:
    """Create the tables of a ledger in PostgreSQL, or upgrade them to this release."""
    from remediator.ledger.postgresql.migrate import migrate
    from remediator.model.errors import LedgerUnavailable

    address = _postgres_address(ledger)
    try:
        before, now = asyncio.run(migrate(address))
    except LedgerUnavailable as error:
        raise RemediatorRefused(f"ledger migrate: {address.hide(str(error))}") from None
    console.print(f"the ledger has the tables of this release, {now}; before: {before or 'none'}")


def copy_ledger(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The SQLite ledger: sqlite:///path/to/file.")],
    target: Annotated[str, typer.Argument(metavar="TO", help=f"The migrated ledger, as its owner: {_FORM}.")],
) -> None:
    """Copy a SQLite ledger into an empty one in PostgreSQL, and verify its audit trail there."""
    from remediator.ledger.copy import copy_ledger as copy
    from remediator.ledger.sqlite.store import SqliteLedger
    from remediator.model.errors import LedgerUnavailable

    address = _postgres_address(target)
    try:
        copied = asyncio.run(copy(SqliteLedger(_existing(source)), address))
    except LedgerUnavailable as error:
        raise RemediatorRefused(f"ledger copy: {address.hide(str(error))}") from None
    console.print(f"copied {copied.rows} rows; the audit trail is intact: {copied.audit_rows} rows; head {copied.head}")


def export_ledger(
    ledger: Annotated[str, typer.Argument(help=f"The ledger: sqlite:///path/to/file, {_FORM}.")],
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    since: Annotated[str, typer.Option(help="How far back; raw deliveries are kept for 30 days.")] = "30d",
) -> None:
    """Export the raw deliveries and the sizes of plans, for `replay --deliveries`; the remediator may go on."""
    from remediator.model.errors import LedgerUnavailable
    from runbookctl.replay.moments import parse_since

    place = Path(ledger.removeprefix("sqlite:///")) if ledger.startswith("sqlite:///") else _postgres_address(ledger)
    if isinstance(place, Path):
        _existing(ledger)
    moment = datetime.now(UTC) - parse_since(since)
    try:
        lines = asyncio.run(_export(place, file, moment))
    except LedgerUnavailable as error:
        raise RemediatorRefused(f"ledger export: {_hidden(place, str(error))}") from None
    except FileExistsError:
        raise WrongUsage(f"{file} exists already; name another file") from None
    except OSError as error:
        raise WrongUsage(f"{file}: {error.strerror}; name a file that you may write") from None
    console.print(f"exported {lines - 1} deliveries and plans since {moment:%Y-%m-%d %H:%M} UTC to {file}")


def _hidden(place: "Path | PostgresAddress", text: str) -> str:
    return text if isinstance(place, Path) else place.hide(text)


async def _export(ledger: "Path | PostgresAddress", file: Path, since: datetime) -> int:
    """Write the lines to a file that only its owner can read: alerts may hold personal data."""
    from remediator.ledger.export import export_lines
    from remediator.ledger.reading import reading

    lines = 0
    with _create_private(file) as stream:
        async with reading(ledger) as connection:
            async for line in export_lines(connection, since):
                stream.write(f"{line}\n")
                lines += 1
    return lines


@contextmanager
def _create_private(file: Path) -> Iterator[IO[str]]:
    """Create the file, and remove it if its content fails: a part of an export would pass for the whole."""
    stream = open(file, "x", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600))  # noqa: SIM115 - closed below
    try:
        with stream:
            yield stream
    except BaseException:
        file.unlink()
        raise


def _postgres_address(text: str) -> "PostgresAddress":
    from remediator.ledger.address import postgres_address
    from remediator.model.errors import LedgerUnavailable

    in_file = "://" not in text
    try:
        address = postgres_address(_read(Path(text)) if in_file else text)
    except LedgerUnavailable as error:
        raise WrongUsage(f"{text if in_file else 'the address'}: {error}") from None
    if address is None:
        raise WrongUsage(f"{text if in_file else 'the address'} is not that of a ledger in PostgreSQL; set {_FORM}")
    if not in_file and address.password:
        raise WrongUsage("a password on the command line is seen in the process list; write the address to a file")
    return address


def _read(file: Path) -> str:
    from runbookd.inventory import Secret, SecretError

    try:
        return Secret("the address", None, file).read()
    except SecretError as error:
        raise WrongUsage(str(error)) from None


def _existing(url: str) -> str:
    """Return the URL of a ledger file that exists: opening another would create it."""
    file = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not is_visible_file(file):
        raise WrongUsage(
            f"there is no ledger at {url} that this user can see; write it as sqlite:///path/to/runbookd.db, and run"
            " this as the remediator's user"
        )
    return url
