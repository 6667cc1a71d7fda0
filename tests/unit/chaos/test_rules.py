"""Each rule of the auditor accepts a true story, and fails on a doctored ledger or record."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import create_async_engine

from chaos.audit.evidence import (
    AcceptedDelivery,
    Bounds,
    DoubleLeader,
    Effect,
    Evidence,
    Failover,
    LeaderSample,
    LostLeader,
)
from chaos.audit.ledger_copy import copy_ledger
from chaos.audit.rules import RULES, judge
from remediator.ledger.schema import audit, delivery, item, run
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory

REMEDIATION = "clear_folder"
BOUNDS = Bounds(concurrency=1, rates=[("shop", REMEDIATION, 2)], max_items={REMEDIATION: 2})
ELECTED = 1_000.0
AT = ELECTED + 5


def sample(at: float, term: int = 1, **changes: object) -> LeaderSample:
    first = LeaderSample(at, 0, 100, term, f"replica {term}", ELECTED, at + 15)
    return replace(first, **changes)  # type: ignore[arg-type]


async def tell(harness: EngineHarness) -> None:
    """Let two runs clear two files and one file."""
    for names in (("a", "b"), ("c",)):
        harness.files.fill(*names)
        await harness.deliver()
        await harness.work()
        await harness.deliver(status="resolved")
        await harness.work()
        harness.clock.advance(minutes=10)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evidence]:
    """Return the folder of a ledger, and the evidence of its two runs, as it should be."""
    folder = tmp_path_factory.mktemp("story")
    return folder, asyncio.run(true_story(folder))


async def true_story(folder: Path) -> Evidence:
    (folder / "files").mkdir()
    async with engine_harness(folder / "files", inventory(max_items=2)) as harness:
        await tell(harness)
        ledger = await copy_ledger(harness.context.ledger.read)
    accepted = [AcceptedDelivery(AT, "sender", 0, digest) for digest in ledger.deliveries.elements()]
    effects = [Effect(AT, REMEDIATION, name) for name in harness.files.touched]
    return Evidence(BOUNDS, ledger, accepted, effects, samples=[sample(ELECTED), sample(AT + 60)], fixed_after=10.0)


@pytest.fixture
def story(told: tuple[Path, Evidence]) -> Evidence:
    return told[1]


@pytest.fixture
def folder(told: tuple[Path, Evidence], tmp_path: Path) -> Path:
    """Return a copy of the ledger's folder, to doctor it."""
    return Path(shutil.copytree(told[0], tmp_path / "doctored"))


