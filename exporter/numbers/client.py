"""Reads the numbers of one answer: all of them, or one clear error without a part of the answer."""

import ssl
import sys
from collections.abc import Iterator
from typing import Any

import aiohttp

from exporter.collector import Client, Reading
from exporter.errors import TargetRefused, TargetUnavailable
from exporter.metric import Sample
from exporter.numbers.metrics import VALUE
from runbookd.endpoints.body import BodyProblem
from runbookd.endpoints.fetch import Fetched, fetch
from runbookd.endpoints.json_path import NoSuchPlace, value_at
from runbookd.endpoints.judgement import Fault, faults_of, kind_of, parse_json
from runbookd.endpoints.request import EndpointRequest
from runbookd.http_errors import http_error_text
from runbookd.inventory.numbers import Number, NumbersTarget


class NumbersClient(Client):
    """Requests the address once per reading."""

    def __init__(self, target: NumbersTarget, request: EndpointRequest, tls: ssl.SSLContext) -> None:
        self._target, self._request, self._tls = target, request, tls

    async def read(self, now: float) -> Reading:  # noqa: ARG002 - the numbers have no age of their own
        """Read all numbers."""
        answer = await self._fetch()
        if problem := "; ".join(fault.text for fault in self._faults(answer)):
            raise self._refused(problem)
        return Reading(tuple(self._samples(answer.body or b"")), round_trips=1)

    async def close(self) -> None:
        """Do nothing: each request closes its own connection."""

    async def _fetch(self) -> Fetched:
        try:
            return await fetch(self._request, self._tls, None)  # the lane's limit holds
        except BodyProblem as error:
            raise self._refused(str(error)) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise TargetUnavailable(f"{self._request.address.shown}: {http_error_text(error)}") from None

    def _faults(self, answer: Fetched) -> Iterator[Fault]:
        return faults_of(self._target, answer.status, answer.headers, answer.body)

    def _samples(self, body: bytes) -> Iterator[Sample]:
        try:
            document = parse_json(body)
        except ValueError:
            raise self._refused("the body is no JSON; check the address, and the proxies before it") from None
        for name, number in self._target.values.items():
            yield VALUE(self._number(document, name, number), name)

    def _number(self, document: Any, name: str, number: Number) -> float:
        try:
            value = value_at(document, number.place)
        except NoSuchPlace:
            if number.missing is not None:
                return number.missing
            raise self._refused(f"{name}: the JSON has no {number.place}; correct it, or set missing") from None
        if (kind := kind_of(value)) != "a number":
            raise self._refused(f"{name}: {number.place} of the JSON is {kind}, not a number")
        if not abs(value) <= sys.float_info.max:
            raise self._refused(f"{name}: {number.place} of the JSON is too large, or not a finite number")
        return float(value)

    def _refused(self, problem: str) -> TargetRefused:
        return TargetRefused(f"{self._request.address.shown}: {problem}")
