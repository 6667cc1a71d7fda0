"""The connection of a scrape: all parts in one round trip, or one by one if that fails."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from exporter.certificates import expiry_of
from exporter.clock import monotonic
from exporter.collector import Client, Reading
from exporter.errors import DEADLINE_EXCEEDED
from exporter.metric import Rows, Sample, gauge
from exporter.postgres.connect import (
    DRIVER_ERRORS,
    NOT_UTF8,
    QUERY_ERRORS,
    ServerConnection,
    query_error_text,
    target_error,
)
from exporter.postgres.other_statements import OtherStatements
from exporter.postgres.part_faults import PartFaults
from exporter.postgres.parts.catalogue import SCRAPE_PARTS
from exporter.postgres.parts.joined_statement import Statement, StatementRow
from exporter.postgres.parts.part import Part
from exporter.postgres.parts.server import FACTS, VERSIONS, ServerInfo

CERT_EXPIRY = gauge(
    "pg_tls_certificate_expiry_timestamp_seconds",
    "Earliest end of validity of the certificates of this connection, in seconds since 1970; none without TLS.",
)
PART_SUCCESS = gauge(
    "runbook_exporter_part_success",
    "Whether the part of the statement was read (1) or is left out because it failed (0); the debug page shows why.",
    "part",
)
_TOO_OLD = f"PostgreSQL {{}} is not supported, so metrics are missing; upgrade it to {VERSIONS[0]} or newer"


class PostgresClient(Client):
    """The connection that each scrape queries.

    `budget` limits a reading, in seconds. The statement gets half of it; the rest is for finding the part at fault.
    """

    def __init__(
        self, session: ServerConnection, budget: float, faults: PartFaults, other_statements: OtherStatements
    ) -> None:
        self._session = session
        self._connection, self._server, self._pooled = session.connection, session.server, session.pooled
        self._simple = session.in_transaction
        """Whether the statement is sent without preparing it."""
        self._left_out = 0
        self._budget, self._faults, self._other_statements = budget, faults, other_statements
        self._statement = Statement((), (), "")
        self._parts_and_server: tuple[tuple[Part, ...], ServerInfo] | None = None
        self._prepared_statement: PreparedStatement[asyncpg.Record] | None = None
        self._round_trips = 0
        self._until = 0.0

    @property
    def usable(self) -> bool:
        """Whether the connection is open."""
        return not self._connection.is_closed()

    async def prepare(self) -> None:
        """Prepare the statement while connecting.

        If the server rejects it, the reading finds out why.
        """
        try:
            with suppress(*QUERY_ERRORS):
                await self._update_statement()
        except BaseException as error:
            await self.close()
            if isinstance(error, DRIVER_ERRORS):
                raise target_error(error) from None
            raise

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - ages are computed by the server, on its own clock
        """Read all parts that the server can answer."""
        self._round_trips = self._left_out = 0
        try:
            rows = await self._rows()
        except DRIVER_ERRORS as error:
            raise target_error(error) from None
        return Reading(
            (*self._other_statements.with_counters(rows), *self._part_samples(), *self._certificate_samples()),
            self._round_trips,
            notes=tuple(self._notes()),
        )

    async def close(self) -> None:
        """Drop the connection."""
        # Not close(), which waits for the server: a stuck one never answers.
        self._connection.terminate()

    async def _rows(self) -> Sequence[Rows]:
        self._until = monotonic() + self._budget
        if self._faults.suspicious:
            return await self._read_part_by_part()
        try:
            return await self._read_all_names()
        except QUERY_ERRORS:
            if self._connection.is_closed():
                raise
            return await self._read_part_by_part()
        except asyncio.CancelledError:
            self._faults.suspicious = True
            raise

    async def _read_all_names(self) -> Sequence[Rows]:
        """Read all parts; leave out rows with a name that is not UTF-8, which a prepared statement cannot read."""
        try:
            return await self._read_all()
        except (UnicodeDecodeError, asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError):
            self._simple, self._prepared_statement = True, None
            return await self._read_all()

    async def _read_all(self) -> Sequence[Rows]:
        """Read all parts in one statement, and again if the server's facts have changed.

        A promotion changes them, for example.
        """
        statement, rows = await self._fetch_statement()
        if (server := statement.server(rows)) != self._server:
            self._server = server
            statement, rows = await self._fetch_statement()
        return statement.rows(rows)

    async def _fetch_statement(self) -> tuple[Statement, Sequence[StatementRow]]:
        await self._update_statement()
        if self._prepared_statement is None:
            return self._statement, await self._query(self._statement.text)
        self._round_trips += 1
        rows: Sequence[StatementRow] = await self._prepared_statement.fetch()
        return self._statement, rows

    async def _update_statement(self) -> None:
        """Rebuild the statement if the server or the usable parts have changed."""
        parts_and_server = self._faults.usable(SCRAPE_PARTS), self._server
        if parts_and_server == self._parts_and_server:
            return
        statement = Statement.of(*parts_and_server)
        if not (self._pooled or self._simple):
            self._round_trips += 1
            self._prepared_statement = await self._connection.prepare(statement.text)
        self._parts_and_server, self._statement = parts_and_server, statement

    async def _read_part_by_part(self) -> Sequence[Rows]:
        """Query each part by itself and exclude those that fail. Raises the error if all fail."""
        # If even this query times out, no part is at fault.
        [[facts]] = await self._query(f"SELECT {FACTS} AS facts")
        self._server = ServerInfo.of(facts)
        statements = [Statement.of([part], self._server) for part in self._faults.usable(SCRAPE_PARTS)]
        rows: list[Rows] = []
        errors: dict[Part, asyncpg.PostgresError | UnicodeDecodeError] = {}
        await self._shorten_timeout()
        for statement in (non_empty := [each for each in statements if each.parts]):
            try:
                rows += statement.rows(await self._read_part(statement))
            except QUERY_ERRORS as error:
                if self._connection.is_closed():
                    raise
                errors[statement.parts[0]] = error
                await self._shorten_timeout()
        if errors and len(errors) == len(non_empty):
            raise next(iter(errors.values()))
        for part, error_of_part in errors.items():
            self._faults.exclude(part, query_error_text(error_of_part))
        await self._set_limit("RESET statement_timeout")
        self._faults.suspicious = False
        return rows

    async def _read_part(self, statement: Statement) -> Sequence[StatementRow]:
        try:
            return await self._query(statement.text)
        except asyncio.CancelledError:
            self._faults.exclude(statement.parts[0], DEADLINE_EXCEEDED)
            raise

    async def _query(self, sql: str) -> Sequence[StatementRow]:
        self._round_trips += 1
        result = await self._session.fetch(sql)
        self._left_out += result.left_out
        rows: Sequence[StatementRow] = result.rows
        return rows

    async def _shorten_timeout(self) -> None:
        """Limit a part to a quarter of the remaining time, because others may be slow as well."""
        await self._set_limit(f"SET statement_timeout = {max(int((self._until - monotonic()) * 250), 1)}")

    async def _set_limit(self, command: str) -> None:
        """Change a session limit, but not behind a pooler, where it would apply to other clients."""
        if not self._pooled:
            self._round_trips += 1
            await self._connection.execute(command)

    def _certificate_samples(self) -> Iterator[Sample]:
        expiry = expiry_of(getattr(self._connection, "_transport", None))  # private: asyncpg has no public way to it
        if expiry is not None:
            yield CERT_EXPIRY(expiry)

    def _part_samples(self) -> Iterator[Sample]:
        excluded = self._faults.reasons
        for part in SCRAPE_PARTS:
            if part.version_of(self._server) is not None:
                yield PART_SUCCESS(part.name not in excluded, part.name)

    def _notes(self) -> Iterator[str]:
        if self._pooled:
            yield "behind a pooler: statements are not prepared, and only the role's own limits apply"
        if self._server.version < VERSIONS[0]:
            yield _TOO_OLD.format(self._server.version)
        if self._left_out:
            yield NOT_UTF8
        for name, reason in self._faults.reasons.items():
            yield f"part {name!r} is left out: {reason}"
