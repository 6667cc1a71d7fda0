"""The metric of effects that only an operator will undo, such as a pause of a queue without an end."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.context import Context
from remediator.ledger import planned_undos, runs
from remediator.ledger.run_counts import RunCount
from remediator.ledger.schema import run
from remediator.model.episode_key import EpisodeKey
from remediator.model.run_state import RunState
from remediator.model.target import ResolvedTarget, resolve_target

_UNDONE = frozenset({RunState.SUCCEEDED, RunState.NOTHING_TO_DO})


async def undo_families(connection: AsyncConnection, context: Context, rows: Sequence[RunCount]) -> list[Metric]:
    """Return the end of the newest succeeded run of each target that can be undone and will not be by itself."""
    family = GaugeMetricFamily(
        "remediation_effect_left_timestamp_seconds",
        "When the newest run ended whose effects a run can undo, none has undone, and the engine will not undo.",
        labels=["stack", "remediation", "target"],
    )
    for key in _keys(context, rows):
        moment = await _left_since(connection, key)
        if moment is not None:
            family.add_metric([key.stack, key.remediation, key.target], moment.timestamp())
    return [family]


def _keys(context: Context, rows: Iterable[RunCount]) -> list[EpisodeKey]:
    """Return the targets with a succeeded run that can be undone exactly."""
    counted = (row for row in rows if row.state is RunState.SUCCEEDED)
    keys = dict.fromkeys(EpisodeKey(row.stack, row.remediation, row.target) for row in counted)
    return [key for key in keys if _is_undoable(context, key)]


def _is_undoable(context: Context, key: EpisodeKey) -> bool:
    target = resolve_target(context.inventory, context.remediations, key)
    return isinstance(target, ResolvedTarget) and target.declaration.undo.kind == "exact"


async def _left_since(connection: AsyncConnection, key: EpisodeKey) -> datetime | None:
    query = (
        select(run.c.id, run.c.finished_at)
        .where(run.c.stack == key.stack, run.c.remediation == key.remediation, run.c.target == key.target)
        .where(run.c.state == RunState.SUCCEEDED, run.c.undoes.is_(None))
        .order_by(run.c.finished_at.desc())
        .limit(1)
    )
    newest = (await connection.execute(query)).first()
    if newest is None or await planned_undos.is_open(connection, newest.id):
        return None
    is_undone = any(undo.state in _UNDONE for undo in await runs.undoing(connection, newest.id))
    return None if is_undone else newest.finished_at
