"""The permanent fixes of queues, run with the real BullMQ: the same fault leaves no failed job, and needs no pause."""

import asyncio
import json
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.servers.node import run_node
from demo.servers.redis import RedisServer
from remediator.model.permanent_fix import Cause
from remediator.model.remediation import Item
from remediator.remediations import REMEDIATIONS
from tests.integration.remediator.remediations.queues.queue import ADMIN
from tests.integration.remediator.remediations.steps import Steps

SCRIPT = Path(__file__).with_name("fixes.cjs")
oldest_and_newest = pytest.mark.parametrize("major", [3, 6])


async def run(server: RedisServer, major: int, action: str, text: str) -> Any:
    arguments = [server.url("default", ADMIN), action, text]
    return json.loads(await asyncio.to_thread(run_node, SCRIPT, arguments, bullmq=major))


@oldest_and_newest
async def test_job_that_fails_once_is_repeated_by_its_queue(server, redis, bull, scope, major: int) -> None:
    await bull(major, "fail")
    steps = Steps("retry_failed_jobs")
    plan = await steps.plan_of(scope())
    fix = steps.fix_of(scope(), *plan.items)
    assert fix.snippet == (
        'await queue.add("welcome", data, { attempts: 5, backoff: { type: "exponential", delay: 1000 } });'
    )
    await redis.flushall()
    assert await run(server, major, "retry", fix.snippet) == {"tries": 2, "failed": 0, "name": "welcome"}


@oldest_and_newest
async def test_worker_waits_for_a_service_by_itself_and_costs_the_job_no_attempt(
    server, redis, scope, major: int
) -> None:
    fix = Steps("pause_queue").fix_of(scope())
    shorter = fix.snippet.replace("30_000", "200")
    assert await run(server, major, "pause", shorter) == {"tries": 3, "failed": 0, "name": "welcome"}


def test_pause_with_an_end_is_a_command_that_runbookctl_takes(scope) -> None:
    fix = Steps("resume_queue").fix_of(scope())
    *command, value = shlex.split(fix.snippet)
    assert command == ["runbookctl", "start", "pause_queue", "shop/queues/jobs/emails", "--set"]
    end = REMEDIATIONS["pause_queue"].parameters["for"].parse(value.removeprefix("for="))
    assert end == timedelta(minutes=30)


def test_name_of_a_job_cannot_end_its_quotes(scope) -> None:
    name = '"}); process.exit(1); //\u2028'
    fix = REMEDIATIONS["retry_failed_jobs"].permanent_fix.write(scope(), [Cause({"name": name}, 1)])
    assert fix.snippet.startswith(f"await queue.add({json.dumps(name)}, data, {{ attempts: ")
    assert fix.snippet.isprintable()


def test_dead_letters_are_told_with_their_queue(scope) -> None:
    fix = Steps("archive_dead_letters").fix_of(scope(), Item({"id": "7"}, {"name": "welcome", "error": "TypeError"}))
    assert "queue emails" in fix.advice
