"""Texts that a database cannot store as they are: the alert is processed or set aside, and no other waits."""

import json

import pytest
from sqlalchemy import select

from remediator.ledger.schema import audit as trail
from tests.unit.remediator.conftest import EngineHarness
from tests.unit.remediator.payloads import alert, delivery

HOSTILE = {"nul": "a\x00b", "surrogate": "a\ud800b", "pair": "\U0001f600", "long": "x" * 100_000}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("label", ["target", "free"])
async def test_hostile_label_holds_up_no_other_alert(harness: EngineHarness, kind: str, label: str) -> None:
    hostile = alert(fingerprint=f"f{kind}")
    hostile["labels"][label] = HOSTILE[kind]
    hostile["annotations"]["summary"] = HOSTILE[kind]
    harness.files.fill("a")
    await harness.context.ledger.accept(harness.clock.now(), json.dumps(json.loads(delivery([hostile]))).encode())
    await harness.deliver(target="spare", fingerprint="good")
    await harness.work()
    assert harness.engine.fault is None
    states = {run.target: run.state for run in await harness.runs()}
    assert states["shop/postgres/spare"] in ("succeeded", "nothing_to_do", "deferred")
    async with harness.context.ledger.read() as connection:
        events = (await connection.execute(select(trail.c.event))).scalars().all()
    assert ("delivery_set_aside" in events) == (kind == "surrogate"), "only half a character is no text at all"
