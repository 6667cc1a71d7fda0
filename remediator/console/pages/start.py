"""`/start`: an operator's run. A form with the typed parameters leads to a plan, and a yes runs exactly this plan."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from aiohttp import web
from multidict import MultiMapping

from remediator.bounds.bounds import REFUSALS
from remediator.console.act_words import act_words
from remediator.console.refused_act import refused_act
from remediator.console.rendering import render
from remediator.console.routes import ConsoleRoutes
from remediator.console.times import zone_of
from remediator.console.visitor import Visitor
from remediator.context import Context
from remediator.ledger import questions
from remediator.model.errors import (
    InvalidParameter,
    NoSuchTarget,
    RemediatorError,
    TargetUnreachable,
    WrongState,
)
from remediator.model.known_stacks import require_stack
from remediator.model.parameters import (
    AddressParameter,
    DurationParameter,
    EnumParameter,
    IntParameter,
    Parameter,
)
from remediator.model.remediation import Remediation, TargetName
from remediator.model.run_state import RunState
from remediator.model.target import canonical_target, settings_for, targets_by_kind
from remediator.runs.questions import MAX_REASON, Answer, Request, ask, confirm
from remediator.server.json_errors import status_of
from remediator.server.questions_api import MAX_TARGET, parse_question_id
from runbookd.inventory import Mode, QueueTarget, format_duration

_PREFIX = "set."  # of the fields of parameters: a parameter may be named like another field
# These keep the form, with what was typed.
_REFUSED = (InvalidParameter, NoSuchTarget, WrongState, TargetUnreachable)
# The states in which a yes would end at once without having touched anything.
_POINTLESS = frozenset({RunState.REFUSED, RunState.NOTHING_TO_DO})
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Offer:
    """A remediation that an operator may start on some targets of a stack."""

    remediation: Remediation
    mode: Mode
    targets: Sequence[str]


@dataclass(frozen=True)
class Field:
    """The input of one parameter. `choices` makes it a list; `minimum` and `maximum` are those of a number."""

    name: str
    help: str
    required: bool
    hint: str
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True)
class Typed:
    """The form as an operator has filled it in."""

    remediation: str = ""
    target: str = ""
    queue: str = ""
    reason: str = ""
    undo: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def whole_target(self) -> str:
        """The target with its queue."""
        return f"{self.target}/{self.queue}" if self.queue else self.target

    def as_request(self) -> Request:
        """Return the wish: the undo of a run, or a remediation on a target."""
        if self.undo is not None:
            return Request(reason=self.reason, undoes=self.undo)
        return Request(self.remediation, self.whole_target, self.parameters, self.reason)


def add_routes(routes: ConsoleRoutes) -> None:
    """Add the list of remediations, the form, the question and its confirmation."""
    pages = _Pages(routes)
    routes.get("/start", pages.form, nav="Start a run")
    routes.post("/start", pages.question)
    routes.post("/questions/{id}/confirm", pages.confirm)


class _Pages:
    def __init__(self, routes: ConsoleRoutes) -> None:
        self._context = routes.context
        self._wake = routes.wake

    async def form(self, request: web.Request, visitor: Visitor) -> web.Response:
        """Show the form of one remediation on one target, or the list of them."""
        query = request.query
        typed = Typed(query.get("remediation", "")[:100], query.get("target", "")[:MAX_TARGET])
        if typed.remediation and typed.target:
            return await self._form(request, visitor, typed)
        offers = {name: list(_offers(self._context, name)) for name in self._context.inventory.stacks}
        chosen = query.get("stack", "")
        require_stack(self._context.inventory, chosen or None)
        shown = {chosen: offers[chosen]} if chosen else offers
        command = "runbookctl start REMEDIATION TARGET"
        return await render(request, visitor, "start.html", command=command, offers=shown, chosen=chosen)

    async def question(self, request: web.Request, visitor: Visitor) -> web.Response:
        """Answer with the plan and every bound; an answer that is refused keeps what was typed."""
        typed = _read_form(await request.post())
        try:
            answer = await ask(self._context, visitor.operator, typed.as_request())
        except _REFUSED as error:
            if typed.undo is not None and isinstance(error, WrongState):
                return await refused_act(request, visitor, error, "It cannot be undone", typed.undo)
            if typed.undo is not None:
                raise
            return await self._form(request, visitor, typed, error)
        return await self._question(request, visitor, answer)

    async def confirm(self, request: web.Request, visitor: Visitor) -> web.StreamResponse:
        """Start the run of the question."""
        identifier, form = parse_question_id(request), await request.post()
        try:
            run = await confirm(self._context, identifier, visitor.operator, str(form.get("plan_hash", "")))
        except WrongState as error:
            async with self._context.ledger.read() as connection:
                question = await questions.get_or_none(connection, identifier)
            started = question.run if question is not None and question.operator == visitor.operator else None
            return await refused_act(request, visitor, error, "Nothing was started", started)
        log.info("started", operator=visitor.operator, run=run.id, remediation=run.remediation, target=run.target)
        self._wake()
        raise web.HTTPSeeOther(f"/runs/{run.id}")

    async def _form(
        self, request: web.Request, visitor: Visitor, typed: Typed, error: RemediatorError | None = None
    ) -> web.Response:
        remediation = self._context.remediations.get(typed.remediation)
        name = _target_name(self._context, remediation, typed.target)
        if remediation is None or name is None:
            raise NoSuchTarget(f"no remediation {typed.remediation!r} works on {typed.target!r}; choose from the list")
        stack = self._context.inventory.stacks[name.stack]
        declared = remediation.declared_for(stack, name)
        values: dict[str, Any] = {
            "remediation": remediation,
            "typed": typed,
            "fields": [_field(each, parameter) for each, parameter in declared.parameters.items()],
            "prefix": _PREFIX,
            "undo": declared.undo,
            "mode": settings_for(stack, remediation).mode,
            "needs_queue": remediation.kind == "queues" and typed.target.count("/") < 3,
            "queues": _queue_names(stack.queues.get(name.name)) if remediation.kind == "queues" else (),
            "max_reason": MAX_REASON,
            "error": None if error is None else str(error),
        }
        status = 200 if error is None else status_of(error)
        command = shlex.join(["runbookctl", "start", remediation.name, typed.whole_target])
        return await render(request, visitor, "start_form.html", command=command, status=status, **values)

    async def _question(self, request: web.Request, visitor: Visitor, answer: Answer) -> web.Response:
        question = answer.question
        values: dict[str, Any] = {
            "question": question,
            "answer": answer,
            "plan": answer.plan,
            "words": act_words(question.key, len(answer.plan.items), question.undoes),
            "is_pointless": answer.would in _POINTLESS,
            "refusals": REFUSALS,
            "undo": answer.target.declaration.undo if question.undoes is None else None,
            "mode": answer.target.settings.mode,
            "detail": answer.decision.detail if answer.reason == answer.decision.reason else "",
            "zone": zone_of(self._context.inventory.stacks.get(question.stack)),
        }
        command = _command(answer)
        return await render(request, visitor, "question.html", command=command, **values)


def _command(answer: Answer) -> str:
    question = answer.question
    if question.undoes is not None:
        return f"runbookctl undo {question.undoes}"
    settings = [part for name, value in question.parameters.items() for part in ("--set", f"{name}={value}")]
    return shlex.join(["runbookctl", "start", question.remediation, question.target, *settings])


def _read_form(form: MultiMapping[object]) -> Typed:
    """Return the fields; one that was left empty was not given."""
    texts = {name: value.strip() for name, value in form.items() if isinstance(value, str)}
    undo = texts.get("undo", "")
    return Typed(
        texts.get("remediation", "")[:100],
        texts.get("target", "")[:MAX_TARGET],
        texts.get("queue", "")[:MAX_TARGET],
        texts.get("reason", ""),
        int(undo) if undo.isascii() and undo.isdigit() and len(undo) < 19 else None,
        {name.removeprefix(_PREFIX): text for name, text in texts.items() if name.startswith(_PREFIX) and text},
    )


def _offers(context: Context, stack_name: str) -> Iterator[Offer]:
    """Yield the remediations of a stack that are not off, with their targets."""
    stack = context.inventory.stacks[stack_name]
    by_kind = targets_by_kind(stack_name, stack)
    for remediation in context.remediations.values():
        mode = settings_for(stack, remediation).mode
        targets = [f"{stack_name}/{remediation.kind}/{each}" for each in by_kind.get(remediation.kind, ())]
        if targets and mode is not Mode.OFF:
            yield Offer(remediation, mode, targets)


def _target_name(context: Context, remediation: Remediation | None, target: str) -> TargetName | None:
    """Return the target that the form is about, perhaps still without its queue."""
    if remediation is None:
        return None
    stack, kind, name, *queue = [*canonical_target(remediation, target).split("/", 3), "", ""][:4]
    known = context.inventory.stacks.get(stack)
    if known is None or name not in targets_by_kind(stack, known).get(remediation.kind, ()):
        return None
    return TargetName(stack, remediation.kind, name, queue[0] or None) if kind == remediation.kind else None


def _queue_names(queues: QueueTarget | None) -> tuple[str, ...]:
    return queues.names if queues is not None and isinstance(queues.names, tuple) else ()


def _field(name: str, parameter: Parameter) -> Field:
    match parameter:
        case IntParameter(minimum=minimum, maximum=maximum):
            hint = f"a whole number from {minimum} to {maximum}"
            return Field(name, parameter.help, parameter.required, hint, (), minimum, maximum)
        case DurationParameter(minimum=minimum, maximum=maximum):
            return Field(name, parameter.help, parameter.required, _duration_hint(minimum, maximum))
        case EnumParameter(values=values):
            return Field(name, parameter.help, parameter.required, "", values)
        case AddressParameter():
            return Field(name, parameter.help, parameter.required, "an IP address, like 192.0.2.7")
        case _:
            return Field(name, parameter.help, parameter.required, "letters, digits and ._@:-")


def _duration_hint(minimum: timedelta, maximum: timedelta) -> str:
    return f"a duration like 90s, 5m or 1h30m, from {format_duration(minimum)} to {format_duration(maximum)}"
