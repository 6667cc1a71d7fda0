"""The log alone shows what was done."""

from structlog.testing import capture_logs

from remediator.ledger import audit
from tests.unit.remediator.conftest import EngineHarness


async def test_log_has_each_effect_and_the_audit_head_of_an_ended_run(harness: EngineHarness) -> None:
    harness.files.fill("a")
    await harness.deliver()
    with capture_logs() as lines:
        await harness.work()
        harness.clock.advance(seconds=2)
        await harness.work()
    [effect] = [line for line in lines if line["event"] == "effect"]
    assert (effect["run"], effect["target"], effect["applied"]) == (1, "shop/postgres/main", 1)
    ended = [line for line in lines if line["event"] == "run"][-1]
    assert (ended["state"], ended["remediation"]) == ("succeeded", "clear_folder")
    async with harness.context.ledger.read() as connection:
        assert ended["audit_head"] == await audit.head(connection)
