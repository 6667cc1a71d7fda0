"""Alertmanager's webhook body, version 4, as releases 0.25 to 0.34 send it.

Format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. Unknown keys are allowed, because
newer releases add some under the same version.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from remediator.model.errors import MalformedDelivery, TooManyAlerts
from remediator.model.target import sanitize

MAX_BYTES = 1024 * 1024
MAX_ALERTS = 1_000
MAX_FINGERPRINT = 64  # characters; Alertmanager's has 16
MAX_REFUSAL = 400  # characters of the reason why a body is refused: it names keys of the body


def _to_utc(value: datetime) -> datetime:
    """Convert to UTC.

    Year 1 is Go's zero time: it means never, and conversion would leave the calendar.
    """
    if value.year == 1:
        return _NEVER
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the calendar") from None


def _refuse_numbers(value: Any) -> Any:
    """Refuse a number: read as seconds since 1970, it would be a moment that the sender did not mean."""
    if isinstance(value, datetime) or (isinstance(value, str) and "-" in value[1:]):
        return value
    raise ValueError("is not a moment as RFC 3339 writes it")


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_PLAUSIBLE = datetime(2012, 1, 1, tzinfo=UTC)  # older than Prometheus: the sender does not know the start
# Go writes nanoseconds; Python keeps microseconds.
Moment = Annotated[AwareDatetime, BeforeValidator(_refuse_numbers), AfterValidator(_to_utc)]


class Alert(BaseModel):
    """One alert of a delivery. Its labels are untrusted: they are looked up, never executed."""

    model_config = ConfigDict(frozen=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    started: Moment = Field(alias="startsAt")
    ended: Moment | None = Field(default=None, alias="endsAt")
    fingerprint: str = ""

    @property
    def key(self) -> str:
        """The alert's identity: its fingerprint, a hash of it if it is long, or of its labels without one."""
        if self.fingerprint and len(self.fingerprint) <= MAX_FINGERPRINT:
            return self.fingerprint
        source = self.fingerprint or json.dumps(self.labels, sort_keys=True)
        return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def fires_since(self, received_at: datetime) -> datetime:
        """Return when it began to fire: at latest the receipt, which also counts if the start is implausible.

        The sender's clock may be ahead, and a start of 1970 must not pass for a long wait.
        """
        return min(self.started, received_at) if self.started >= _FIRST_PLAUSIBLE else received_at

    @property
    def end_time(self) -> datetime:
        """The end of a resolved alert; its start if the sender omits the end or puts it earlier."""
        return max(self.started, self.ended or self.started)


class Delivery(BaseModel):
    """The body of one POST from Alertmanager."""

    model_config = ConfigDict(frozen=True)

    version: Literal["4"]
    alerts: tuple[Alert, ...] = Field(max_length=MAX_ALERTS)
    truncated_alerts: int = Field(default=0, alias="truncatedAlerts", strict=True)

    @property
    def is_truncated(self) -> bool:
        """Whether alerts were cut off it. A number below zero is none."""
        return self.truncated_alerts > 0


def parse_delivery(body: bytes) -> Delivery:
    """Return the delivery in `body`.

    Raises:
        MalformedDelivery: one line that names the first invalid key.
        TooManyAlerts: the delivery has more than MAX_ALERTS alerts.
    """
    try:
        return Delivery.model_validate_json(body)
    except ValidationError as error:
        detail = error.errors(include_input=False, include_url=False)[0]
        if detail["loc"] == ("alerts",) and detail["type"] == "too_long":
            raise TooManyAlerts(f"{detail['ctx']['actual_length']} alerts; at most {MAX_ALERTS} at once") from None
        raise MalformedDelivery(_error_text(detail)) from None


def _error_text(detail: ErrorDetails) -> str:
    field_path = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    text = f"not an Alertmanager webhook body of version 4: {field_path + ': ' if field_path else ''}{message}"
    return sanitize(text, MAX_REFUSAL)
