"""The recorder notes what a replica has accepted, and nothing else."""

import hashlib

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from chaos.recorder import Recorder


async def deliver(status: int, body: bytes = b"{}") -> tuple[Recorder, int]:
    """Deliver to a replica that answers with `status`, or to none; return the recorder and what the sender got."""

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer hook"
        assert await request.read() == body
        return web.Response(status=status)

    replica = web.Application()
    replica.add_routes([web.post("/webhook", answer)])
    async with TestServer(replica) as server, aiohttp.ClientSession() as http:
        recorder = Recorder({2: int(server.port or 0)}, http)
        if not status:
            await server.close()
        async with TestClient(TestServer(recorder.application())) as client:
            headers = {"Authorization": "Bearer hook"}
            async with client.post("/alertmanager-1/2/webhook", data=body, headers=headers) as response:
                return recorder, response.status


async def test_accepted_delivery_is_recorded_with_its_hash() -> None:
    recorder, status = await deliver(200, b'{"version": "4"}')
    (accepted,) = recorder.accepted
    assert status == 200
    assert (accepted.sender, accepted.replica) == ("alertmanager-1", 2)
    assert accepted.digest == hashlib.sha256(b'{"version": "4"}').hexdigest()


@pytest.mark.parametrize(("status", "passed_on"), [(503, 503), (400, 400), (0, 502)])
async def test_refused_delivery_is_passed_on_and_not_recorded(status: int, passed_on: int) -> None:
    recorder, answered = await deliver(status)
    assert (recorder.accepted, recorder.attempts, answered) == ([], 1, passed_on)
