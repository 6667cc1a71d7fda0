"""Reads the state of a service within a limit of time; what goes wrong is a line of text."""

import asyncio

import structlog

from remediator.clients.services import manager_of
from remediator.clients.services.manager import READ_SECONDS, ServiceState
from remediator.model.errors import RemediatorError
from runbookd.inventory import Stack

CONCURRENT_READS = 4  # pm2's program starts an interpreter for each reading
log = structlog.get_logger(__name__)


async def read_service(limit: asyncio.Semaphore, stack_name: str, stack: Stack, name: str) -> ServiceState | str:
    """Return the state of one service, or why it cannot be read."""
    async with limit:
        try:
            async with asyncio.timeout(READ_SECONDS + 1):
                return await manager_of(stack_name, stack, name).read()
        except RemediatorError as error:
            return str(error)
        except TimeoutError:
            return f"no answer within {READ_SECONDS + 1:g} s"
        except Exception as error:  # one odd answer must not end the readings of the others
            log.exception("reading a service failed", service=f"{stack_name}/services/{name}")
            return f"internal error: {type(error).__name__}"
