"""No secret of the inventory is shown anywhere, whatever fails: real daemons and commands against servers that fail."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from html import unescape
from pathlib import Path
from time import monotonic

import aiohttp
import pytest

from exporter.collector import NOT_YET
from soak.proxy import Proxy
from tests.integration.secrets.daemons import daemon, output_of, watched_command_lines
from tests.integration.secrets.faulty_server import EchoingServer, echoing_server, hanging_up
from tests.integration.secrets.inventory import REMEDIATIONS, Places, PlantedInventory
from tests.integration.secrets.planted import Secrets, escaped
from tests.unit.remediator.payloads import alert, delivery


@pytest.fixture
async def echoing() -> AsyncIterator[EchoingServer]:
    async with echoing_server() as server:
        yield server


@pytest.fixture
async def planted(tmp_path: Path, echoing, postgres_server, redis_server) -> AsyncIterator[PlantedInventory]:
    async with AsyncExitStack() as stack:
        cut = [Proxy(server.port, most_bytes=30) for server in (postgres_server, redis_server)]
        for proxy in cut:
            stack.push_async_callback(proxy.close)
        ports = [await proxy.start() for proxy in cut]
        hangs_up = await stack.enter_async_context(hanging_up())
        places = Places(echoing.port, echoing.mail_port, hangs_up, postgres_server.port, redis_server.port, *ports)
        yield PlantedInventory(tmp_path, places)


def assert_hidden(secrets: Secrets, shown: str) -> None:
    __tracebackhide__ = True
    found = sorted(secrets.shown_in(shown))
    assert not found, "\n".join([f"{len(found)} secrets are shown, such as", *found[:10]])


async def get(url: str, token: str = "") -> str:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
        return await response.text()


async def post(url: str, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url) as response:
        return await response.text()


async def pages_of_the_exporter(url: str) -> str:
    """Return all pages after every target was read."""
    end = monotonic() + 60
    while NOT_YET in (debug := await get(f"{url}/metrics?debug=true")):
        assert monotonic() < end, debug
        await asyncio.sleep(0.5)
    assert ": up\n" not in debug, debug
    assert all(words in debug for words in (" wrong: *** ", " refused: AUTH")), debug
    return debug + "".join([await get(url + path) for path in ("/", "/metrics", "/sd", "/-/ready")])


async def test_no_failing_target_or_page_of_the_exporter_shows_a_secret(tmp_path: Path, planted) -> None:
    file = planted.write()
    with watched_command_lines() as command_lines:
        async with daemon("runbook-exporter", "--config.file", str(file), folder=tmp_path) as exporter:
            shown = await pages_of_the_exporter(exporter.url)
    assert_hidden(planted.secrets, shown + exporter.log + " ".join(command_lines))


async def test_no_failing_run_page_or_message_of_the_remediator_shows_a_secret(
    tmp_path: Path, planted, echoing
) -> None:
    file = planted.write()
    token = planted.secrets.word("webhook's token")
    flags = ("--config.file", str(file), "--webhook.token-file", planted.file("hook", token))
    with watched_command_lines() as command_lines:
        async with daemon("runbook-remediator", *flags, folder=tmp_path) as remediator:
            await deliver(remediator.url, token, planted)
            shown = await answers_of_the_remediator(remediator.url, planted)
            shown += await pages_of_the_console(remediator.url, planted)
            shown += await outputs_of_the_operators_commands(remediator.url, planted, tmp_path)
    assert echoing.messages
    shown += "".join(echoing.messages) + " ".join(command_lines) + remediator.log
    shown += text_of_the_ledger(tmp_path)
    assert_hidden(planted.secrets, shown)


async def pages_of_the_console(url: str, planted: PlantedInventory) -> str:
    """Return two pages of each kind to which the first page and its successors lead an operator."""
    pages: dict[str, str] = {}
    waiting, kinds = ["/"], Counter[str]()
    jar = aiohttp.CookieJar(unsafe=True)  # else none is kept for an address
    async with aiohttp.ClientSession(url, cookie_jar=jar) as session:
        form = {"operator": "oncall", "password": planted.operators_password}
        async with session.post("/login", data=form) as response:
            assert response.status == 200
        while waiting:
            path = waiting.pop()
            kind = re.sub(r"\d+|target=.*", "N", path)
            kinds[kind] += 1
            if path in pages or kinds[kind] > 2:
                continue
            async with session.get(path) as response:
                assert response.status == 200, path
                pages[path] = await response.text()
            waiting += [unescape(link) for link in re.findall(r'href="(/[^"#]*)', pages[path])]
    assert {"/runs/N", "/runs/N/why", "/episodes/N", "/episodes/N/report", "/report", "/audit"} <= kinds.keys()
    return "".join(pages.values())


def text_of_the_ledger(folder: Path) -> str:
    return "".join(each.read_bytes().decode("latin-1") for each in folder.glob("runbookd.db*"))


async def deliver(url: str, token: str, planted: PlantedInventory) -> None:
    """Deliver an alert for every target that a remediation could repair, and one for the stack."""
    stack = planted.document["stacks"]["shop"]
    alerts = [
        alert(fingerprint=f"{kind}{name}", target=name, remediation=remediation, queue="mail")
        for kind, remediation in REMEDIATIONS.items()
        for name in stack[kind]
    ]
    alerts.append(alert(fingerprint="stack", target="", remediation="collect_diagnostics", priority="P0"))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for wrong in ({}, {"Authorization": "Bearer wrong"}):
            async with aiohttp.ClientSession(headers=wrong) as stranger:
                assert (await stranger.post(f"{url}/webhook", data=delivery(alerts))).status in (401, 403)
        assert (await session.post(f"{url}/webhook", data=delivery(alerts))).status == 200


async def answers_of_the_remediator(url: str, planted: PlantedInventory) -> str:
    """Return what the API answers when every run has ended."""
    token = planted.operators_token
    end = monotonic() + 90
    while True:
        runs = json.loads(await get(f"{url}/api/v1/runs?limit=200", token))["runs"]
        unended = [run for run in runs if run["state"] in ("planned", "prechecked", "admitted", "executing")]
        if len(runs) > 20 and not unended:
            break
        assert monotonic() < end, runs
        await asyncio.sleep(0.5)
    assert {run["remediation"] for run in runs} == {*REMEDIATIONS.values(), "collect_diagnostics"}
    await asyncio.sleep(3)  # the contacts get their messages
    paths = ["/metrics", "/api/v1/status", "/api/v1/contacts", "/api/v1/audit", "/api/v1/pause", "/api/v1/breakers"]
    paths += ["/api/v1/episodes", "/api/v1/episodes/1", "/api/v1/episodes/1/report", "/api/v1/report"]
    paths += [f"/api/v1/runs/{run['id']}" for run in runs] + [f"/api/v1/runs/{run['id']}/why" for run in runs[:5]]
    tests = [post(f"{url}/api/v1/contacts/{name}/test", token) for name in planted.document["contacts"]]
    return json.dumps(runs) + "".join([*await asyncio.gather(*(get(url + path, token) for path in paths), *tests)])


async def outputs_of_the_operators_commands(url: str, planted: PlantedInventory, folder: Path) -> str:
    connection = {"REMEDIATOR_URL": url, "OPERATOR_TOKEN_FILE": planted.document["operators"]["oncall"]["token_file"]}
    commands = [
        ["status"],
        ["runs"],
        ["run", "1"],
        ["why", "1"],
        ["episodes"],
        ["report"],
        ["recurring"],
        ["contacts"],
        ["audit", "verify"],
    ]
    commands += [["contacts", "test", name] for name in ("json_401", "mail")]
    commands += [["plan", "terminate_idle_transactions", "shop/postgres/echo"]]
    outputs = [await output_of("runbookctl", *each, folder=folder, **connection) for each in commands]
    return "".join(outputs)


async def test_no_check_of_the_inventory_shows_a_secret(tmp_path: Path, planted) -> None:
    """It names problems of almost every target, and `doctor` connects as the daemons do."""
    file = str(planted.write())
    outputs = [await output_of(each, "--config.check", "--config.file", file, folder=tmp_path) for each in DAEMONS]
    for command in ("doctor", "explain"):
        for form in ("text", "json"):
            arguments = (command, "--config.file", file, "--output", form)
            outputs.append(await output_of("runbookctl", *arguments, folder=tmp_path))
    assert all("postgres" in each for each in outputs), outputs
    assert_hidden(planted.secrets, "".join(outputs))


DAEMONS = ("runbook-exporter", "runbook-remediator")
UNREADABLE = {
    "an alias": "stacks: {shop: {postgres: {main: {dsn: *WORD}}}}",
    "a tag": "stacks: {shop: {postgres: {main: {dsn: !WORD x}}}}",
    "a reserved sign": "stacks: {shop: {postgres: {main: {dsn: %WORD}}}}",
    "an open quote": "stacks: {shop: {postgres: {main: {dsn: 'WORD}}}}",
    "a sign in a password": "stacks:\n  shop:\n    redis:\n      main: {url: redis://:LONG@h/0}\n",
    "an unknown key": "stacks: {shop: {redis: {main: {url: 'redis://h/0', 'redis://:WORD@h/0': x}}}}",
    "a name that is an address": "stacks: {shop: {redis: {'redis://:WORD@h/0': {url: x}}}}",
    "a list": "stacks: {shop: {redis: {main: {url: [redis://:WORD@h/0]}}}}",
    "a wrong scheme": "stacks: {shop: {http: {api: {url: 'ftp://u:WORD@h/'}}}}",
    "a wrong scheme of alertmanager": "alertmanager: {url: 'ftp://u:WORD@h/'}",
    "a wrong scheme of a report": "stacks: {shop: {backups: {n: {report: {format: restic, url: 'ftp://u:WORD@h/'}}}}}",
    "two sources": "contacts: {oncall: {url: 'json://WORD', url_file: /x}}",
    "a command line": "stacks: {shop: {backups: {n: {url: 's3://b/', pattern: '%d', "
    "dump: {command: [pg_dump, 'postgresql://u:WORD@h/d']}}}}}",
    "a link": "stacks: {shop: {runbook_url: 'https://u:WORD@h/'}}",
    "a link with a token": "stacks: {shop: {dashboard_url: 'https://h/?orgId=1&auth_token=WORD'}}",
}


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_no_error_about_an_unusable_inventory_shows_a_secret(tmp_path: Path, kind: str) -> None:
    secrets = Secrets()
    text = UNREADABLE[kind].replace("WORD", secrets.word(kind)).replace("LONG", secrets.password(kind))
    file = tmp_path / "inventory.yml"
    file.write_text(text)
    output = await output_of("runbook-exporter", "--config.file", str(file), "--config.check", folder=tmp_path)
    assert "inventory.yml" in output
    assert "no problems found" not in output
    assert "Traceback" not in output
    assert_hidden(secrets, output)


@pytest.mark.parametrize("variable", ["RUNBOOK__STACKS__SHOP__BACKUPS__N__OPTIONS", "DATABASE_URL", "REDIS_URL"])
async def test_no_error_about_a_variable_shows_its_value(tmp_path: Path, variable: str) -> None:
    secrets = Secrets()
    for value in (f"{{a: *{secrets.word(variable)}}}", f"x://u[:{secrets.password(variable)}", "{a: 'HUNTER2"):
        output = await output_of("runbook-exporter", "--config.check", folder=tmp_path, **{variable: value})
        assert output
        assert "Traceback" not in output
        assert_hidden(secrets, output)


@pytest.mark.parametrize("place", ["127.0.0.1:1", "127.0.0.1:{echo}/500", "127.0.0.1:{hangs_up}", "h:99999"])
async def test_no_error_of_a_command_shows_the_password_of_an_address(tmp_path: Path, planted, echoing, place) -> None:
    secrets = Secrets()
    login = f"{secrets.word('user')}:{escaped(secrets.password('password'))}@"
    async with hanging_up() as port:
        url = f"http://{login}{place.format(echo=echoing.port, hangs_up=port)}"
        for arguments in (["status"], ["predeploy", "shop", "--prometheus", url]):
            settings = {"REMEDIATOR_URL": url, "OPERATOR_TOKEN_FILE": planted.file("token", secrets.word("token"))}
            output = await output_of("runbookctl", *arguments, folder=tmp_path, **settings)
            assert output
            assert "Traceback" not in output
            assert_hidden(secrets, output)
