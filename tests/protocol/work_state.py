"""What there is in the model of the replicas' work: the ledger, the target, and what each process remembers."""

from enum import StrEnum
from typing import NamedTuple

from remediator.model.remediation import ItemState
from remediator.model.run_state import RunState
from tests.protocol.lease_row import NOW, Row


class Alert(NamedTuple):
    """A delivery of one alert: whether it fires, and for which time it began to."""

    is_firing: bool
    beginning: int
    copy: int = 0  # of another Alertmanager

    def __str__(self) -> str:
        text = "the alert" if self.beginning == 1 else f"the alert of time {self.beginning}"
        return f"{text} {'fires' if self.is_firing else 'is resolved'}{' (late copy)' if self.copy else ''}"


class Delivery(NamedTuple):
    """A delivery with its number in the ledger; `by` stores it, or it is committed."""

    number: int
    alert: Alert
    by: int | None = None


class Episode(NamedTuple):
    """The only episode: which time of firing it is about, and whether it was confirmed since its last run ended."""

    beginning: int
    is_open: bool = True
    is_confirmed: bool = True
    has_run: bool = False


class Run(NamedTuple):
    """The newest run, with its only item."""

    number: int
    state: RunState = RunState.PLANNED
    item: ItemState = ItemState.PLANNED
    has_reservation: bool = False


class At(StrEnum):
    """The point that a task has reached; what follows a write is only remembered."""

    FOUND = "found"
    PLANNED = "read the plan"
    ADMITTED = "admitted"
    INTENDED = "intended"
    CHECKED = "checked its lease"
    SENT = "sent"
    ANSWERED = "answered"
    SETTLED = "settled"
    TAKEN_OVER = "taken over"
    LOOKED_UP = "looked up"
    RESETTLED = "resettled"
    VERIFIED = "read the result"


class Task(NamedTuple):
    """A task that drives a run, as the process remembers it."""

    run: int
    state: RunState
    at: At = At.FOUND
    has_fence: bool = True  # no other task has taken the run over
    seen: bool | ItemState | None = None


class Replica(NamedTuple):
    """What a process remembers: its term, whether it trusts it, deliveries that it has read, and its task.

    Work that has outlived its term is in `old_term`.
    """

    term: int | None = None
    old_term: int | None = None
    is_trusting: bool = False
    batch: tuple[Delivery, ...] = ()
    task: Task | None = None

    @property
    def may_send(self) -> bool:
        return self.is_trusting and self.old_term is None


class State(NamedTuple):
    """Everything. `flights` are effects that were sent and have not arrived."""

    replicas: tuple[Replica, ...]
    row: Row = Row(0, None, NOW)
    deliveries: tuple[Delivery, ...] = ()
    episode: Episode | None = None
    resolved: int = 0
    run: Run | None = None
    admitted: int = 0
    is_breaker_open: bool = False
    broken: str | None = None
    outside: tuple[Alert, ...] = ()
    is_item_there: bool = True
    flights: int = 0
    last_sent: int = 0
    effects: int = 0

    @property
    def ledger(self) -> tuple[object, ...]:
        """Return what only the leader writes."""
        return self[2:9]

    def with_replica(self, which: int, replica: Replica) -> "State":
        return self._replace(replicas=(*self.replicas[:which], replica, *self.replicas[which + 1 :]))

    def with_task(self, which: int, task: Task | None) -> "State":
        return self.with_replica(which, self.replicas[which]._replace(task=task))
