"""The errors of connections that a fault breaks: chaos expects them, and tries again."""

import aiohttp
import asyncpg

NO_ANSWER = (aiohttp.ClientError, OSError, TimeoutError)
"""The errors of a request to a server that is out."""
NO_DATABASE = (
    *(OSError, TimeoutError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)
"""The errors of a connection whose server is out; its driver may be surprised in any state."""
