"""Services: processes under pm2, systemd, docker or commands of your own, which remediations may restart."""

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, get_args

from runbookd.inventory.constraints import AfterValidator, Field, StringConstraints
from runbookd.inventory.durations import Duration
from runbookd.inventory.section import Name, Section, annotations_by_key, must_hold

REQUIRED_KINDS = ("postgres", "redis", "http", "services")
COUNT = "{count}"
# No name begins with a dash, so that none can be read as an option.
ProcessName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@:-]{0,199}$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
Argument = Annotated[str, StringConstraints(max_length=4_096, pattern=r"^[^\x00]*$")]
Arguments = Annotated[tuple[Argument, ...], Field(min_length=1, max_length=200)]


def _check_timeout(timeout: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= timeout <= timedelta(hours=1):
        raise ValueError("must be from 1s to 1h")
    return timeout


class Manager(Section):
    """The block of a service's manager; the name of its key is that of the manager."""


class Pm2Service(Manager):
    """An application of pm2. Its pm2 runs as `user` (through sudo), or as the remediator's user, in `home`."""

    name: ProcessName
    home: Path | None = None
    user: UserName | None = None

    @must_hold
    def _one_daemon(self) -> None:
        if self.home is not None and self.user is not None:
            raise ValueError("home and user are both set; sudo uses the home of the user, so keep one")


class SystemdService(Manager):
    """A unit of systemd. With `sudo`, only the restart runs through it; without, polkit has to allow it."""

    unit: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@:\\-]{0,199}\.service$")]
    sudo: bool = False


class DockerService(Manager):
    """A compose service (`project` and `service`), or one `container`, over the socket of the Docker Engine."""

    project: ProcessName | None = None
    service: ProcessName | None = None
    container: ProcessName | None = None
    socket: Path = Path("/var/run/docker.sock")

    @must_hold
    def _one_name(self) -> None:
        if (self.project is None) != (self.service is None):
            raise ValueError("project and service belong together; set both")
        if (self.container is None) == (self.project is None):
            raise ValueError("needs either project and service (compose), or container")


class CommandService(Manager):
    """Commands of your own, as argument lists.

    `state` prints one line of JSON: `{"state": "running", "started": "…", "pid": 7, "restarts": 0, "instances": 1}`.
    `state` is running, changing, stopped or failed; `started` is RFC 3339 and differs after each start. `scale` gets
    the new number of instances as `{count}`.
    """

    state: Arguments
    restart: Arguments
    scale: Arguments | None = None

    @must_hold
    def _commands_are_usable(self) -> None:
        for key in ("state", "restart", "scale"):
            arguments = getattr(self, key)
            if arguments is not None and not arguments[0].startswith("/"):
                raise ValueError(
                    f"{key}: {arguments[0]!r} is not an absolute path; write the whole path of the program"
                )
        if self.scale is not None and not any(COUNT in each for each in self.scale[1:]):
            raise ValueError(f"scale: no argument has {COUNT}, the new number of instances; add it")


class Workers(Section):
    """The instances that a service may have. `scale_workers` moves one `step` at a time between `min` and `max`.

    With `scale_back` it returns to the former number when the episode is over. `queues` are the queues target whose
    jobs the instances process: its alerts ask for more of them.
    """

    min: Annotated[int, Field(ge=1, le=1_000)] = 1
    max: Annotated[int, Field(ge=1, le=1_000)]
    step: Annotated[int, Field(ge=1, le=100)] = 1
    scale_back: bool = False
    queues: Name | None = None

    @must_hold
    def _in_order(self) -> None:
        if self.max < self.min:
            raise ValueError("max must not be less than min")


class ServiceTarget(Section):
    """A service under one manager: `pm2`, `systemd`, `docker` or `command`.

    `config_test` is an argument list that must exit with 0 before a restart; for docker it runs in the container.
    `health` is the http target that must stay good after a restart. `requires` are targets (`postgres/main`) without
    which a restart is useless. Each step has `timeout` to end.
    """

    pm2: Pm2Service | None = None
    systemd: SystemdService | None = None
    docker: DockerService | None = None
    command: CommandService | None = None
    config_test: Arguments | None = None
    health: Name | None = None
    requires: tuple[str, ...] = ()
    workers: Workers | None = None
    timeout: Annotated[Duration, AfterValidator(_check_timeout)] = timedelta(seconds=60)

    @must_hold
    def _one_manager(self) -> None:
        managers = [name for name in manager_names() if getattr(self, name) is not None]
        if len(managers) != 1:
            raise ValueError(f"needs exactly one manager of {', '.join(manager_names())}, has {len(managers)}")

    @must_hold
    def _can_scale(self) -> None:
        if self.workers is None or self.workers.min == self.workers.max:
            return
        if self.systemd is not None:
            raise ValueError("workers: a unit of systemd has one instance; use command with a scale command")
        if self.command is not None and self.command.scale is None:
            raise ValueError("workers: add command.scale, which sets the number of instances")
        if self.docker is not None and self.docker.container is not None:
            raise ValueError("workers: a container has one instance; name it by project and service")

    @property
    def manager(self) -> str:
        """The name of the manager."""
        return next(name for name in manager_names() if getattr(self, name) is not None)

    @property
    def max_processes(self) -> int:
        """The number of processes that may have the service's name."""
        return 1 if self.workers is None else self.workers.max


@cache
def manager_names() -> tuple[str, ...]:
    """Return the managers that a service may have."""
    return tuple(
        name
        for name, annotation in annotations_by_key(ServiceTarget).items()
        if any(isinstance(each, type) and issubclass(each, Manager) for each in get_args(annotation))
    )


def reference_problems(
    services: Mapping[str, ServiceTarget], targets: Mapping[str, Collection[str]]
) -> Iterator[tuple[str, str]]:
    """Yield key and reason of each reference of a service to a target that the stack does not have."""
    for name, service in services.items():
        if service.health is not None and service.health not in targets["http"]:
            yield f"{name}.health", f"there is no http {service.health!r}"
        queues = service.workers.queues if service.workers is not None else None
        if queues is not None and queues not in targets["queues"]:
            yield f"{name}.workers.queues", f"there is no queues {queues!r}"
        for required in service.requires:
            kind, _, target = required.partition("/")
            if kind not in REQUIRED_KINDS or target not in targets[kind]:
                yield f"{name}.requires", f"there is no target {required!r}; add it, or correct it (postgres/main)"
        if f"services/{name}" in service.requires:
            yield f"{name}.requires", "the service requires itself; remove it"
