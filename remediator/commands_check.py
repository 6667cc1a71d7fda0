"""Finds commands that are refused, and commands and requests that could not be made on this machine."""

import os
from collections.abc import Iterator

from remediator.forbidden_commands import forbidden_parts
from remediator.remediations.run_command import program_problem
from runbookd.inventory import Inventory, SecretError
from runbookd.inventory.commands import CommandEntry, CommandTarget, RequestEntry
from runbookd.inventory.requests import read_headers
from runbookd.service import ConfigFinding

Path = tuple[str, ...]


def forbidden_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report the entries that are refused, whatever the mode; see docs/reference/never.md."""
    for path, entry in _entries(inventory):
        for key, name in forbidden_parts(entry):
            yield ConfigFinding((*path, *key.split(".")), f"is refused: {name}; remove it, see docs/reference/never.md")


def command_findings(inventory: Inventory) -> Iterator[ConfigFinding]:
    """Report programs, variables and files that an entry needs and that this user does not have."""
    for path, entry in _entries(inventory):
        match entry:
            case CommandEntry():
                yield from _program_findings(path, entry)
            case RequestEntry():
                yield from _header_findings(path, entry)


def _entries(inventory: Inventory) -> Iterator[tuple[Path, CommandTarget]]:
    for stack_name, stack in inventory.stacks.items():
        for name, entry in stack.commands.items():
            yield ("stacks", stack_name, "commands", name), entry


def _program_findings(path: Path, entry: CommandEntry) -> Iterator[ConfigFinding]:
    for key, arguments in entry.programs():
        if problem := program_problem(arguments[0]):
            yield ConfigFinding((*path, key), problem)
    for variable in entry.environment:
        if variable not in os.environ:
            yield ConfigFinding(
                (*path, "environment"), f"this user has no variable {variable}; set it for the remediator"
            )


def _header_findings(path: Path, entry: RequestEntry) -> Iterator[ConfigFinding]:
    try:
        read_headers(entry.headers, entry.headers_file)
    except SecretError as error:
        yield ConfigFinding((*path, "headers_file"), str(error).removeprefix("headers_file: "))
