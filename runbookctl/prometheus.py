"""Queries Prometheus, for the checks before a deploy."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from runbookctl.errors import PrometheusSilent

SECONDS = 10.0


@dataclass(frozen=True)
class Sample:
    """The labels and the value of a series."""

    labels: Mapping[str, str]
    value: float


def query_all(url: str, expressions: Mapping[str, str]) -> dict[str, Sequence[Sample]]:
    """Return the samples of each expression by its name.

    Raises:
        PrometheusSilent: it does not answer, or refuses an expression.
    """
    return asyncio.run(_query_all(url.rstrip("/"), expressions))


async def _query_all(url: str, expressions: Mapping[str, str]) -> dict[str, Sequence[Sample]]:
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
            return {name: await _query(session, url, expression) for name, expression in expressions.items()}
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
        raise PrometheusSilent(
            f"Prometheus at {url} does not answer: {error or 'timed out'}; check --prometheus (PROMETHEUS_URL)"
        ) from None


async def _query(session: aiohttp.ClientSession, url: str, expression: str) -> Sequence[Sample]:
    async with session.get(f"{url}/api/v1/query", params={"query": expression}) as response:
        answer = await response.json(content_type=None)
    return [Sample(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]
