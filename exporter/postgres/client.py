"""The fast lane's connection: the whole statement in one round trip, or its parts one by one when it fails."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from exporter.collector import Client, Reading
from exporter.errors import LATE
from exporter.metric import Sample, gauge
from exporter.postgres.connect import ERRORS, OF_THE_ANSWER, Session, ask, refusal, worded
from exporter.postgres.other_statements import Remainder
from exporter.postgres.part_faults import Faults
from exporter.postgres.parts.catalogue import FAST
from exporter.postgres.parts.part import Part
from exporter.postgres.parts.server import FACTS, Server
from exporter.postgres.parts.statement import Row, Statement

PART_SUCCESS = gauge(
    "runbook_exporter_part_success",
    "Whether a part of the statement was answered (1), or is left out because it failed (0); the debug page says why.",
    "part",
)


class PostgresClient(Client):
    """A connection that is asked on each scrape.

    `budget` is the seconds that a reading may last. The statement gets half of it: what is left is for finding out
    which part was at fault.
    """

    def __init__(self, session: Session, budget: float, faults: Faults, remainder: Remainder) -> None:
        self._connection, self._server, self._pooled = session.connection, session.server, session.pooled
        self._budget, self._faults, self._remainder = budget, faults, remainder
        self._statement = Statement((), (), "")
        self._chosen: tuple[tuple[Part, ...], Server] | None = None
        self._prepared: PreparedStatement[asyncpg.Record] | None = None
        self._round_trips = 0
        self._until = 0.0

    @property
    def usable(self) -> bool:
        return not self._connection.is_closed()

    async def prepare(self) -> None:
        """Prepare the statement, as a part of connecting; if it can not be, the reading finds out why."""
        try:
            with suppress(*OF_THE_ANSWER):
                await self._choose()
        except BaseException as error:
            await self.close()
            if isinstance(error, ERRORS):
                raise worded(error) from None
            raise

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - ages are computed by the server, on its own clock
        self._round_trips = 0
        try:
            samples = await self._samples()
        except ERRORS as error:
            raise worded(error) from None
        return Reading(
            (*self._remainder.settled(samples), *self._parts()), self._round_trips, notes=tuple(self._notes())
        )

    async def close(self) -> None:
        # Not close(): that waits for the server to say goodbye, and a stuck one never does.
        self._connection.terminate()

    async def _samples(self) -> Iterable[Sample]:
        self._until = _now() + self._budget
        if self._faults.suspicious:
            return await self._one_by_one()
        try:
            return await self._all()
        except OF_THE_ANSWER:
            if self._connection.is_closed():
                raise
            return await self._one_by_one()
        except asyncio.CancelledError:
            self._faults.suspicious = True
            raise

    async def _all(self) -> Iterable[Sample]:
        """All in one; once more if the server turns out to be another than it was, as after a promotion."""
        statement, rows = await self._answered()
        if (server := statement.server(rows)) != self._server:
            self._server = server
            statement, rows = await self._answered()
        return statement.samples(rows)

    async def _answered(self) -> tuple[Statement, Sequence[Row]]:
        await self._choose()
        if self._prepared is None:
            return self._statement, await self._ask(self._statement.text)
        self._round_trips += 1
        rows: Sequence[Row] = await self._prepared.fetch()
        return self._statement, rows

    async def _choose(self) -> None:
        """Put the statement together anew if the server or the usable parts are not what they were."""
        chosen = self._faults.usable(FAST), self._server
        if chosen == self._chosen:
            return
        statement = Statement.of(*chosen)
        if not self._pooled:
            self._round_trips += 1
            self._prepared = await self._connection.prepare(statement.text)
        self._chosen, self._statement = chosen, statement

    async def _one_by_one(self) -> Iterable[Sample]:
        """Ask each part by itself; those that fail are left out. Raises the error if the server answers none."""
        # If not even this is answered in time, no part is to blame.
        [[facts]] = await self._ask(f"SELECT {FACTS} AS facts")
        self._server = Server.of(facts)
        statements = [Statement.of([part], self._server) for part in self._faults.usable(FAST)]
        found: list[Sample] = []
        errors: dict[Part, asyncpg.PostgresError | UnicodeDecodeError] = {}
        await self._shorten()
        for statement in (asked := [each for each in statements if each.parts]):
            try:
                found += statement.samples(await self._alone(statement))
            except OF_THE_ANSWER as error:
                if self._connection.is_closed():
                    raise
                errors[statement.parts[0]] = error
                await self._shorten()
        if errors and len(errors) == len(asked):
            raise next(iter(errors.values()))
        for part, fault in errors.items():
            self._faults.leave_out(part, refusal(fault))
        await self._limit("RESET statement_timeout")
        self._faults.suspicious = False
        return found

    async def _alone(self, statement: Statement) -> Sequence[Row]:
        try:
            return await self._ask(statement.text)
        except asyncio.CancelledError:
            self._faults.leave_out(statement.parts[0], LATE)
            raise

    async def _ask(self, sql: str) -> Sequence[Row]:
        self._round_trips += 1
        return await ask(self._connection, sql)

    async def _shorten(self) -> None:
        """A part gets a quarter of what is left: more of them may be as slow."""
        await self._limit(f"SET statement_timeout = {max(int((self._until - _now()) * 250), 1)}")

    async def _limit(self, command: str) -> None:
        """Behind a pooler it would hold for somebody else."""
        if not self._pooled:
            self._round_trips += 1
            await self._connection.execute(command)

    def _parts(self) -> Iterator[Sample]:
        left_out = self._faults.reasons
        for part in FAST:
            if part.version_of(self._server) is not None:
                yield PART_SUCCESS(part.name not in left_out, part.name)

    def _notes(self) -> Iterator[str]:
        if self._pooled:
            yield "behind a pooler: nothing is prepared, and only the role's own limits hold"
        for name, reason in self._faults.reasons.items():
            yield f"part {name!r} is left out: {reason}"


def _now() -> float:
    return asyncio.get_running_loop().time()
