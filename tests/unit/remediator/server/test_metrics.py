"""The metrics page reports what the ledger records."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from remediator.ledger import run_counts
from remediator.reload import reload_families
from remediator.server import metrics
from remediator.server.service_metrics import ServiceReadings
from runbookd.inventory import Inventory
from runbookd.service import InventoryReload
from tests.unit.remediator.conftest import EngineHarness, engine_harness, inventory

REFERENCE = (Path(__file__).parents[4] / "docs" / "reference" / "metrics" / "remediator.md").read_text()
LabelSet = frozenset[tuple[str, str]]


async def page(harness: EngineHarness, fault: str | None = None) -> Mapping[str, Mapping[LabelSet, float]]:
    series: dict[str, dict[LabelSet, float]] = defaultdict(dict)
    for family in (await metrics.collect(harness.context, fault)).collect():
        for sample in family.samples:
            series[sample.name][frozenset(sample.labels.items())] = sample.value
    return series


def labels(**more: str) -> LabelSet:
    return frozenset({"stack": "shop", "remediation": "clear_folder", **more}.items())


def moved(series: Mapping[LabelSet, float]) -> Mapping[LabelSet, float]:
    return {names: value for names, value in series.items() if value}


async def test_refusals_and_deferrals_are_counted_by_bound(folder: Path) -> None:
    async with engine_harness(folder, inventory(min_firing="10m", max_items=1)) as harness:
        harness.files.fill("a")
        await harness.deliver(starts="2026-03-01T12:00:00Z")
        await harness.work()
        harness.files.fill("b")
        harness.clock.advance(minutes=11)
        await harness.deliver()
        await harness.work()
        series = await page(harness)
    assert moved(series["remediation_deferrals_total"]) == {labels(bound="min_firing"): 1}
    assert moved(series["remediation_refusals_total"]) == {labels(bound="max_items"): 1}
    assert moved(series["remediation_runs_total"]) == {labels(outcome="refused"): 1}
    assert "remediation_run_duration_seconds_count" not in series, "it was never admitted"


async def test_admitted_run_has_a_duration(harness: EngineHarness) -> None:
    async def slowly() -> None:
        harness.clock.advance(seconds=4)

    harness.files.fill("a")
    harness.files.after = slowly
    await harness.deliver()
    await harness.work()
    series = await page(harness)
    assert series["remediation_run_duration_seconds_count"] == {labels(outcome="succeeded"): 1}
    assert series["remediation_run_duration_seconds_sum"] == {labels(outcome="succeeded"): 4}
    (moment,) = series["remediation_last_run_timestamp_seconds"].values()
    assert moment == harness.clock.now().timestamp()
    assert set(series["remediation_deliveries_waiting"].values()) == {0}


async def test_engine_with_a_fault_is_down(harness: EngineHarness) -> None:
    assert set((await page(harness))["remediation_engine_up"].values()) == {1}
    assert set((await page(harness, "disk full"))["remediation_engine_up"].values()) == {0}


async def refuse_reload(_inventory: Inventory, _actor: str) -> str:
    raise AssertionError("nothing is reloaded here")


async def test_every_metric_is_in_the_reference_and_no_other(harness: EngineHarness) -> None:
    harness.files.fill("a")
    harness.files.refill = True
    await harness.deliver()
    await harness.work()
    documented = set(re.findall(r"^\| `(\w+)`", REFERENCE, re.MULTILINE))
    reloads = reload_families(InventoryReload(Inventory, refuse_reload))
    own = [*reloads, *ServiceReadings(harness.context).families()]
    families = (await metrics.collect(harness.context, own_families=own)).collect()
    prefixes = ("remediation_", "runbook_", "stack_", "duty", "service")
    exported = {family.name for family in families if family.name.startswith(prefixes)}
    assert {name.removesuffix("_total").removesuffix("_info") for name in documented} == exported


async def test_runs_of_two_targets_are_added_up(folder: Path) -> None:
    """Invariant 26."""
    async with engine_harness(folder, inventory(mode="off")) as harness:
        for target in ("main", "spare"):
            await harness.deliver(target=target, fingerprint=target)
        await harness.work()
        series = await page(harness)
    assert series["remediation_runs_total"] == {labels(outcome="refused"): 2}


async def test_counters_of_every_remediation_start_at_zero(harness: EngineHarness) -> None:
    series = await page(harness)
    assert series["remediation_runs_total"][labels(outcome="succeeded")] == 0
    assert series["remediation_refusals_total"][labels(bound="storm")] == 0
    assert series["remediation_deferrals_total"][labels(bound="rate")] == 0
    assert labels(bound="window") not in series["remediation_deferrals_total"], "only_in is not set"


async def test_two_hundred_stacks_stay_under_20_000_series(harness: EngineHarness) -> None:
    names = ("terminate_idle_transactions", "retry_failed_jobs", "run_backup", "analyze_tables", "collect_diagnostics")
    stack = {"remediations": {name: {"mode": "auto"} for name in names}}
    many = Inventory.model_validate({"stacks": {f"stack{number}": stack for number in range(200)}})
    context = replace(harness.context, inventory=many)
    series = sum(len(family.samples) for family in (await metrics.collect(context)).collect())
    assert 10_000 < series < 20_000


async def test_names_of_unknown_targets_are_not_counted_one_by_one(harness: EngineHarness) -> None:
    for number in range(30):
        await harness.deliver(target=f"gone{number}", fingerprint=f"f{number}", stack=f"stack{number % 3}")
    await harness.work()
    async with harness.context.ledger.read() as connection:
        counts = await run_counts.all_counts(connection)
    assert [(each.stack, each.target, each.runs) for each in counts] == [("(unknown)", "(unknown)", 30)]
    open_episodes = (await page(harness))["remediation_open_episodes"]
    assert open_episodes == {frozenset({("stack", "(unknown)"), ("remediation", "clear_folder")}): 30}
