"""Finds services that are refused: database servers, and commands that no inventory may have."""

from collections.abc import Iterator, Sequence

from remediator.forbidden_commands import forbidden_program, is_database_server
from runbookd.inventory import Inventory, ServiceTarget
from runbookd.service import ConfigFinding

_REFUSED = "is refused: {}; remove it, see docs/reference/never.md"
_SERVER = "the name is that of a database server, whose restart is for people"
NAME_KEYS = ("name", "unit", "service", "container")
"""The keys by which the managers know a service."""


def service_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report the services that are refused, whatever the mode."""
    for stack_name, stack in inventory.stacks.items():
        for name, service in stack.services.items():
            path = ("stacks", stack_name, "services", name)
            for key, value in _names(service):
                if is_database_server(value):
                    yield ConfigFinding((*path, service.manager, key), _REFUSED.format(_SERVER))
            for keys, arguments in _commands(service):
                if (problem := forbidden_program(arguments)) is not None:
                    yield ConfigFinding((*path, *keys), _REFUSED.format(problem))


def _names(service: ServiceTarget) -> Iterator[tuple[str, str]]:
    for key in NAME_KEYS:
        value = getattr(getattr(service, service.manager), key, None)
        if value is not None:
            yield key, value


def _commands(service: ServiceTarget) -> Iterator[tuple[tuple[str, ...], Sequence[str]]]:
    if service.config_test is not None:
        yield ("config_test",), service.config_test
    for key in ("state", "restart", "scale"):
        arguments = getattr(service.command, key, None)
        if arguments is not None:
            yield ("command", key), arguments
