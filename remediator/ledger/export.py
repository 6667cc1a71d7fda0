"""Exports what a replay needs of a ledger: the raw deliveries, and the sizes of the plans that were made."""

import json
from collections.abc import AsyncIterator
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.ledger.schema import delivery, run
from remediator.model.clock import rfc3339

PAGE = 500  # rows per query: a body may have 1 MiB
FORMAT = "runbookd-deliveries/1"


async def export_lines(connection: AsyncConnection, since: datetime) -> AsyncIterator[str]:
    """Yield one JSON object per line: the format, the plans since then, then the deliveries, each oldest first."""
    yield json.dumps({"format": FORMAT, "since": rfc3339(since)})
    async for line in _plans(connection, since):
        yield line
    async for line in _deliveries(connection, since):
        yield line


async def _plans(connection: AsyncConnection, since: datetime) -> AsyncIterator[str]:
    names = run.c.remediation, run.c.target
    columns = (run.c.id, run.c.created_at, *names, run.c.found, run.c.population, run.c.evidence)
    last_id = 0
    while True:
        page = select(*columns).where(run.c.id > last_id, run.c.created_at >= since, run.c.trigger == "alert")
        rows = (await connection.execute(page.order_by(run.c.id).limit(PAGE))).all()
        for row in rows:
            error = row.evidence.get("error", "") if row.found is None else ""
            if row.found is not None or error:
                plan = {"at": rfc3339(row.created_at), "remediation": row.remediation, "target": row.target}
                yield json.dumps({"plan": plan | {"found": row.found, "population": row.population, "error": error}})
        if len(rows) < PAGE:
            return
        last_id = rows[-1].id


async def _deliveries(connection: AsyncConnection, since: datetime) -> AsyncIterator[str]:
    last_id = 0
    while True:
        page = select(delivery.c.id, delivery.c.received_at, delivery.c.body)
        page = page.where(delivery.c.id > last_id, delivery.c.received_at >= since).order_by(delivery.c.id).limit(PAGE)
        rows = (await connection.execute(page)).all()
        for row in rows:
            body = row.body.decode("utf-8", "surrogateescape")
            yield json.dumps({"delivery": {"received_at": rfc3339(row.received_at), "body": body}})
        if len(rows) < PAGE:
            return
        last_id = rows[-1].id
