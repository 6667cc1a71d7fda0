"""The parts of the configuration without which the remediator runs, but does less than an operator may expect."""

from collections.abc import Iterator

from remediator.settings import RemediatorSettings
from runbookd.inventory import Inventory
from runbookd.service.missing import MissingPart, missing_targets


def missing_flags(settings: RemediatorSettings) -> Iterator[MissingPart]:
    """Report the missing token of the webhook."""
    if not settings.webhook.token_file:
        meaning = "any process on this machine can deliver alerts, and so start remediations; write a token to a file"
        yield MissingPart("--webhook.token-file", meaning)


def missing_sections(inventory: Inventory) -> Iterator[MissingPart]:
    """Report missing stacks, targets, operators and contacts."""
    yield from missing_targets(inventory, "no alert can be remediated")
    if not inventory.operators:
        meaning = "nobody can approve a run, pause, or close a breaker through the API; add one under `operators`"
        yield MissingPart("operators in the inventory", meaning)
    if not inventory.contacts:
        yield MissingPart("contacts in the inventory", "no message is sent; add one under `contacts`")
