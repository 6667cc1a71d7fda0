"""A contact's address is checked before it is needed, and nothing of it is shown: not at the check, not in a log."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediator.config_check import config_findings
from remediator.escalation.address import AddressError, kind_of, plugins_of
from remediator.escalation.contact import send_to
from remediator.escalation.content import Content, Severity
from runbookd.inventory import Inventory
from runbookd.service import configure_logs
from tests.unit.remediator.conftest import EngineHarness, engine_harness
from tests.unit.remediator.escalation.services import Services, serve_services

SECRET = "s3cr3tT0kenAbcdefgh"


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        (f"slackk://{SECRET}/B1/{SECRET}", "Apprise has no service of its schema; did you mean slack://?"),
        (
            f"xoxb-1234-1234-{SECRET}",
            "it has no schema; write it as an Apprise address, such as slack://… or mailto://…",
        ),
        (SECRET, "it has no schema; write it as an Apprise address, such as slack://… or mailto://…"),
        (f"{SECRET}://x", "Apprise has no service of its schema"),
        (
            f"slack://{SECRET}",
            "a part of it is missing or wrong; write it like slack://TOKEN_A/TOKEN_B/TOKEN_C",
        ),
        (f"tgram://{SECRET}/4711", "a part of it is missing or wrong; write it like tgram://BOT_TOKEN"),
        (f"tgram://123456789:{SECRET}abcdefghijklmnop", "it names no chat; add its number, as in tgram://TOKEN/CHAT"),
        (
            f"pagerduty://{SECRET}",
            "a part of it is missing or wrong; write it like pagerduty://INTEGRATIONKEY@APIKEY",
        ),
        (
            f"https://hooks.example/{SECRET}",
            "Apprise knows no service at this web address; for a webhook of your own, begin it with json:// or jsons://",
        ),
        (
            f"mailto://mail.example.com/oncall@example.com/{SECRET}?from=a@example.com",
            "one of its recipients is not valid, and would get no message; correct or remove it",
        ),
        (
            f"telnyx://{SECRET}{SECRET}@15551234567/15557654321/{SECRET}",
            "one of its recipients is not valid, and would get no message; correct or remove it",
        ),
        (f"json://127.0.0.1:9/x, foo{SECRET}://y", "Apprise has no service of its schema"),
    ],
)
def test_unusable_address_is_a_finding_that_shows_nothing_of_it(
    address: str, problem: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    [finding] = config_findings(Inventory.model_validate({"contacts": {"oncall": {"url": address}}}))
    assert (finding.path, finding.reason) == (("contacts", "oncall"), problem)
    assert SECRET not in "".join(capfd.readouterr())
    with pytest.raises(AddressError):
        plugins_of(address)
    assert kind_of(address) == "unknown"


def test_usable_addresses_have_a_kind_and_no_finding() -> None:
    addresses = {
        "slack": "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7",
        "json": "json://127.0.0.1:9/x",
        "json, ntfy": "json://127.0.0.1:9/x ntfy://127.0.0.1/topic",
        "mailto": "mailto://mail.example.com/?to=oncall@example.com&from=runbookd@example.com",
    }
    assert {kind_of(address): address for address in addresses.values()} == addresses
    contacts = {f"c{number}": {"url": address} for number, address in enumerate(addresses.values())}
    assert list(config_findings(Inventory.model_validate({"contacts": contacts}))) == []


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    with serve_services(monkeypatch) as served:
        yield served


async def attempt(harness: EngineHarness, name: str) -> str:
    return (await send_to(harness.context, name, Content("title", Severity.INFO, ("x",)), set())).words


@pytest.mark.usefixtures("restored_logging")
async def test_no_attempt_logs_anything_of_an_address(
    folder: Path, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("debug")
    services.refuse = lambda service, _: {"slack": (403, "invalid_token"), "discord": (500, "")}.get(service)
    contacts = {name: {"url": services.address(name)} for name in ("slack", "discord", "telegram")}
    contacts["unknown"] = {"url": f"slackk://{SECRET}"}
    contacts["closed"] = {"url": f"json://user:{SECRET}@127.0.0.1:9/{SECRET}"}
    contacts["nobody"] = {
        "url": f"mailto://user:{SECRET}@127.0.0.1:9/?to=a@example.com&from=b@example.com&mode=insecure"
    }
    inventory = Inventory.model_validate({"contacts": contacts, "stacks": {}})
    async with engine_harness(folder, inventory) as harness:
        words = dict(zip(contacts, await asyncio.gather(*(attempt(harness, name) for name in contacts)), strict=True))
    output = "".join(capsys.readouterr())
    assert output.count("escalation not sent") == 5
    assert words == {
        "slack": "it denied access, or a filter on the way refused the message (HTTP 403)",
        "discord": "it has a problem (HTTP 500)",
        "telegram": "accepted",
        "unknown": "its address cannot be used: Apprise has no service of its schema; did you mean slack://?",
        "closed": "it cannot be reached",
        "nobody": "it cannot be reached",
    }
    for part in (SECRET, "TIiajkdnlazkcOXrIdevi7", "secretdiscordtoken", "abcdefghijklmnop", "127.0.0.1"):
        assert part not in output
