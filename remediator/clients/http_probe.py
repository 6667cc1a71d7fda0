"""Probes an http target of the inventory, as a visitor would; only whether the answer is the wanted one is kept."""

import aiohttp

from runbookd.addresses import AddressError
from runbookd.addresses.http import read_http_address
from runbookd.inventory import HttpTarget, SecretError

PROBE_SECONDS = 5.0


async def probe(target: HttpTarget) -> str | None:
    """Send one GET request; return why the target is not good, or None."""
    try:
        address = read_http_address(target.url_secret().read())
    except (SecretError, AddressError) as error:
        return str(error)
    follows = not 300 <= target.status < 400
    timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.get(address.url, allow_redirects=follows) as response,
        ):
            return None if response.status == target.status else f"status {response.status}, not {target.status}"
    except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
        return f"no answer ({type(error).__name__})"  # the text of the error could repeat the address
