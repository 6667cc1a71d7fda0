"""Probes read what browsers read, and no error shows a part of the address that may be secret."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from aiohttp import web

from remediator.clients.http_probe import probe
from runbookd.inventory import HttpTarget, SecretStr
from tests.integration.exporter.http.site import serve
from tests.integration.exporter.http.test_collector import inventory


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """Serve pages that browsers show although they are unusual."""

    async def page(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name == "headers":
            return web.Response(headers={f"X-{number}": "x" for number in range(300)})
        if name == "header":
            return web.Response(headers={"X-Large": "x" * 9 * 1024, "Set-Cookie": f"s={'y' * 12_000}"})
        if name == "login" and "session" not in request.cookies:
            answer = web.Response(status=302, headers={"Location": "/login"})
            answer.set_cookie("session", "1")
            return answer
        if name == "brotli":
            return web.Response(body=b"not brotli", headers={"Content-Encoding": "br"})
        if name.startswith("hop") and (number := int(name.removeprefix("hop"))):
            return web.Response(status=307, headers={"Location": f"/hop{number - 1}"})
        if name == "loop":
            return web.Response(status=302, headers={"Location": "/loop"})
        if name == "mail":
            return web.Response(status=302, headers={"Location": "mailto:someone"})
        return web.Response(text="fine")

    async with serve(page) as address:
        yield address


@pytest.mark.parametrize(
    "path", ["/header", "/headers", "/login", "/brotli", "/hop15", "/fine#part", "/fine?token=hunter2"]
)
async def test_page_that_browsers_show_succeeds(start_exporter, site, path: str) -> None:
    exporter = await start_exporter(inventory(site + path))
    for _ in range(2):
        page = await exporter.scrape()
        assert page.value("probe_success") == 1, (await exporter.get("/"))[1]
        assert page.value("probe_http_status_code") == 200
    assert await probe(HttpTarget(url=SecretStr(site + path))) is None  # as the remediator does after a restart


@pytest.fixture
async def broken() -> AsyncIterator[int]:
    """Serve what is no HTTP, or no answer, by the first byte after the slash of the path."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        answers = {
            b"n": b"220 mail.example ESMTP\r\n",
            b"e": b"",
        }
        kind = line.split(b"/")[1][:1] if line.startswith(b"GET ") else b"n"
        writer.write(answers[kind])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def tls_port() -> AsyncIterator[int]:
    """Serve a page with a certificate of an unknown authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


LOGIN = "user:hunter2@"
SECRET = "?token=hunter2"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"http://{LOGIN}127.0.0.1:99999/{SECRET}", "url: not an address; write it as https://host/path"),
        (f"http://{LOGIN}127.0.0.1:1/{SECRET}", "http://127.0.0.1:1/: 127.0.0.1:1: the connection is refused; check"),
        (f"http://{LOGIN}no-such-host.invalid/{SECRET}", "the name of the host cannot be resolved"),
        (f"http://{LOGIN}127.0.0.1:{{broken}}/n{SECRET}", "the answer is not valid HTTP"),
        (f"http://{LOGIN}127.0.0.1:{{broken}}/e{SECRET}", "closed the connection without an answer"),
        (f"https://{LOGIN}127.0.0.1:{{broken}}/n{SECRET}", "TLS: the handshake failed"),
        (f"https://{LOGIN}127.0.0.1:{{tls}}/{SECRET}", "TLS: the certificate is refused"),
        (f"http://{LOGIN}{{site}}/loop{SECRET}", "it redirects without an end"),
        (f"http://{LOGIN}{{site}}/mail{SECRET}", "it redirects to something that is not a web page"),
        ("http://user:hunter2/@127.0.0.1/", "url: not an address"),
    ],
)
@pytest.mark.parametrize("source", ["url", "file"])
async def test_fault_is_named_without_the_secrets_of_its_address(
    start_exporter, site, broken, tls_port, tmp_path, capsys, address: str, words: str, source: str
) -> None:
    url = address.format(broken=broken, tls=tls_port, site=site.removeprefix("http://"))
    file = tmp_path / "url"
    file.write_text(url, encoding="utf-16" if words.startswith("url") else "utf-8-sig")
    text = inventory(url) if source == "url" else f"stacks: {{shop: {{http: {{api: {{url_file: '{file}'}}}}}}}}"
    exporter = await start_exporter(text)
    page = await exporter.scrape()
    shown = [(await exporter.get(path))[1] for path in ("/", "/metrics?debug=true")]
    assert page.value("probe_success") == 0
    assert all(words in each for each in shown), shown
    assert "hunter2" not in "".join([page.text, *shown, *capsys.readouterr()])
