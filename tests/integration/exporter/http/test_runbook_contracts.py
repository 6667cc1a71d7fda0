"""Every endpoint of the five runbooks' inventories, on a real HTTPS server that keeps its contract, or breaks it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from remediator.clients.http_probe import probe
from runbookd.inventory import HttpTarget
from tests.integration.exporter.http.contracts import Site, serve_contracts

SETS = Path(__file__).parents[4] / "deploy" / "runbooks"
STACKS = ("clientforge", "deelrx", "formula_pm", "life_platform", "pmcrm")
CONTRACTS = [
    (stack, name, settings)
    for stack in STACKS
    for name, settings in yaml.safe_load((SETS / stack / "inventory.yml").read_text())["stacks"][stack]["http"].items()
]
IDS = [f"{stack}-{name}" for stack, name, _ in CONTRACTS]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serve_contracts(tmp_path) as served:
        yield served


def on(site: Site, settings: dict[str, Any], below: str = "") -> dict[str, Any]:
    """Return the target of a runbook at the test's server."""
    path = urlsplit(settings["url"]).path
    return {**settings, "url": f"{site.url}{below}{path}", "tls": {"ca_file": str(site.ca_file)}}


def breaks(settings: dict[str, Any]) -> list[str]:
    """Return where the server breaks this contract: by its status, and by what the contract asks for besides."""
    if settings.get("status") == 401:
        return ["/unavailable", "/open"]
    return ["/unavailable", "/page-of-a-proxy"] if "expect" in settings else ["/unavailable"]


@pytest.mark.parametrize(("stack", "name", "settings"), CONTRACTS, ids=IDS)
async def test_contract_of_a_runbook_is_kept_and_broken(start_exporter, site, stack, name, settings) -> None:
    targets = {name: on(site, settings)}
    targets |= {f"broken_{at}": on(site, settings, below) for at, below in enumerate(breaks(settings))}
    exporter = await start_exporter(yaml.safe_dump({"stacks": {stack: {"http": targets}}}))
    page = await exporter.scrape()
    shown = (await exporter.get("/metrics?debug=true"))[1]
    for target, at in targets.items():
        is_good = target == name
        assert page.value("probe_success", stack=stack, target=target) == is_good, (target, shown)
        assert page.value("probe_http_ssl", stack=stack, target=target) == 1
        assert (await probe(HttpTarget.model_validate(at)) is None) == is_good, target


def test_contracts_are_of_each_kind() -> None:
    assert {stack for stack, _, _ in CONTRACTS} == set(STACKS) == {folder.name for folder in SETS.iterdir()}
    names = {name for _, name, _ in CONTRACTS}
    assert names >= {"live", "ready", "health", "version", "tasks"}
    assert [settings["status"] for _, name, settings in CONTRACTS if name == "tasks"] == [401]
