"""Commands of your own as a manager: one prints the state as JSON, one restarts, one scales."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from remediator.clients.services.manager import READ_SECONDS, ManagerRefused, Process, ServiceState, Status
from remediator.clients.services.programs import failure_text, run_program, run_test
from remediator.model.errors import TargetUnreachable
from runbookd.inventory import ServiceTarget
from runbookd.inventory.services import COUNT


class _Printed(BaseModel):
    state: Status
    started: AwareDatetime | None = None
    pid: Annotated[int, Field(ge=0)] = 0
    restarts: Annotated[int, Field(ge=0)] = 0
    instances: Annotated[int, Field(ge=1, le=1_000)] = 1


class CommandManager:
    """One service under commands of your own."""

    def __init__(self, place: str, service: ServiceTarget) -> None:
        assert service.command is not None  # MANAGERS is keyed by it  # noqa: S101
        self._place, self._commands = place, service.command
        self._seconds = service.timeout.total_seconds()

    async def read(self) -> ServiceState:
        """See ServiceManager. All instances have the start that the command prints."""
        result = await run_program(self._place, self._commands.state, READ_SECONDS)
        if result.status != 0:
            raise TargetUnreachable(f"{self._place}: {self._commands.state[0]} {failure_text(result)}")
        printed = self._parse(result.stdout)
        start = printed.started.isoformat() if printed.started is not None else ""
        return ServiceState(
            tuple(
                Process(
                    str(number), printed.state, printed.pid, start, printed.started, printed.restarts * (number == 0)
                )
                for number in range(printed.instances)
            )
        )

    async def test_configuration(self, arguments: Sequence[str], state: ServiceState) -> str | None:  # noqa: ARG002
        """See ServiceManager."""
        return await run_test(self._place, arguments, self._seconds)

    async def restart(self, processes: Sequence[Process]) -> None:  # noqa: ARG002 - the command knows its instances
        """See ServiceManager."""
        await self._act(self._commands.restart)

    async def scale(self, count: int, state: ServiceState) -> None:  # noqa: ARG002
        """See ServiceManager."""
        if self._commands.scale is None:
            raise ManagerRefused("the inventory has no command.scale")
        program, *arguments = self._commands.scale
        await self._act((program, *(each.replace(COUNT, str(count)) for each in arguments)))

    async def _act(self, command: Sequence[str]) -> None:
        result = await run_program(self._place, command, self._seconds)
        if result.status != 0:
            raise TargetUnreachable(f"{self._place}: {command[0]} {failure_text(result)}")

    def _parse(self, stdout: str) -> _Printed:
        try:
            return _Printed.model_validate_json((stdout.splitlines() or [""])[-1])
        except ValidationError:
            raise TargetUnreachable(
                f"{self._place}: {self._commands.state[0]} did not print the state as one line of JSON;"
                " see docs/how-to/let-runbookd-restart-services.md"
            ) from None
