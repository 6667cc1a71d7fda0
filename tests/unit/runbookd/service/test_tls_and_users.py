"""`--web.config.file`: TLS, users and headers on a real listener, and changes of the file."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import bcrypt
import pytest
import trustme
import yaml
from aiohttp import web
from structlog.testing import capture_logs

from runbookd.inventory import InventoryError
from runbookd.service.tls_and_users import OWN_CREDENTIALS, WebGuard
from runbookd.service.web_config import WebConfig, read_web_config

StartServer = Callable[[object], Awaitable[int]]
USERS = {"prometheus": bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "web.yml"


def write(file: Path, content: object) -> None:
    """Write with a later mtime: two changes within one clock tick would count as one."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    os.utime(file, ns=(before + 1_000_000_000, before + 1_000_000_000))


@pytest.fixture
async def start(file) -> AsyncIterator[StartServer]:
    """Yield a function that starts a guarded server and returns its port.

    The server answers every path; those below /own check their own credential.
    """
    runners = []

    async def start(config: object) -> int:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text="served")

        write(file, config)
        app = web.Application()
        app[OWN_CREDENTIALS] = ("/own/",)
        app.router.add_get("/{any:.*}", answer)
        context = WebGuard(file).install(app)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0, ssl_context=context).start()
        port: int = runners[-1].addresses[0][1]
        return port

    yield start
    for runner in runners:
        await runner.cleanup()


async def status(
    port: int, auth: tuple[str, str] | None = None, tls: ssl.SSLContext | None = None, path: str = "/metrics"
) -> int:
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}{path}"
    headers = {"Authorization": aiohttp.encode_basic_auth(*auth)} if auth else {}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=tls or True) as answer:
        return answer.status


async def test_only_users_with_their_password_are_served(start) -> None:
    port = await start({"basic_auth_users": USERS})
    assert await status(port, ("prometheus", "secret")) == 200
    assert await status(port, ("prometheus", "secret")) == 200
    for wrong in (None, ("prometheus", ""), ("prometheus", "Secret"), ("nobody", "secret"), ("", ""), ("nobody", "")):
        assert await status(port, wrong) == 401
    assert await status(port, ("prometheus", "x" * 100)) == 401
    assert await status(port, path="/own/webhook") == 200
    assert await status(port, path="/metrics/own") == 401


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic /w==", "Bearer secret", "basic cHJvbWV0aGV1cw=="])
async def test_malformed_credential_is_refused(start, header) -> None:
    port = await start({"basic_auth_users": USERS})
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/", headers={"Authorization": header}) as answer,
    ):
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Basic"


async def test_every_response_has_the_configured_headers(start) -> None:
    port = await start({"http_server_config": {"headers": {"X-Frame-Options": "deny"}}, "basic_auth_users": USERS})
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
        assert answer.status == 401
        assert answer.headers["X-Frame-Options"] == "deny"


async def test_valid_change_applies_at_once_and_invalid_change_is_ignored(start, file) -> None:
    port = await start({"basic_auth_users": USERS})
    other = {"other": bcrypt.hashpw(b"word", bcrypt.gensalt(4)).decode()}
    write(file, {"basic_auth_users": other})
    assert await status(port, ("prometheus", "secret")) == 401
    assert await status(port, ("other", "word")) == 200
    with capture_logs() as logs:
        write(file, {"basic_auth_user": {}})
        assert await status(port, ("other", "word")) == 200
        assert await status(port) == 401
    (error,) = [event for event in logs if event["log_level"] == "error"]
    assert "did you mean 'basic_auth_users'?" in error["reason"]
    file.unlink()
    assert await status(port) == 401
    write(file, {})  # as if half written
    assert await status(port) == 401
    write(file, {"basic_auth_users": USERS})
    assert await status(port, ("prometheus", "secret")) == 200


async def test_change_during_a_read_is_detected_next_time(start, file, monkeypatch) -> None:
    port = await start({"basic_auth_users": USERS})
    other = {"other": bcrypt.hashpw(b"word", bcrypt.gensalt(4)).decode()}

    def read_just_before(path: Path) -> WebConfig:
        config = read_web_config(path)
        monkeypatch.setattr("runbookd.service.tls_and_users.read_web_config", read_web_config)
        write(file, {"basic_auth_users": other})
        return config

    monkeypatch.setattr("runbookd.service.tls_and_users.read_web_config", read_just_before)
    write(file, {"basic_auth_users": USERS, "http_server_config": {"headers": {}}})
    await status(port)
    assert await status(port, ("prometheus", "secret")) == 401
    assert await status(port, ("other", "word")) == 200


