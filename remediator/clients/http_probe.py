"""Probes an http target of the inventory as the exporter does; only whether the answer is good is kept."""

import asyncio
import ssl

import aiohttp

from runbookd.addresses import AddressError
from runbookd.endpoints.body import BodyProblem
from runbookd.endpoints.fetch import fetch
from runbookd.endpoints.judgement import faults_of
from runbookd.endpoints.request import EndpointRequest, request_of, trust
from runbookd.inventory import HttpTarget, SecretError
from runbookd.service import VERSION

PROBE_SECONDS = 5.0


async def probe(target: HttpTarget) -> str | None:
    """Send the request once; return why the target is not good, or None."""
    try:
        request = request_of(target, f"runbook-remediator/{VERSION}")
        tls = await asyncio.to_thread(trust, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), target.tls)
    except (SecretError, AddressError) as error:
        return str(error)
    try:
        return await _ask(request, tls)
    except BodyProblem as error:
        return str(error)
    except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
        return f"no answer ({type(error).__name__})"  # the text of the error could repeat the address


async def _ask(request: EndpointRequest, tls: ssl.SSLContext) -> str | None:
    answer = await fetch(request, tls, PROBE_SECONDS)
    faults = faults_of(request.target, answer.status, answer.headers, answer.body)
    return "; ".join(fault.text for fault in faults) or None
