"""`runbookctl doctor` on a real Alertmanager, and where none answers."""

import asyncio
from pathlib import Path

from demo.servers.alertmanager import AlertmanagerServer
from runbookctl.doctor import examine
from runbookctl.doctor.finding import Finding
from runbookd.inventory import Inventory


def findings(url: str) -> tuple[Finding, ...]:
    inventory = Inventory.model_validate({"stacks": {}, "alertmanager": {"url": url}})
    [report] = asyncio.run(examine(inventory, frozenset()))
    assert report.target == "alertmanager"
    return report.findings


def test_alertmanager_that_does_not_answer_is_a_finding(servers_folder: Path) -> None:
    config = servers_folder / "doctor-alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    server = AlertmanagerServer(servers_folder / "doctor-alertmanager", config)
    server.start()
    try:
        assert findings(server.url) == ()
    finally:
        server.remove()
    [finding] = findings(server.url)
    assert finding.problem.startswith(f"cannot read Alertmanager at {server.url}: ")
    assert (finding.repair, finding.optional) == ("start it, or correct alertmanager.url in the inventory", False)
