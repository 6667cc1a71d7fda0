"""A real remediator on loopback, and the command that talks to it."""

import asyncio
import io
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from remediator.app import build
from runbookctl.main import app
from tests.unit.remediator.payloads import delivery
from tests.unit.remediator.server.served import HOOK, settings, stacks

Ctl = Callable[..., str]
# Nothing listens at this address: a plan of diagnostics only lists what it could read.
MAIN = {"dsn": "postgresql://nobody@127.0.0.1:1/none", "admin_dsn": "postgresql://nobody@127.0.0.1:1/none"}
SHOP = {"postgres": {"main": MAIN}, "remediations": {"collect_diagnostics": {"mode": "approve"}}}


@pytest.fixture
def separate_logs() -> Iterator[None]:
    """Keep the logs of the remediator's thread out of the command's output."""
    with io.StringIO() as buffer:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(buffer))
        yield
        structlog.reset_defaults()


@pytest.fixture
def contacts() -> dict[str, Any]:
    """Return the contacts of the inventory, which a test may replace."""
    return {}


@pytest.fixture
def shops() -> dict[str, Any]:
    """Return the stacks of the inventory, which a test may replace."""
    return {"shop": SHOP}


@pytest.fixture
def remediator(tmp_path: Path, separate_logs: None, contacts: dict[str, Any], shops: dict[str, Any]) -> Iterator[str]:
    """Run a remediator in its own thread, because the command runs its own event loop."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    server = TestServer(build(settings(tmp_path), stacks(tmp_path, stacks=shops, contacts=contacts)))

    def serve() -> None:
        loop.run_until_complete(server.start_server())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(server.close())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(60)
    yield str(server.make_url("")).rstrip("/")
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)


@pytest.fixture
def deliver(remediator: str) -> Callable[..., None]:
    def post(**labels: Any) -> None:
        request = urllib.request.Request(f"{remediator}/webhook", delivery(**labels), HOOK)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            assert answer.status == 200

    return post


@pytest.fixture
def ctl(remediator: str, tmp_path: Path) -> Ctl:
    def call(*arguments: str) -> str:
        words = ["--url", remediator, "--token-file", str(tmp_path / "oncall"), *arguments]
        result = CliRunner().invoke(app, words, catch_exceptions=False, env={"COLUMNS": "300"})
        assert result.exit_code == 0, result.output
        return result.output

    return call
