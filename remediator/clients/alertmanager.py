"""Queries Alertmanager for firing alerts: `block_on`, escalation and vanished episodes."""

from collections.abc import Collection, Sequence

import aiohttp
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter
from yarl import URL

from remediator.model.errors import RemediatorError
from runbookd.addresses import AddressError
from runbookd.addresses.http import HttpAddress, read_http_address
from runbookd.http_errors import http_error_text
from runbookd.inventory import Secret, SecretError

TIMEOUT_SECONDS = 5.0


class AlertmanagerUnreadable(RemediatorError):
    """Alertmanager does not answer, or its answer is not a list of alerts."""


class ActiveAlert(BaseModel):
    """One alert of `GET /api/v2/alerts`. Silenced and inhibited alerts also fire."""

    labels: dict[str, str]
    started: AwareDatetime | None = Field(default=None, alias="startsAt")


_ALERTS = TypeAdapter(list[ActiveAlert])


class AlertmanagerReader:
    """Reads one Alertmanager, whose address may hold a password or a token."""

    def __init__(self, url: Secret) -> None:
        self._url = url

    async def active(self) -> Sequence[ActiveAlert]:
        """Query the alerts that fire now.

        Raises:
            AlertmanagerUnreadable: one line that names the address.
        """
        address = self._address()
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(_alerts_of(address), params={"active": "true"}) as response,
            ):
                if response.status != 200:
                    raise _unreadable(address.shown, f"status {response.status}; check alertmanager.url")
                return _ALERTS.validate_json(await response.read())
        except (aiohttp.ClientError, OSError) as error:
            raise _unreadable(address.shown, http_error_text(error)) from None
        except ValueError:
            raise _unreadable(address.shown, "the answer is not a list of alerts; check alertmanager.url") from None

    def _address(self) -> HttpAddress:
        try:
            return read_http_address(self._url.read())
        except SecretError as error:
            raise AlertmanagerUnreadable(str(error)) from None
        except AddressError as error:
            raise AlertmanagerUnreadable(f"alertmanager.url: {error}") from None


def _alerts_of(address: HttpAddress) -> URL:
    """Return the address of the list of alerts; a token in the query stays in it."""
    return URL(address.url).joinpath("api/v2/alerts").with_query(URL(address.url).query)


def _unreadable(shown: str, reason: str) -> AlertmanagerUnreadable:
    return AlertmanagerUnreadable(f"cannot read Alertmanager at {shown}: {reason}")


def select_firing(alerts: Sequence[ActiveAlert], names: Collection[str], stack: str) -> list[str]:
    """Return those of `names` that fire for `stack`, or without a `stack` label."""
    return sorted(
        {
            alert.labels.get("alertname", "")
            for alert in alerts
            if alert.labels.get("alertname") in names and alert.labels.get("stack", stack) == stack
        }
    )
