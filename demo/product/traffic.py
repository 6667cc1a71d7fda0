"""The product's steady customers: each orders several times per second."""

import asyncio
import logging
import signal

import aiohttp
import typer

CUSTOMERS = 3
PAUSE_SECONDS = 0.25

log = logging.getLogger(__name__)


async def _customer(http: aiohttp.ClientSession, url: str) -> None:
    while True:
        try:
            async with http.post(f"{url}/orders") as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("no answer, retrying: %s", error)
        await asyncio.sleep(PAUSE_SECONDS)


async def _traffic(url: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        tasks = [asyncio.create_task(_customer(http, url)) for _ in range(CUSTOMERS)]
        await stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def main(url: str) -> None:
    """Make orders at URL until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    asyncio.run(_traffic(url))


if __name__ == "__main__":
    typer.run(main)
