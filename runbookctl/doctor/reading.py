"""Checks that the exporter can read a target, with the exporter's own collector."""

import asyncio
import time

from exporter.collector import Collector, Connect, Reading
from exporter.collectors import COLLECTORS
from exporter.metric import single_samples
from exporter.scheduling.outcome import failure_of
from runbookctl.doctor.finding import Finding
from runbookd.inventory import Stack

SECONDS = 15.0


async def check(collector: Collector, notes: list[str]) -> str | None:
    """Connect and read once in each lane, and add the exporter's notes to `notes`. Return why that failed, or None.

    The background finds the names of the queues that the scrape then reads.
    """
    lanes = (collector.background, collector.scrape)
    for connect in [lane.connect for lane in lanes if lane is not None]:
        result = await _read(connect)
        if isinstance(result, str):
            return result
        if result.problem:
            return result.problem
        notes += [note for note in result.notes if note not in notes]
    return None


async def check_backups(stack: Stack, name: str) -> list[Finding]:
    """Report if no object's name matches the pattern for backups."""
    collector = COLLECTORS["backups"](stack, name)
    result = await _read(collector.background.connect) if collector.background is not None else None
    if not isinstance(result, Reading) or _value(result, "backup_objects"):
        return []
    return [
        Finding(
            f"no object in the folder matches the pattern {stack.backups[name].pattern!r}",
            f"check url and pattern of backups.{name}, or make the first backup",
        )
    ]


async def _read(connect: Connect) -> Reading | str:
    try:
        async with asyncio.timeout(SECONDS):
            client = await connect(SECONDS)
            try:
                return await client.read(time.time())
            finally:
                await client.close()
    except Exception as error:  # drivers raise anything; failure_of keeps secrets out of the text
        return failure_of(error).reason


def _value(reading: Reading, metric: str) -> float:
    return sum(sample.value for sample in single_samples(reading.samples) if sample.metric.name == metric)
