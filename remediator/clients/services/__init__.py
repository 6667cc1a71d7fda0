"""The managers of services, one file each, behind the protocol of `manager.py`.

They read the state of a service and restart or scale it. Only name, state, pid, start, restarts and instances are
parsed and kept from an answer: the rest may hold the secrets of the process's environment.
"""

from collections.abc import Callable, Mapping

from remediator.clients.services import command, docker, pm2, systemd
from remediator.clients.services.manager import ServiceManager
from runbookd.inventory import ServiceTarget, Stack

MANAGERS: Mapping[str, Callable[[str, ServiceTarget], ServiceManager]] = {
    "pm2": pm2.Pm2Manager,
    "systemd": systemd.SystemdManager,
    "docker": docker.DockerManager,
    "command": command.CommandManager,
}


def manager_of(stack_name: str, stack: Stack, name: str) -> ServiceManager:
    """Return the manager of a service. It connects at its first use."""
    service = stack.services[name]
    return MANAGERS[service.manager](f"{stack_name}/services/{name}", service)
