"""A running remediator sends the message of an urgent alert within seconds, however the stack answers."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from demo.servers.ports import free_port
from tests.unit.remediator.escalation.receiver import NotificationReceiver, serve_receiver
from tests.unit.remediator.payloads import delivery
from tests.unit.remediator.test_shutdown import remediator_process

SECONDS = 60.0
"""An idle machine takes four, three of which the message waits for its reading."""


@pytest.fixture
def silent() -> Iterator[int]:
    """Serve a port that connects and never answers: only the kernel takes its connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def first_message(receiver: NotificationReceiver, url: str, name: str) -> str:
    """Deliver an alert of priority P0, and return the text of its first message."""
    labels = {"alertname": name, "stack": "crm", "remediation": "collect_diagnostics", "priority": "P0"}
    async with ClientSession() as session, session.post(url, data=delivery(fingerprint=name, **labels)) as answer:
        assert answer.status == 200
    async with asyncio.timeout(SECONDS):
        while not (texts := [text for _, title, text in receiver.messages if name in title]):
            receiver.arrived.clear()
            await receiver.arrived.wait()
    return texts[0]


async def test_second_urgent_alert_of_a_stack_that_hangs_is_sent_before_its_reading_ends(
    tmp_path: Path, silent: int
) -> None:
    async with serve_receiver() as receiver:
        dsn = f"postgresql://nobody@127.0.0.1:{silent}/none"
        inventory = {
            "contacts": {"oncall": {"url": f"{receiver.url.replace('http://', 'json://')}/contacts/oncall"}},
            "stacks": {"crm": {"postgres": {"main": {"dsn": dsn, "admin_dsn": dsn}}}},
        }
        (tmp_path / "inventory.yml").write_text(json.dumps(inventory))
        address = f"127.0.0.1:{free_port()}"
        async with remediator_process(tmp_path, "--config.file", "inventory.yml", address=address):
            url = f"http://{address}/webhook"
            first, second = [
                await first_message(receiver, url, name) for name in ("DatabaseDown", "HealthCheckFailing")
            ]
    assert "diagnostics: not read within 3 s" in first
    assert "diagnostics: not read within 3 s" in second or "no answer in time" in second, "the first reading has ended"
