"""Every remediation that answers a row of a runbook starts in the set of that runbook, by an alert that fires there."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from remediator.model.episode_key import EpisodeKey
from remediator.model.remediation import Remediation
from remediator.model.run_state import RunState
from remediator.model.target import ResolvedTarget, resolve_target
from remediator.remediations import REMEDIATIONS
from runbookd.inventory import Inventory
from tests.rules.healthy import SETS, STACKS
from tests.rules.rulebook import alerts
from tests.rules.sick import sicknesses
from tests.unit.remediator.conftest import engine_harness
from tests.unit.remediator.folder_remediation import FolderRemediation
from tools.docs.coverage_files import covered_rows

NAMES = re.compile(r'\b(stack|target|queue|kind)="([^"]+)"')


@pytest.mark.parametrize("stack", STACKS)
async def test_alerts_of_a_set_start_the_remediations_that_answer_its_rows(folder: Path, stack: str) -> None:
    answering = {name for row in covered_rows() if row.stack == stack for name in row.answers.remediation}
    starters = {name: labels for name in answering if (labels := list(labels_of_alerts(stack, name)))}
    by_operator = {name for name in answering - starters.keys() if operator_targets(stack, name)}
    assert starters
    assert answering - starters.keys() - by_operator == set()
    files = FolderRemediation(folder)
    async with engine_harness(folder, set_of(stack), files) as harness:
        harness.context = replace(harness.context, remediations=dict(map(in_place_of(files), REMEDIATIONS)))
        harness.__post_init__()
        for labels in (labels for each in starters.values() for labels in each):
            files.fill("item")
            await harness.deliver(fingerprint=str(sorted(labels.items())), **labels)
            await harness.work()
            run = await harness.last_run()
            remediation = REMEDIATIONS[labels["remediation"]]
            if remediation.reads_only:
                state, place = RunState.SUCCEEDED, f"alerts/{labels['alertname']}"
            else:
                state, place = RunState.SHADOW, f"{remediation.kind}/{labels['target']}"
            assert (run.remediation, run.state) == (remediation.name, state)
            assert run.target.startswith(f"{stack}/{place}")
            harness.clock.advance(hours=2)


def operator_targets(stack: str, name: str) -> list[str]:
    """Return the targets of a set on which an operator can start a remediation."""
    inventory, kind = set_of(stack), REMEDIATIONS[name].kind
    entries = getattr(inventory.stacks[stack], kind, {})
    keys = [EpisodeKey(stack, name, f"{stack}/{kind}/{entry}") for entry in entries]
    return [key.target for key in keys if isinstance(resolve_target(inventory, REMEDIATIONS, key), ResolvedTarget)]


def in_place_of(files: FolderRemediation) -> Callable[[str], tuple[str, Remediation]]:
    """Return how a remediation is replaced by one that plans an item without the target's server."""
    return lambda name: (name, replace(REMEDIATIONS[name], open=files.remediation().open))


def set_of(stack: str) -> Inventory:
    return Inventory.model_validate(yaml.safe_load((SETS / stack / "inventory.yml").read_text()))


def labels_of_alerts(stack: str, remediation: str) -> Iterator[dict[str, str]]:
    """Yield the labels of each alert of a set that names a remediation, as its rule and series give them."""
    for rule in (rule for rule in alerts() if rule.labels.get("remediation") == remediation):
        for sickness in sicknesses(stack, str(rule.alert)):
            if sickness.alert is rule:
                names = dict(NAMES.findall(next(iter(sickness.series))))
                yield {**names, **rule.labels, "alertname": str(rule.alert), "priority": "P1"}
