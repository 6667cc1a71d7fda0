"""`/-/reload` of the remediator: who may reload, what is answered, and what changes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import NullPool, create_engine, text

from remediator.app import build
from remediator.settings import LedgerSettings, PauseSettings, RemediatorSettings, WebhookSettings
from runbookd.inventory import load_inventory
from runbookd.service.missing import MISSING_PARTS
from runbookd.service.settings import ConfigSettings, WebSettings

STATE = "runbook_remediator_config_last_reload_success"
PASSWORD = "hunter2"


def stacks(folder: Path, *operators: str, mode: str = "approve") -> dict[str, Any]:
    """Return an inventory with a token file for each of `operators`."""
    for name in operators:
        (folder / name).write_text(f"{name}-token\n")
    return {
        "operators": {name: {"token_file": str(folder / name)} for name in operators},
        "contacts": {"oncall": {"url": f"json://oncall:{PASSWORD}@127.0.0.1:9"}},
        "stacks": {
            "shop": {
                "postgres": {"main": {"dsn": f"postgresql://app:{PASSWORD}@127.0.0.1:1/shop"}},
                "remediations": {"run_backup": {"mode": mode}},
            }
        },
    }


def settings(folder: Path, address: str = "127.0.0.1:0") -> RemediatorSettings:
    (folder / "hook").write_text("hook-token\n")
    return RemediatorSettings(
        config=ConfigSettings(file=folder / "inventory.yml"),
        web=WebSettings(listen_address=address),
        webhook=WebhookSettings(token_file=[folder / "hook"]),
        ledger=LedgerSettings(url=f"sqlite:///{folder}/ledger.db"),
        pause=PauseSettings(file=folder / "pause"),
    )


@asynccontextmanager
async def remediator(folder: Path, address: str = "127.0.0.1:0") -> AsyncIterator[TestClient[Any, web.Application]]:
    file = folder / "inventory.yml"
    file.write_text(yaml.safe_dump(stacks(folder, "oncall", "dba")))
    app = build(settings(folder, address), load_inventory(file, {}))
    async with TestClient(TestServer(app)) as client:
        yield client


def write(folder: Path, inventory: Mapping[str, Any]) -> None:
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))


def token(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}-token"}


async def reload(client: TestClient[Any, web.Application], **request: Any) -> tuple[int, str]:
    answer = await client.post("/-/reload", **request)
    return answer.status, await answer.text()


def trail(folder: Path) -> list[tuple[str, str]]:
    with create_engine(f"sqlite:///{folder}/ledger.db", poolclass=NullPool).connect() as connection:
        rows = connection.execute(text("SELECT actor, detail FROM audit WHERE event = 'reloaded' ORDER BY id"))
        return [tuple(row) for row in rows]


async def test_reload_answers_what_changed_and_what_needs_a_restart(tmp_path: Path) -> None:
    async with remediator(tmp_path) as client:
        changed = stacks(tmp_path, "oncall", "dba", mode="off")
        changed["stacks"]["shop"]["postgres"]["main"]["dsn"] += "?sslmode=require"
        write(tmp_path, changed)
        status, answer = await reload(client, headers=token("dba"))
        assert status == 200
        assert answer.startswith(
            "reloaded\nchanged: stacks.shop.postgres.main.dsn, stacks.shop.remediations.run_backup.mode\n"
        )
        for flag in ("--ledger.url", "--web.listen-address", "--webhook.token-file", "--pause.file"):
            assert flag in answer
        page = await (await client.get("/metrics")).text()
        assert f"\n{STATE} 1.0\n" in page
    [(actor, detail)] = trail(tmp_path)
    assert (actor, "stacks.shop.postgres.main.dsn" in detail) == ("dba", True)
    assert PASSWORD not in answer + detail


async def test_invalid_inventory_is_refused_with_every_reason(tmp_path: Path) -> None:
    async with remediator(tmp_path) as client:
        before = await (await client.get("/metrics")).text()
        invalid = stacks(tmp_path, "oncall")
        invalid["operators"]["dba"] = {"token_file": "/none"}
        invalid["stacks"]["shop"]["remediations"] = {"run_bakcup": {}}
        write(tmp_path, invalid)
        status, answer = await reload(client)
        assert status == 500
        assert "stacks.shop.remediations.run_bakcup: there is no such remediation" in answer
        assert f"{tmp_path}/inventory.yml:" in answer
        assert "operators.dba.token_file: cannot read /none" in answer
        assert (await client.get("/api/v1/runs", headers=token("dba"))).status == 200
        page = await (await client.get("/metrics")).text()
        assert f"\n{STATE} 0.0\n" in page
        loaded_at = [line for line in before.splitlines() if line.startswith(f"{STATE}_timestamp_seconds ")]
        assert loaded_at[0] in page
        write(tmp_path, stacks(tmp_path, "oncall", "dba"))
        assert (await reload(client))[0] == 200
        assert f"\n{STATE} 1.0\n" in await (await client.get("/metrics")).text()


async def test_token_of_a_removed_operator_gets_401_and_that_of_a_new_one_is_accepted(tmp_path: Path) -> None:
    async with remediator(tmp_path) as client:
        write(tmp_path, stacks(tmp_path, "oncall", "lead"))
        assert (await reload(client))[0] == 200
        answer = await client.post("/api/v1/runs/1/approve", headers=token("dba"))
        assert answer.status == 401
        assert await answer.json() == {
            "error": "the inventory has no operator 'dba' any longer; use the token of another operator"
        }
        assert (await client.get("/api/v1/runs", headers=token("lead"))).status == 200
        assert (await client.get("/api/v1/runs", headers=token("never"))).status == 403
        write(tmp_path, stacks(tmp_path, "dba"))
        assert (await reload(client))[0] == 200
        assert (await client.get("/api/v1/runs", headers=token("dba"))).status == 200


async def test_moved_token_file_is_read_after_a_reload(tmp_path: Path) -> None:
    async with remediator(tmp_path) as client:
        assert (await client.get("/api/v1/runs", headers=token("dba"))).status == 200
        moved = stacks(tmp_path, "oncall", "dba")
        (tmp_path / "moved").write_text("moved-token")
        moved["operators"]["dba"]["token_file"] = str(tmp_path / "moved")
        write(tmp_path, moved)
        await reload(client)
        assert (await client.get("/api/v1/runs", headers=token("moved"))).status == 200
        assert (await client.get("/api/v1/runs", headers=token("dba"))).status == 403


@pytest.mark.parametrize(
    ("address", "headers", "status", "actors"),
    [
        ("127.0.0.1:0", {}, 200, ["loopback"]),
        ("127.0.0.1:0", token("oncall"), 200, ["oncall"]),
        ("127.0.0.1:0", token("wrong"), 403, []),
        (":0", {}, 401, []),
        (":0", token("hook"), 403, []),
        (":0", token("oncall"), 200, ["oncall"]),
    ],
)
async def test_only_this_machine_reloads_without_a_token(
    tmp_path: Path, address: str, headers: dict[str, str], status: int, actors: list[str]
) -> None:
    async with remediator(tmp_path, address) as client:
        assert (await reload(client, headers=headers))[0] == status
    assert [actor for actor, _ in trail(tmp_path)] == actors


def test_missing_parts_are_named_with_their_meaning(tmp_path: Path) -> None:
    write(tmp_path, {"stacks": {"shop": {}}})
    without_token = settings(tmp_path).model_copy(update={"webhook": WebhookSettings()})
    parts = build(without_token, load_inventory(tmp_path / "inventory.yml", {}))[MISSING_PARTS]
    meanings = {part.what: part.meaning for part in parts}
    assert list(meanings) == [
        "--webhook.token-file",
        "targets in the inventory",
        "operators in the inventory",
        "contacts in the inventory",
    ]
    assert "any process on this machine can deliver alerts" in meanings["--webhook.token-file"]


def test_complete_configuration_misses_nothing(tmp_path: Path) -> None:
    write(tmp_path, stacks(tmp_path, "oncall"))
    assert not build(settings(tmp_path), load_inventory(tmp_path / "inventory.yml", {}))[MISSING_PARTS]


async def test_reload_ends_the_console_sessions_of_operators_who_left(tmp_path: Path) -> None:
    document = stacks(tmp_path, "oncall", "dba")
    for name in document["operators"]:
        file = tmp_path / f"{name}.password"
        file.write_text(bcrypt.hashpw(b"correct horse", bcrypt.gensalt(10)).decode())
        document["operators"][name]["password_file"] = str(file)
    async with remediator(tmp_path) as client:
        write(tmp_path, document)
        await reload(client)
        form = {"operator": "dba", "password": "correct horse"}
        assert (await client.post("/login", data=form, allow_redirects=False)).status == 303
        del document["operators"]["dba"]
        write(tmp_path, document)
        await reload(client, headers=token("oncall"))
    with create_engine(f"sqlite:///{tmp_path}/ledger.db", poolclass=NullPool).connect() as connection:
        rows = connection.execute(text("SELECT actor, detail FROM audit WHERE event = 'signed_out'")).all()
    assert [(row.actor, "the operator was removed" in row.detail) for row in rows] == [("oncall", True)]
