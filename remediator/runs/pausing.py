"""An operator's pause of one stack or all, and its end. API and console both call these."""

from datetime import timedelta

import structlog
from pydantic import BaseModel, ConfigDict, Field, field_validator

from remediator.context import Context
from remediator.ledger import switches
from remediator.model.errors import InvalidParameter
from remediator.model.known_stacks import unknown_stack
from runbookd.inventory import Duration

MAX_REASON = 500  # characters; it is part of each message about a run that a pause refuses
log = structlog.get_logger(__name__)


class PauseRequest(BaseModel):
    """A request to pause, as the body of `POST /api/v1/pause`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    reason: str = Field(max_length=MAX_REASON)
    stack: str | None = None
    span: Duration | None = Field(default=None, alias="for")

    @field_validator("span")
    @classmethod
    def _require_positive(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and not value:
            raise ValueError("must be at least 1s")
        return value

    @field_validator("reason")
    @classmethod
    def _require_reason(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be empty; it is shown wherever a run is refused")
        return value


async def pause(context: Context, request: PauseRequest, operator: str) -> int:
    """Pause before the next effect; return the number of the pause.

    Raises:
        InvalidParameter: the inventory has no such stack.
    """
    if request.stack is not None and request.stack not in context.inventory.stacks:
        raise InvalidParameter(unknown_stack(request.stack, context.inventory.stacks))
    async with context.ledger.write() as connection:
        context.require_operator(operator)
        now = context.clock.now()
        identifier = await switches.pause_now(connection, now, operator, request.reason, request.stack, request.span)
    log.info("paused", operator=operator, stack=request.stack or "all", reason=request.reason)
    return identifier


async def resume(context: Context, stack: str | None, operator: str, reason: str = "") -> int:
    """End the pauses of `stack`, or all pauses if it is None; return their number.

    Raises:
        InvalidParameter: the inventory has no such stack, and no pause names it; or the reason is too long.
    """
    if len(reason) > MAX_REASON:
        raise InvalidParameter(f"the reason has {len(reason)} characters; at most {MAX_REASON} fit")
    async with context.ledger.write() as connection:
        context.require_operator(operator)
        ended_count = await switches.resume(connection, context.clock.now(), operator, stack, reason)
    if stack is not None and not ended_count and stack not in context.inventory.stacks:
        raise InvalidParameter(unknown_stack(stack, context.inventory.stacks))
    log.info("resumed", operator=operator, stack=stack or "all", pauses=ended_count)
    return ended_count
