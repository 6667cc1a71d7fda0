"""Queries Alertmanager for firing alerts: `block_on`, escalation and vanished episodes."""

from collections.abc import Collection, Sequence

import aiohttp
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter

from remediator.model.errors import RemediatorError

TIMEOUT_SECONDS = 5.0


class AlertmanagerUnreadable(RemediatorError):
    """Alertmanager does not answer, or its answer is not a list of alerts."""


class ActiveAlert(BaseModel):
    """One alert of `GET /api/v2/alerts`. Silenced and inhibited alerts also fire."""

    labels: dict[str, str]
    started: AwareDatetime | None = Field(default=None, alias="startsAt")


_ALERTS = TypeAdapter(list[ActiveAlert])


class AlertmanagerReader:
    """Reads one Alertmanager."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def active(self) -> Sequence[ActiveAlert]:
        """Query the alerts that fire now.

        Raises:
            AlertmanagerUnreadable: one line that names the address.
        """
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"{self._url}/api/v2/alerts", params={"active": "true"}) as response,
            ):
                response.raise_for_status()
                return _ALERTS.validate_json(await response.read())
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise AlertmanagerUnreadable(f"cannot read Alertmanager at {self._url}: {type(error).__name__}") from None


def select_firing(alerts: Sequence[ActiveAlert], names: Collection[str], stack: str) -> list[str]:
    """Return those of `names` that fire for `stack`, or without a `stack` label."""
    return sorted(
        {
            alert.labels.get("alertname", "")
            for alert in alerts
            if alert.labels.get("alertname") in names and alert.labels.get("stack", stack) == stack
        }
    )
