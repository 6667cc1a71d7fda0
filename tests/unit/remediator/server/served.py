"""The remediator that the tests of this folder serve, with its tokens."""

from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient

from remediator.settings import LedgerSettings, PauseSettings, RemediatorSettings, WebhookSettings
from runbookd.inventory import Inventory
from runbookd.service.settings import WebSettings

ApiTestClient = TestClient[Any, Any]
HOOK = {"Authorization": "Bearer hook-token"}
ONCALL = {"Authorization": "Bearer oncall-token"}


def settings(tmp_path: Path, **web: str) -> RemediatorSettings:
    hook = tmp_path / "hook"
    hook.write_text("hook-token\n")
    return RemediatorSettings(
        web=WebSettings(**{"listen_address": "127.0.0.1:0", **web}),
        webhook=WebhookSettings(token_file=[hook]),
        ledger=LedgerSettings(url=f"sqlite:///{tmp_path}/ledger.db"),
        pause=PauseSettings(file=tmp_path / "pause"),
    )


def stacks(tmp_path: Path, **more: Any) -> Inventory:
    token = tmp_path / "oncall"
    token.write_text("oncall-token\n")
    shop = {"postgres": {"main": {"dsn": "postgresql://nobody@127.0.0.1:1/none"}}}
    return Inventory.model_validate({"operators": {"oncall": {"token_file": token}}, "stacks": {"shop": shop}, **more})
