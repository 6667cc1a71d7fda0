"""Queries Prometheus, for the checks before a deploy."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from runbookctl.errors import PrometheusSilent
from runbookd.addresses import AddressError
from runbookd.addresses.http import read_http_address
from runbookd.http_errors import http_error_text

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
        shown = read_http_address(url).shown
    except AddressError as error:
        raise PrometheusSilent(f"--prometheus: {error} (PROMETHEUS_URL)") from None
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
            return {name: await _query(session, url, expression) for name, expression in expressions.items()}
    except (aiohttp.ClientError, OSError) as error:
        raise PrometheusSilent(
            f"Prometheus at {shown} does not answer: {http_error_text(error)}; check --prometheus (PROMETHEUS_URL)"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise PrometheusSilent(
            f"{shown} does not answer as Prometheus does; check --prometheus (PROMETHEUS_URL)"
        ) from None


async def _query(session: aiohttp.ClientSession, url: str, expression: str) -> Sequence[Sample]:
    async with session.get(f"{url}/api/v1/query", params={"query": expression}) as response:
        answer = await response.json(content_type=None)
    return [Sample(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]
