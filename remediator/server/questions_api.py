"""`/api/v1/questions`: an operator asks for the plan of a run, and confirms it."""

from collections.abc import Callable
from typing import Any, Self

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator

from remediator.context import Context
from remediator.ledger import effects
from remediator.model.clock import rfc3339
from remediator.model.errors import NoSuchQuestion, NoSuchRun
from remediator.runs.questions import MAX_REASON, Answer, Request, ask, confirm
from remediator.server.operator_api import OperatorGuard, parse_run_id, run_json
from remediator.server.preview_api import bounds_json, numbers_json
from remediator.server.request_body import read_body

MAX_TARGET = 500  # characters
log = structlog.get_logger(__name__)


class QuestionRequest(BaseModel):
    """The body of `POST /api/v1/questions`."""

    model_config = ConfigDict(extra="forbid")

    remediation: str = Field(default="", max_length=100)
    target: str = Field(default="", max_length=MAX_TARGET)
    parameters: dict[str, StrictStr | StrictInt] = Field(default_factory=dict)
    reason: str = Field(default="", max_length=MAX_REASON)
    undo: int | None = Field(default=None, ge=1, lt=2**62)

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        is_start = bool(self.remediation and self.target)
        if is_start == (self.undo is not None) or (self.undo is not None and self.parameters):
            raise ValueError("give `remediation` and `target`, or `undo` with the number of a run")
        return self


class Confirmation(BaseModel):
    """The body of `POST /api/v1/questions/ID/confirm`."""

    model_config = ConfigDict(extra="forbid")

    plan_hash: str = Field(max_length=200)


def add_question_routes(
    app: web.Application, context: Context, require_operator: OperatorGuard, wake: Callable[[], None]
) -> None:
    """Add the two routes; `wake` starts the engine's next round."""

    async def post_question(request: web.Request, operator: str) -> web.Response:
        body = await read_body(request, QuestionRequest)
        parameters = {name: str(value) for name, value in body.parameters.items()}
        asked = Request(body.remediation, body.target, parameters, body.reason, body.undo)
        return web.json_response(_answer_json(await ask(context, operator, asked)))

    async def post_confirm(request: web.Request, operator: str) -> web.Response:
        body = await read_body(request, Confirmation)
        run = await confirm(context, parse_question_id(request), operator, body.plan_hash)
        log.info("started", operator=operator, run=run.id, remediation=run.remediation, target=run.target)
        async with context.ledger.read() as connection:
            content = run_json(run, await effects.items(connection, run.id))
        wake()
        return web.json_response(content, status=201)

    app.router.add_post("/api/v1/questions", require_operator(post_question))
    app.router.add_post("/api/v1/questions/{id}/confirm", require_operator(post_confirm))


def parse_question_id(request: web.Request) -> int:
    """Return the number of the question in the path.

    Raises:
        NoSuchQuestion: it is not a number.
    """
    try:
        return parse_run_id(request)
    except NoSuchRun:
        raise NoSuchQuestion("there is no such question; give a number") from None


def _answer_json(answer: Answer) -> dict[str, Any]:
    question, plan, undo = answer.question, answer.plan, answer.target.declaration.undo
    detail = answer.decision.detail if answer.reason == answer.decision.reason else ""
    return {
        "id": question.id,
        "stack": question.stack,
        "remediation": question.remediation,
        "target": question.target,
        "parameters": question.parameters,
        "undoes": question.undoes,
        "mode": str(answer.target.settings.mode),
        "would": answer.would,
        "reason": answer.reason,
        "detail": detail,
        "plan": {
            "found": plan.found,
            "items": [{"identity": dict(item.identity), "evidence": dict(item.evidence)} for item in plan.items],
            "evidence": dict(plan.evidence),
        },
        "plan_hash": question.plan_hash,
        "bounds": bounds_json(answer.decision),
        "numbers": numbers_json(answer.facts),
        "undo": {"kind": undo.kind, "sentence": undo.sentence},
        "expires_at": rfc3339(question.expires_at),
    }