async def doctored(folder: Path, evidence: Evidence, *statements: object) -> Evidence:
    """Return the evidence with a ledger that was changed by hand."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/ledger.db")
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(statement)  # type: ignore[call-overload]
    ledger = await copy_ledger(engine.connect)
    await engine.dispose()
    return replace(evidence, ledger=ledger)


def failed(evidence: Evidence) -> Mapping[str, Sequence[str]]:
    return {name: findings for name, findings in judge(evidence).items() if findings}


async def test_true_story_has_no_finding(story: Evidence) -> None:
    assert len(story.effects) == 3
    assert failed(story) == {}


async def test_delivery_without_its_row_is_lost(folder: Path, story: Evidence) -> None:
    last = select(delivery.c.id).order_by(delivery.c.id.desc()).limit(1)
    evidence = await doctored(folder, story, delete(delivery).where(delivery.c.id == last.scalar_subquery()))
    assert list(failed(evidence)) == ["no accepted delivery lost"]


async def test_delivery_that_a_failover_lost_is_no_finding(folder: Path, story: Evidence) -> None:
    evidence = await doctored(folder, story, delete(delivery))
    failover = Failover(AT, story.ledger, evidence.ledger)
    assert failed(replace(evidence, failovers=[failover])) == {}


async def test_row_whose_answer_was_lost_is_no_finding(story: Evidence) -> None:
    assert failed(replace(story, accepted=story.accepted[1:])) == {}


async def test_second_delivery_with_the_same_body_needs_a_second_row(story: Evidence) -> None:
    evidence = replace(story, accepted=[*story.accepted, story.accepted[0]])
    assert list(failed(evidence)) == ["no accepted delivery lost"]


async def test_doubled_effect_is_found(story: Evidence) -> None:
    evidence = replace(story, effects=[*story.effects, story.effects[0]])
    assert failed(evidence) == {
        "no effect doubled": ["clear_folder a: doubled: it happened 2 times, and the ledger has it 1 times (runs 1)"]
    }


async def test_effect_without_a_row_is_found(folder: Path, story: Evidence) -> None:
    evidence = await doctored(folder, story, delete(item).where(item.c.run == 2))
    assert [finding[:23] for finding in failed(evidence)["no effect doubled"]] == ["clear_folder c: unclaim"]


@pytest.mark.parametrize("state", ["not_applied", "skipped", "failed"])
async def test_effect_that_the_ledger_denies_is_found(folder: Path, story: Evidence, state: str) -> None:
    evidence = await doctored(folder, story, update(item).where(item.c.run == 2).values(state=state))
    assert list(failed(evidence)) == ["no effect doubled"]


async def test_effect_that_is_unknown_may_have_happened(folder: Path, story: Evidence) -> None:
    evidence = await doctored(folder, story, update(item).where(item.c.run == 2).values(state="unknown"))
    assert failed(evidence) == {}
    assert failed(replace(evidence, effects=evidence.effects[:2])) == {}


async def test_applied_item_that_never_happened_is_found(story: Evidence) -> None:
    evidence = replace(story, effects=story.effects[1:])
    assert list(failed(evidence)) == ["no effect doubled"]
    assert failed(replace(evidence, ended_otherwise={"a"})) == {}


async def test_item_that_both_ledgers_have_is_one_claim(story: Evidence) -> None:
    evidence = replace(story, failovers=[Failover(AT, story.ledger, story.ledger)])
    assert failed(evidence) == {}
    doubled = replace(evidence, effects=[*story.effects, story.effects[0]])
    assert list(failed(doubled)) == ["no effect doubled"]


@pytest.mark.parametrize("state", ["applied", "intended"])
async def test_effect_that_only_the_abandoned_ledger_has_is_claimed(folder: Path, story: Evidence, state: str) -> None:
    abandoned = await doctored(folder, story, update(item).where(item.c.run == 2).values(state=state))
    evidence = await doctored(folder, story, delete(item).where(item.c.run == 2))
    assert failed(replace(evidence, failovers=[Failover(AT, abandoned.ledger, evidence.ledger)])) == {}


def admit(count: int) -> Sequence[object]:
    """Return statements that add admitted runs, as copies of the first one."""
    columns = [column for column in run.c if column.name != "id"]
    return [insert(run).from_select(columns, select(*columns).where(run.c.id == 1)) for _ in range(count)]


async def test_passed_rate_is_found(folder: Path, story: Evidence) -> None:
    evidence = await doctored(folder, story, *admit(1))
    assert failed(evidence) == {"no rate passed": ["shop clear_folder: 3 admissions in an hour; at most 2 are allowed"]}


async def test_passed_rate_is_found_by_the_true_clock(folder: Path, story: Evidence) -> None:
    """A replica whose clock is an hour ahead writes admissions that look far apart."""
    ahead = update(run).where(run.c.id == 3).values(admitted_at=text("admitted_at + 3600 * 1000000"))
    evidence = await doctored(folder, story, *admit(1), ahead)
    assert failed(evidence) == {}
    seen = dict.fromkeys((1, 2, 3), AT)
    assert list(failed(replace(evidence, admitted_at=seen))) == ["no rate passed"]


async def test_plan_that_is_too_large_is_found(folder: Path, story: Evidence) -> None:
    evidence = await doctored(folder, story, update(run).where(run.c.id == 1).values(found=3))
    assert list(failed(evidence)) == ["no plan too large"]


async def test_third_run_at_once_is_found(folder: Path, story: Evidence) -> None:
    moved = update(audit).where(audit.c.run == 1, audit.c.event == "succeeded").values(event="settled")
    evidence = await doctored(folder, story, moved)
    assert set(failed(evidence)) == {"no more runs at once than allowed", "audit chain proven"}


@pytest.mark.parametrize(
    "statement",
    [
        update(audit).where(audit.c.id == 3).values(actor="somebody"),
        delete(audit).where(audit.c.id == 3),
    ],
)
async def test_changed_trail_is_found(folder: Path, story: Evidence, statement: object) -> None:
    assert "audit chain proven" in failed(await doctored(folder, story, statement))


async def test_trail_that_does_not_continue_the_promoted_one_is_found(story: Evidence) -> None:
    other = [replace(row, hash="0") for row in story.ledger.trail]
    promoted = replace(story.ledger, trail=other)
    evidence = replace(story, failovers=[Failover(AT, story.ledger, promoted)])
    assert list(failed(evidence)) == ["audit chain proven"]


async def test_term_that_falls_is_found(story: Evidence) -> None:
    evidence = replace(story, samples=[sample(ELECTED, 2), sample(AT, 1)])
    assert list(failed(evidence)) == ["terms only rise"]


async def test_term_with_two_holders_is_found(story: Evidence) -> None:
    evidence = replace(story, samples=[sample(ELECTED), sample(AT, holder=None), sample(AT + 60, holder="another")])
    assert list(failed(evidence)) == ["terms only rise"]


async def test_effect_after_a_later_election_is_found(story: Evidence) -> None:
    """Of the first term is the intent, and the target recorded the effect long after the second one began."""
    samples = [sample(ELECTED), sample(AT, 2, elected_at=AT)]
    late = [replace(effect, at=AT + 10) for effect in story.effects[:1]]
    evidence = replace(story, samples=samples, effects=[*late, *story.effects[1:]])
    assert list(failed(evidence)) == ["no effect of a stale term"]
    assert failed(replace(evidence, effects=story.effects)) == {}


async def test_effect_whose_intent_is_of_the_later_term_is_no_finding(story: Evidence) -> None:
    samples = [sample(ELECTED, newest_row=0), sample(AT, 2, elected_at=AT - 1)]
    assert failed(replace(story, samples=samples)) == {}


async def test_term_that_was_only_ended_is_no_election(story: Evidence) -> None:
    ended = sample(AT + 60, 2, holder=None, newest_row=100)
    assert (
        failed(
            replace(story, effects=[replace(each, at=AT + 30) for each in story.effects], samples=[sample(AT), ended])
        )
        == {}
    )


async def test_two_leaders_are_found(story: Evidence) -> None:
    evidence = replace(story, double_leaders=[DoubleLeader(AT + 30, "replica 0 and replica 1")])
    assert list(failed(evidence)) == ["one replica leads"]
    assert failed(replace(evidence, failovers=[Failover(AT + 20, story.ledger, story.ledger)])) == {}
    earlier = replace(evidence, failovers=[Failover(AT, story.ledger, story.ledger)])
    assert list(failed(earlier)) == ["one replica leads"]


@pytest.mark.parametrize(
    ("seconds", "outages", "findings"), [(16.0, (), 0), (30.0, (), 1), (30.0, ((AT, AT + 20),), 0)]
)
async def test_slow_take_over_is_found(
    story: Evidence, seconds: float, outages: Sequence[tuple[float, float]], findings: int
) -> None:
    samples = [sample(ELECTED), *(sample(AT + seconds + more, 2, elected_at=AT + seconds) for more in (0, 1))]
    lost = [LostLeader(AT, "SIGKILL of replica 0", 1)]
    evidence = replace(story, samples=samples, lost_leaders=lost, outages=outages)
    assert len(failed(evidence).get("take-overs in time", ())) == findings


async def test_leader_that_renews_its_lease_after_a_fault_is_no_take_over(story: Evidence) -> None:
    samples = [sample(AT + second) for second in range(0, 40, 5)]
    samples.append(sample(AT + 90, 2, elected_at=AT + 80))
    assert failed(replace(story, samples=samples, lost_leaders=[LostLeader(AT, "SIGSTOP of replica 0", 1)])) == {}


@pytest.mark.parametrize(("lifted_at", "findings"), [((), 1), ((AT + 60,), 1), ((AT - 1, AT + 20), 0)])
async def test_failover_that_lost_rows_and_did_not_pause_is_found(
    story: Evidence, lifted_at: Sequence[float], findings: int
) -> None:
    promoted = replace(story.ledger, trail=story.ledger.trail[:-3])
    effects = [replace(each, at=AT + 30) for each in story.effects]
    evidence = replace(story, failovers=[Failover(AT, story.ledger, promoted)], effects=effects, lifted_at=lifted_at)
    assert len(failed(evidence).get("failovers pause", ())) == findings


@pytest.mark.parametrize("fixed_after", [None, 1_000.0])
async def test_last_incident_that_is_not_fixed_is_found(story: Evidence, fixed_after: float | None) -> None:
    assert list(failed(replace(story, fixed_after=fixed_after))) == ["the loop is healthy"]


@pytest.mark.parametrize(
    "statement",
    [update(delivery).values(processed_at=None), update(run).where(run.c.id == 2).values(state="executing")],
)
async def test_work_that_is_left_over_is_found(folder: Path, story: Evidence, statement: object) -> None:
    assert "the loop is healthy" in failed(await doctored(folder, story, statement))


def test_every_rule_is_seen_to_fail() -> None:
    source = Path(__file__).read_text(encoding="utf-8").split("def test_every_rule_is_seen_to_fail")[0]
    assert [name for name in RULES if f'"{name}"' not in source] == []
