"""Alertmanager's webhook body, version 4, as releases 0.25 to 0.34 send it.

Format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. Unknown keys are allowed, because
newer releases add some under the same version.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from remediator.model.errors import MalformedDelivery, TooManyAlerts

MAX_BYTES = 1024 * 1024
MAX_ALERTS = 1_000


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


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# Go writes nanoseconds; Python keeps microseconds.
Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]


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
        """The alert's identity: its fingerprint, or a hash of its labels if the sender omits it."""
        return self.fingerprint or hashlib.sha256(json.dumps(self.labels, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def end_time(self) -> datetime:
        """The end of a resolved alert; its start if the sender omits the end or puts it earlier."""
        return max(self.started, self.ended or self.started)


class Delivery(BaseModel):
    """The body of one POST from Alertmanager."""

    model_config = ConfigDict(frozen=True)

    version: Literal["4"]
    alerts: tuple[Alert, ...] = Field(max_length=MAX_ALERTS)
    truncated_alerts: int = Field(default=0, alias="truncatedAlerts")


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
    return f"not an Alertmanager webhook body of version 4: {field_path + ': ' if field_path else ''}{message}"


def describe(labels: Mapping[str, str]) -> str:
    """Format untrusted labels in one short, printable line."""
    return ", ".join(f"{name}={value[:100]!r}" for name, value in sorted(labels.items()))
