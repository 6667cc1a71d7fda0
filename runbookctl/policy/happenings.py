"""Lets the events of a case happen in its simulation, by the code that serves the operators' API."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from remediator.escalation.acknowledge import acknowledge
from remediator.ledger import deploys, switches
from remediator.model.episode_key import EpisodeKey
from remediator.model.errors import RemediatorError
from remediator.model.run_state import RunState
from remediator.reload import InventorySwap
from remediator.runs.approval import approve, reject
from remediator.runs.pausing import PauseRequest, pause, resume
from remediator.runs.questions import Request, ask, confirm
from remediator.server.bearer_tokens import BearerTokens
from remediator.simulation.simulation import Simulation
from runbookctl.policy.file_format import (
    Acknowledge,
    AlertmanagerOut,
    Approve,
    CloseBreaker,
    Crash,
    Deploy,
    Event,
    LedgerOut,
    Outage,
    Pause,
    Reject,
    Resume,
    Start,
)
from runbookctl.policy.subjects import key_of_target, stack_of
from runbookd.inventory import Inventory, Role

T = TypeVar("T")
REASON = "the case says so"


class EventFailed(Exception):
    """An event of a case cannot happen: what it needs, and what there is."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected, self.got = expected, got


class Happenings:
    """Lets events happen. `reloaded` are the inventories of the events that reload, by their place in the case."""

    def __init__(self, simulation: Simulation, reloaded: Mapping[int, Inventory]) -> None:
        self._simulation = simulation
        self._context = simulation.context
        self._reloaded = reloaded

    async def happen(self, place: int, event: Event) -> None:
        """Let the event at this place of the case happen now.

        Raises:
            EventFailed: it cannot, as the remediator is.
        """
        try:
            if event.reload is not None:
                await self._reload(self._reloaded[place])
            else:
                await self._happen(event.detail)
        except RemediatorError as error:
            raise EventFailed(f"{event.kind} is accepted", f"refused: {error}") from None
        self._simulation.wake()

    async def end(self, outage: Outage) -> None:
        """End what is away."""
        match outage:
            case Crash():
                await self._simulation.start()
            case LedgerOut():
                await self._simulation.end_outage()
            case AlertmanagerOut():
                self._simulation.alertmanager.outage = None

    async def _happen(self, detail: object) -> None:
        match detail:
            case Pause():
                fields = {"reason": detail.reason, "stack": detail.stack, "for": detail.span}
                await pause(self._context, PauseRequest.model_validate(fields), self._operator(detail.by))
            case Resume():
                await resume(self._context, detail.stack, self._operator(detail.by))
            case Approve() | Reject():
                await self._answer(detail)
            case Acknowledge():
                episode = detail.episode or await self._only_open_episode()
                await acknowledge(self._context, episode, self._operator(detail.by), span=detail.span)
            case CloseBreaker():
                await self._close_breaker(detail)
            case Deploy():
                await self._deploy(detail)
            case Start():
                await self._start(detail)
            case Crash():
                await self._simulation.crash()
            case LedgerOut():
                self._simulation.begin_outage(REASON)
            case AlertmanagerOut():
                self._simulation.alertmanager.outage = REASON

    def _operator(self, name: str | None) -> str:
        """Return who acts: the one that the event names, or else the first who may."""
        operators = self._context.inventory.operators.items()
        return name or next((each for each, operator in operators if operator.role is Role.OPERATOR), "operator")

    async def _answer(self, answer: Approve | Reject) -> None:
        waiting = [each.id for each in await self._simulation.runs() if each.state is RunState.AWAITING_APPROVAL]
        run, operator = answer.run or _only(waiting, "run that awaits an approval"), self._operator(answer.by)
        if isinstance(answer, Approve):
            await approve(self._context, run, operator)
        else:
            await reject(self._context, run, operator, reason=answer.reason)

    async def _only_open_episode(self) -> int:
        open_episodes = [each.id for each in await self._simulation.episodes() if each.ended_at is None]
        return _only(open_episodes, "open episode")

    async def _close_breaker(self, event: CloseBreaker) -> None:
        key = key_of_target(event, self._context.inventory) if event.target is not None else None
        breakers = [
            EpisodeKey(each.stack, each.remediation, each.target) for each in await self._simulation.open_breakers()
        ]
        chosen = _only([each for each in breakers if key in (None, each)], "open breaker")
        async with self._context.ledger.write() as connection:
            await switches.close_breaker(connection, chosen, self._context.clock.now(), self._operator(event.by))

    async def _deploy(self, event: Deploy) -> None:
        record = deploys.begin if event.state == "started" else deploys.end
        stack = stack_of(event.stack, self._context.inventory)
        async with self._context.ledger.write() as connection:
            await record(connection, self._context.clock.now(), self._operator(None), stack, event.version)

    async def _start(self, event: Start) -> None:
        key = key_of_target(event, self._context.inventory)
        target, operator = key.target if key is not None else "", self._operator(event.by)
        answer = await ask(self._context, operator, Request(event.remediation, target, event.parameters))
        await confirm(self._context, answer.question.id, operator, answer.question.plan_hash)

    async def _reload(self, inventory: Inventory) -> None:
        swap = InventorySwap(self._context, BearerTokens({}, "operators.{}"), self._simulation.wake)
        await swap.apply(inventory, self._operator(None))


def _only(found: Sequence[T], what: str) -> T:
    if len(found) != 1:
        shown = ", ".join(map(str, found))
        raise EventFailed(f"one {what}", f"{len(found)}: {shown}; name one" if found else "none")
    return found[0]
