"""Checks that the remediator can read the state of a service from its manager, and what its restart needs."""

import shutil
from collections.abc import Iterator

from remediator.clients.services import manager_of
from remediator.clients.services.manager import ServiceState
from remediator.model.errors import RemediatorError
from runbookctl.doctor.finding import Finding
from runbookd.inventory import ServiceTarget, Stack


async def check(stack_name: str, stack: Stack, name: str) -> list[Finding]:
    """Read the service once, as the remediator does. Nothing is restarted, so polkit's answer is not known."""
    service = stack.services[name]
    findings = list(_missing_programs(service))
    try:
        state = await manager_of(stack_name, stack, name).read()
    except RemediatorError as error:
        problem = str(error).removeprefix(f"{stack_name}/services/{name}: ")
        return [*findings, Finding(problem, "see docs/how-to/let-runbookd-restart-services.md for the rights it needs")]
    return [*findings, *_too_many(service, state)]


def _missing_programs(service: ServiceTarget) -> Iterator[Finding]:
    """Report the programs that a restart needs and that this user cannot start; docker tests in the container."""
    commands = [] if service.config_test is None or service.docker is not None else [service.config_test]
    if service.command is not None:
        commands += [service.command.restart, *([service.command.scale] if service.command.scale else [])]
    for command in commands:
        if shutil.which(command[0]) is None:
            yield Finding(f"there is no program {command[0]}", "install it, or correct its path in the inventory")
    if service.systemd is not None and service.systemd.sudo and shutil.which("sudo") is None:
        yield Finding("systemd.sudo is set, and there is no sudo", "install sudo, or use polkit's rule")


def _too_many(service: ServiceTarget, state: ServiceState) -> Iterator[Finding]:
    if len(state.live) > service.max_processes:
        yield Finding(
            f"{len(state.live)} processes have its name, {service.max_processes} may",
            "set workers.max if they are instances of it, or give each program a name of its own",
        )
