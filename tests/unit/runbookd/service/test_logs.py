"""Our events and those of libraries are logged alike: as one line each."""

import asyncio
import json
import logging
import sys

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from runbookd.service import configure_logs
from runbookd.service.logs import MAX_VALUE

pytestmark = pytest.mark.usefixtures("restored_logging")


def test_logfmt_writes_one_line_per_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    structlog.get_logger("ours").info("bound passed", bound="max_items", detail='two\nlines "quoted"', open=False)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert ' level=info event="bound passed" bound=max_items ' in line
    assert " open=false" in line


def test_library_events_are_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(form="json")
    logging.getLogger("theirs").warning("lost %s", "connection")
    event = json.loads(capsys.readouterr().err)
    assert (event["level"], event["event"]) == ("warning", "lost connection")


def test_exception_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("theirs").exception("failed")
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("logger", [structlog.get_logger("ours"), logging.getLogger("theirs")])
def test_event_below_the_level_is_not_written(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("error")
    logger.warning("quiet")
    sys.stderr.flush()
    assert capsys.readouterr().err == ""


async def _reads(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def _fails(_: web.Request) -> web.Response:
    raise RuntimeError("ours")


async def _send(app: web.Application, sent: bytes) -> None:
    """Send bytes, and wait for the first line of the answer."""
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(sent)
        assert await asyncio.wait_for(reader.readline(), 10)
        writer.close()


@pytest.mark.parametrize(
    ("sent", "level", "traceback"),
    [
        (b"\x16\x03\x01no http\r\n\r\n", "info", False),
        (b"POST /reads HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nxx", "info", False),
        (b"GET /fails HTTP/1.1\r\nHost: x\r\n\r\n", "error", True),
    ],
)
async def test_only_our_own_errors_log_a_traceback(
    capsys: pytest.CaptureFixture[str], sent: bytes, level: str, traceback: bool
) -> None:
    configure_logs()
    app = web.Application()
    app.router.add_post("/reads", _reads)
    app.router.add_get("/fails", _fails)
    await _send(app, sent)
    log = capsys.readouterr().err
    assert f"level={level} " in log
    assert ("Traceback" in log) == traceback


_GET = b"GET /reads HTTP/1.1\r\nHost: x\r\n"
_CHUNKED = b"POST /reads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (_GET + b"Authorization: Bearer hunter2\x01\r\n\r\n", "Invalid header value char"),
        (_GET + b"Authorization: Bearer hunter2\nX: y\r\n\r\n", "Missing expected CR after header value"),
        (_GET + b"Authorization hunter2: x\r\n\r\n", "Invalid header token"),
        (_GET + b"Cookie: session=" + b"hunter2" * 2_000 + b"\r\n\r\n", "Got more than 8190 bytes"),
        (_GET.replace(b"reads", b"reads?token=hunter2\x01") + b"\r\n", "its address is malformed"),
        (_GET.replace(b"/reads", b"http://u:hunter2@[x/") + b"\r\n", "its address is malformed"),
        (_GET + b"Connection: close\r\n\r\npassword=hunter2", "Data after `Connection: close`"),
        (_CHUNKED + b"zpassword=hunter2\r\n", "Invalid character in chunk size"),
    ],
)
async def test_malformed_request_is_logged_without_a_part_of_it(
    capsys: pytest.CaptureFixture[str], sent: bytes, words: str
) -> None:
    configure_logs("debug")
    app = web.Application()
    app.router.add_route("*", "/reads", _reads)
    await _send(app, sent)
    log = capsys.readouterr().err
    assert words in log
    assert "hunter2" not in log


def test_long_values_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(form="json")
    structlog.get_logger("x").warning("cannot read", error="e" * 1_000_000)
    line = capsys.readouterr().err
    assert len(line) < MAX_VALUE + 300
    assert json.loads(line)["error"].endswith("e… (1000000 characters)")
