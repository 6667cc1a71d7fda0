"""The permanent fix of a stale cache, run by the real redis-cli: its keys expire by themselves."""

import asyncio
import subprocess

import pytest

from tests.integration.remediator.remediations.cache.conftest import ADMIN
from tests.integration.remediator.remediations.steps import Steps
from tools.toolchain.paths import launcher

STEPS = Steps("unlink_prefix")


@pytest.mark.parametrize("prefix", ["oauth:", 'o"auth \\x:', "grüße:"])
async def test_keys_of_the_cache_expire(cache_server, redis, cache_scope, prefix: str) -> None:
    scope = cache_scope("unlink_prefix", {"caches": {"oauth": {"prefix": prefix}}})
    await redis.set(f"{prefix}7", "old")
    plan = await STEPS.plan_of(scope)
    fix = STEPS.fix_of(scope, *plan.items)
    command = [str(launcher("redis-cli")), "-p", str(cache_server.port), "--pass", ADMIN, "--no-auth-warning"]
    options = {"input": f"{fix.snippet}\n", "capture_output": True, "text": True, "check": True, "timeout": 10}
    answer = await asyncio.to_thread(subprocess.run, command, **options)
    assert answer.stdout.strip() == "OK"
    assert 0 < await redis.ttl(f"{prefix}KEY") <= 3_600
