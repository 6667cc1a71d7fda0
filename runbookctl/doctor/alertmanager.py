"""Checks that Alertmanager answers: the remediator queries it rarely, so that a wrong address shows late."""

from remediator.clients.alertmanager import AlertmanagerReader, AlertmanagerUnreadable
from runbookctl.doctor.finding import Finding, Report
from runbookd.inventory import Inventory


async def reports(inventory: Inventory) -> list[Report]:
    """Query `alertmanager.url` once; without it, there is nothing to report."""
    if inventory.alertmanager is None:
        return []
    try:
        await AlertmanagerReader(inventory.alertmanager.url_secret()).active()
    except AlertmanagerUnreadable as error:
        problem = str(error).partition("; ")[0]
        return [Report("alertmanager", (Finding(problem, "start it, or correct alertmanager.url in the inventory"),))]
    return [Report("alertmanager", ())]
