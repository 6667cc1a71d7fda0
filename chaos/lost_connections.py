"""The errors of connections that a fault breaks: chaos expects them, and tries again."""

import aiohttp
import asyncpg

NO_ANSWER = (aiohttp.ClientError, OSError, TimeoutError)
"""Of a request to a server that is out."""
NO_DATABASE = (
    *(OSError, TimeoutError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)
"""Of a connection whose server is out; the driver may not know yet in what state it was."""
