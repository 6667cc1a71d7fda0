"""Asks Alertmanager what fires now: for `block_on`, and before an unconfirmed episode is called vanished."""

from collections.abc import Collection, Sequence

import aiohttp
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter

from remediator.model.errors import RemediatorError

TIMEOUT_SECONDS = 5.0


class AlertmanagerUnreadable(RemediatorError):
    """Alertmanager does not answer, or not with alerts."""


class ActiveAlert(BaseModel):
    """What is read of one alert of `GET /api/v2/alerts`; silenced and inhibited ones fire as well."""

    labels: dict[str, str]
    started: AwareDatetime | None = Field(default=None, alias="startsAt")


_ALERTS = TypeAdapter(list[ActiveAlert])


class AlertmanagerReader:
    """Reads one Alertmanager."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def active(self) -> Sequence[ActiveAlert]:
        """Every alert that fires now.

        Raises:
            AlertmanagerUnreadable: in one line that names the address.
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
            raise AlertmanagerUnreadable(
                f"Alertmanager at {self._url} can not be read: {type(error).__name__}"
            ) from None


def select_firing(alerts: Sequence[ActiveAlert], names: Collection[str], stack: str) -> list[str]:
    """Which of `names` fire for `stack`, or for no stack in particular."""
    return sorted(
        {
            alert.labels.get("alertname", "")
            for alert in alerts
            if alert.labels.get("alertname") in names and alert.labels.get("stack", stack) == stack
        }
    )