async def test_flood_of_guesses_is_refused_and_evicts_no_known_credential(start, monkeypatch) -> None:
    monkeypatch.setattr("runbookd.service.tls_and_users._MAX_REMEMBERED", 3)
    port = await start({"basic_auth_users": USERS | {"slow": bcrypt.hashpw(b"x", bcrypt.gensalt(9)).decode()}})
    assert await status(port, ("prometheus", "secret")) == 200
    for number in range(4):
        assert await status(port, ("prometheus", f"guess{number}")) == 401
    flood = [asyncio.create_task(status(port, ("slow", f"guess{number}"))) for number in range(150)]
    await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
    assert await status(port, ("prometheus", "secret")) == 200
    assert set(await asyncio.gather(*flood)) == {401, 503}


class Authority:
    """Makes certificates and clients that trust them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._ca = folder, trustme.CA()
        self._ca.cert_pem.write_to_path(folder / "ca.pem")

    def issue(self) -> None:
        """Write new server.pem and server.key."""
        certificate = self._ca.issue_cert("127.0.0.1")
        (self.folder / "server.pem").write_bytes(certificate.cert_chain_pems[0].bytes())
        write(self.folder / "server.key", certificate.private_key_pem.bytes().decode())

    def client(self, *, certified: bool = False, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.maximum_version = newest
        self._ca.configure_trust(context)
        if certified:
            self._ca.issue_cert("prometheus@example.org").configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path)
    authority.issue()
    return authority


TLS = {"cert_file": "server.pem", "key_file": "server.key"}


async def test_renewed_certificate_applies_at_once(start, authority, tmp_path) -> None:
    port = await start({"tls_server_config": TLS})
    assert await status(port, tls=authority.client()) == 200
    with pytest.raises(aiohttp.ClientConnectionError):
        await status(port)
    renewed = Authority(tmp_path)
    renewed.issue()
    assert await status(port, tls=renewed.client()) == 200
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await status(port, tls=authority.client())


async def test_certificate_that_becomes_invalid_is_ignored(start, authority, tmp_path) -> None:
    port = await start({"tls_server_config": TLS})
    write(tmp_path / "server.key", "no key")
    assert await status(port, tls=authority.client()) == 200


async def test_changed_file_cannot_turn_tls_off(start, authority, file) -> None:
    port = await start({"tls_server_config": TLS})
    write(file, {})
    assert await status(port, tls=authority.client()) == 200


async def test_old_protocols_and_clients_without_a_certificate_are_refused(start, authority) -> None:
    tls = TLS | {
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": "ca.pem",
        "min_version": "TLS13",
    }
    port = await start({"tls_server_config": tls})
    assert await status(port, tls=authority.client(certified=True)) == 200
    for refused in (authority.client(), authority.client(certified=True, newest=ssl.TLSVersion.TLSv1_2)):
        with pytest.raises((aiohttp.ClientError, OSError)):
            await status(port, tls=refused)


@pytest.mark.parametrize("change", [{"client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": "ca.pem"},
                                    {"min_version": "TLS13"}])  # fmt: skip
async def test_change_that_needs_a_restart_is_refused(start, authority, file, change) -> None:
    port = await start({"tls_server_config": TLS})
    write(file, {"tls_server_config": TLS | change})
    with capture_logs() as logs:
        assert await status(port, tls=authority.client()) == 200
    assert "restart to turn TLS on or off" in logs[0]["reason"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("basic_auth_users: {a: secret}", "1: basic_auth_users.a: not a bcrypt hash"),
        ("tls_server_config: {cert_file: x}", "1: tls_server_config.key_file: "),
        ("tls_server_config: {cert_file: x, key_file: y, client_ca_file: z}", "need each other"),
        ("tls_server_config:\n  cert_file: x\n  key_file: y\n  min_version: TLS10", "4: tls_server_config.min_version"),
        ("http_server_config: {http2: true}", "1: http_server_config.http2"),
        ("http_server_config: {headers: {X-Own: a}}", "http_server_config.headers"),
        ("rate_limit: {interval: 1s}", "1: rate_limit: unknown key"),
        ("- a", "must be a map"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_invalid_file_is_reported_with_its_place(file, text, message) -> None:
    file.write_text(text)
    with pytest.raises(InventoryError) as refused:
        WebGuard(file)
    assert str(refused.value).startswith(str(file))
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)


def test_missing_certificate_is_named(file) -> None:
    write(file, {"tls_server_config": TLS})
    with pytest.raises(OSError, match=r"server\.pem"):
        WebGuard(file)
