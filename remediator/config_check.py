"""Checks an inventory for the mistakes that only the remediator recognizes."""

from collections.abc import Callable, Iterator

from remediator.backups_check import backup_findings, drill_findings
from remediator.commands_check import command_findings, forbidden_findings
from remediator.escalation.address import problem_of
from remediator.folders_check import overlap_findings, unprunable_findings
from remediator.model.remediation import Remediation
from remediator.passwords_check import password_findings
from remediator.remediations import REMEDIATIONS
from remediator.rights_check import database_findings, folder_findings, rights_findings
from remediator.services_check import service_findings
from runbookd.addresses.http import read_http_address
from runbookd.addresses.postgres import read_postgres_address
from runbookd.addresses.redis import read_redis_address
from runbookd.inventory import Inventory, Mode, RemediationSettings, Secret, SecretError, Stack, given_keys
from runbookd.inventory.secret_check import secret_problems
from runbookd.inventory.suggest import suggest
from runbookd.service import ConfigFinding

# Keys that only some remediations use; the others are bounds of all.
_SPECIFIC_KEYS = ("older_than", "younger_than", "batch", "protect", "terminate", "deny_reasons", "ends_after")


def remediation_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report what is refused, remediations that do not exist, and settings that would silently do nothing."""
    yield from forbidden_findings(inventory)
    yield from service_findings(inventory)
    yield from overlap_findings(inventory)
    yield from drill_findings(inventory)
    for stack_name, stack in inventory.stacks.items():
        if inventory.alertmanager is None:
            yield from _missing_alertmanager_findings(stack_name, stack)
        for name, settings in stack.remediations.items():
            path = ("stacks", stack_name, "remediations", name)
            remediation = REMEDIATIONS.get(name)
            if remediation is None:
                yield ConfigFinding(path, f"there is no such remediation{suggest(name, REMEDIATIONS)}")
            else:
                yield from _unused_key_findings(path, remediation, settings)
                yield from _unattended_findings(path, remediation, settings)


def _missing_alertmanager_findings(name: str, stack: Stack) -> Iterator[ConfigFinding]:
    paths = [("remediations", each, "block_on") for each, settings in stack.remediations.items() if settings.block_on]
    paths += [("escalation", each, "only_while") for each, step in stack.escalation.items() if step.only_while]
    for place in paths:
        yield ConfigFinding(("stacks", name, *place), "needs alertmanager.url, to read which alerts fire; set it")


def _unused_key_findings(
    path: tuple[str, ...], remediation: Remediation, settings: RemediationSettings
) -> Iterator[ConfigFinding]:
    for key in _SPECIFIC_KEYS:
        if key in given_keys(settings) and key not in remediation.keys:
            yield ConfigFinding((*path, key), f"has no effect on {remediation.name}; remove it")


def _unattended_findings(
    path: tuple[str, ...], remediation: Remediation, settings: RemediationSettings
) -> Iterator[ConfigFinding]:
    if settings.mode is Mode.AUTO and remediation.never_auto:
        yield ConfigFinding((*path, "mode"), f"{remediation.name} never runs by itself; set mode: approve")
    for key in sorted(remediation.auto_needs):
        if settings.mode is Mode.AUTO and getattr(settings, key) is None:
            yield ConfigFinding(
                (*path, key), f"is required in mode auto by {remediation.name}; set it, or mode: approve"
            )


def startup_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report the findings with which the remediator refuses to start or to reload."""
    yield from remediation_findings(inventory)
    for name, operator in inventory.operators.items():
        if operator.token_file is not None:
            yield from _secret_findings(("operators", name), Secret("token", None, operator.token_file))
    yield from _shared_token_findings(inventory)
    yield from password_findings(inventory)


def _shared_token_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report operators with the same token: the record could not tell them apart."""
    names_by_token: dict[str, str] = {}
    for name, operator in inventory.operators.items():
        try:
            token = Secret("token", None, operator.token_file).read()
        except SecretError:  # reported as such, unless the operator has none
            continue
        if (other := names_by_token.setdefault(token, name)) != name:
            reason = f"has the token of {other}, so the record cannot tell them apart; give each operator a token"
            yield ConfigFinding(("operators", name, "token_file"), reason)


def config_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report the findings of `--config.check`: unusable settings and unreadable secrets."""
    yield from startup_findings(inventory)
    yield from rights_findings(inventory)
    yield from folder_findings(inventory)
    yield from database_findings(inventory)
    yield from command_findings(inventory)
    yield from unprunable_findings(inventory)
    if inventory.alertmanager is not None:
        yield from _secret_findings(("alertmanager",), inventory.alertmanager.url_secret(), read_http_address)
    for name, contact in inventory.contacts.items():
        if problem := problem_of(contact.url_secret()):
            yield ConfigFinding(("contacts", name), problem)
    for name, stack in inventory.stacks.items():
        yield from _stack_secret_findings(("stacks", name), stack)


def _stack_secret_findings(path: tuple[str, ...], stack: Stack) -> Iterator[ConfigFinding]:
    for name, postgres in stack.postgres.items():
        if postgres.admin_dsn_secret().configured:
            yield from _secret_findings((*path, "postgres", name), postgres.admin_dsn_secret(), read_postgres_address)
    for name, redis in stack.redis.items():
        if redis.admin_url_secret().configured:
            yield from _secret_findings((*path, "redis", name), redis.admin_url_secret(), read_redis_address)
    for name, backup in stack.backups.items():
        yield from backup_findings((*path, "backups", name), backup)
        if backup.dump is not None and backup.dump.dsn_secret().configured:
            yield from _secret_findings(
                (*path, "backups", name, "dump"), backup.dump.dsn_secret(), read_postgres_address
            )


def _secret_findings(
    path: tuple[str, ...], secret: Secret, read_address: Callable[[str], object] | None = None
) -> Iterator[ConfigFinding]:
    for key, reason in secret_problems(secret, read_address):
        yield ConfigFinding((*path, key), reason)
