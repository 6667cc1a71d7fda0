"""Each answer of a storage is understood: what is safe is retried, and a made dump is not thrown away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
import pytest
from aiohttp import web

from remediator.model.remediation import EffectOutcome, ItemState
from tests.integration.remediator.remediations.run_backup.faulty_storage import faulty_storage
from tests.integration.remediator.remediations.run_backup.steps import (
    apply,
    content_of,
    names,
    plan_of,
    write_options,
)

Faults = Callable[[web.Request, bytes], web.Response | None]
DUMP = {"command": ["echo", "dump"], "check": ["cat"]}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.clients.upload.PAUSES", (0, 0, 0, 0))


@pytest.fixture
def back_up(scope: Any, bucket: Any, options_file: Path) -> Any:
    """Make a backup on a storage with `faults`; return its name and outcome."""

    async def make(faults: Faults) -> tuple[str, EffectOutcome]:
        [item] = (await plan_of(scope())).items
        async with faulty_storage(bucket.server.url, faults) as url:
            write_options(options_file, url)
            return str(item.identity["object"]), await apply(scope(DUMP), item)

    return make


def refusal(status: int, code: str) -> web.Response:
    return web.Response(status=status, text=f"<Error><Code>{code}</Code><Message>an explanation</Message></Error>")


def is_conditional(request: web.Request) -> bool:
    return "If-None-Match" in request.headers


@pytest.mark.parametrize(
    ("status", "code", "times"),
    [
        (409, "ConditionalRequestConflict", 1),
        (409, "OperationAborted", 2),
        (503, "SlowDown", 6),  # more often than the library retries by itself
        (400, "RequestTimeout", 1),
        (400, "ExpiredToken", 1),
        (429, "ThrottlingException", 1),
    ],
)
async def test_passing_refusal_is_retried(back_up, store, status: int, code: str, times: int) -> None:
    left = [None] * times

    def refuse(request: web.Request, _content: bytes) -> web.Response | None:
        if request.method != "PUT" or not left:
            return None
        left.pop()
        return refusal(status, code)

    name, outcome = await back_up(before_storing(refuse))
    assert outcome.state is ItemState.APPLIED, outcome.detail
    assert await content_of(store, name) == b"dump\n"


def before_storing(faults: Faults) -> Faults:
    """Mark faults that the storage answers without storing the object."""
    faults.before = True  # type: ignore[attr-defined]
    return faults


@pytest.mark.parametrize(("status", "message"), [(501, "not implemented"), (400, "If-None-Match is unknown")])
async def test_storage_without_conditional_requests_gets_the_backup(back_up, store, status: int, message: str) -> None:
    def refuse(request: web.Request, _content: bytes) -> web.Response | None:
        if is_conditional(request):
            return web.Response(status=status, text=f"<Error><Code>X</Code><Message>{message}</Message></Error>")
        return None

    name, outcome = await back_up(before_storing(refuse))
    assert outcome.state is ItemState.APPLIED
    assert outcome.detail.endswith("the storage cannot refuse to replace an object, so the name was checked first")
    assert await content_of(store, name) == b"dump\n"


async def test_conditional_requests_can_be_switched_off(scope, store, options_file: Path, bucket: Any) -> None:
    write_options(options_file, bucket.server.url, aws_conditional_put="disabled")
    [item] = (await plan_of(scope())).items
    outcome = await apply(scope(DUMP), item)
    assert outcome.state is ItemState.APPLIED
    assert "cannot refuse to replace" in outcome.detail
    again = await apply(scope(DUMP), item)
    assert again.state is ItemState.SKIPPED


@pytest.mark.parametrize("conditional", [True, False])
async def test_object_of_another_process_is_never_replaced(back_up, store, conditional: bool) -> None:
    """With conditional requests also if it appears after the look at the name, which the proxy plays."""

    async def appear(request: web.Request) -> None:
        if (request.method == "HEAD" and conditional) or is_conditional(request):
            name = request.path.rpartition("/")[2]
            await obstore.put_async(store, name, b"somebody else's")

    def refuse(request: web.Request, _content: bytes) -> web.Response | None:
        if not conditional and is_conditional(request):
            return refusal(501, "NotImplemented")
        return web.Response(status=404) if conditional and request.method == "HEAD" else None

    refuse.earlier = appear  # type: ignore[attr-defined]
    name, outcome = await back_up(before_storing(refuse))
    assert outcome.state is ItemState.FAILED
    assert "created by another process" in outcome.detail
    assert await content_of(store, name) == b"somebody else's"


async def test_token_that_expired_during_the_dump_is_read_again(scope, store, bucket: Any, options_file: Path) -> None:
    def refuse(request: web.Request, _content: bytes) -> web.Response | None:
        if request.method == "PUT" and "Credential=remediator/" in request.headers["Authorization"]:
            write_options(options_file, f"http://{request.host}", aws_access_key_id="renewed")
            return refusal(400, "ExpiredToken")
        return None

    [item] = (await plan_of(scope())).items
    async with faulty_storage(bucket.server.url, before_storing(refuse)) as url:
        write_options(options_file, url)
        outcome = await apply(scope(DUMP), item)
    assert outcome.state is ItemState.APPLIED, outcome.detail


def reads_object(request: web.Request) -> bool:
    return request.method == "GET" and "list-type" not in request.query_string


def body(content: bytes) -> web.Response:
    return web.Response(body=content, headers={"ETag": '"x"', "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"})


async def test_answer_that_was_cut_once_damages_nothing(back_up, store) -> None:
    """The cut answer looks complete, as from a proxy: the object must not be removed because of it."""
    cut: list[str] = []

    def shorten(request: web.Request, content: bytes) -> web.Response | None:
        if not reads_object(request) or cut:
            return None
        cut.append(request.path)
        return body(content[:2])

    name, outcome = await back_up(shorten)
    assert (len(cut), outcome.state) == (1, ItemState.APPLIED)
    assert await names(store) == [name]


async def test_content_that_differs_at_each_reading_is_unknown_and_kept(back_up, store) -> None:
    lengths = iter(range(1, 100))
    name, outcome = await back_up(
        lambda request, content: body(content[: next(lengths)]) if reads_object(request) else None
    )
    assert outcome.state is ItemState.UNKNOWN
    assert outcome.detail.endswith("each reading shows another content; check it")
    assert await names(store) == [name]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 403, "text": "<html>\n<title>403</title></html>"}, "the storage answered 403 Forbidden"),
        ({"status": 507, "text": "quota"}, "the storage answered 507 Insufficient Storage"),
        ({"status": 400, "text": "<Error><Code>A</Code><Message>b\n c</Message></Error>"}, "A: b c"),
    ],
)
async def test_refusal_is_one_line_without_internals(back_up, answer: dict[str, Any], words: str) -> None:
    _, outcome = await back_up(
        before_storing(lambda request, _: web.Response(**answer) if request.method == "PUT" else None)
    )
    assert outcome.state is ItemState.FAILED
    assert outcome.detail.endswith(f" was not stored: {words}")
