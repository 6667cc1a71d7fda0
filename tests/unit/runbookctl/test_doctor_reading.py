"""The doctor shows the notes of every lane of a collector, each once."""

from datetime import timedelta

from exporter.collector import BackgroundReading, Client, Collector, Reading, ScrapeReading
from runbookctl.doctor import reading


class _NotingClient(Client):
    """Answers with notes and without samples."""

    def __init__(self, *notes: str) -> None:
        self._notes = notes

    async def read(self, now: float) -> Reading:
        return Reading((), 1, notes=self._notes)

    async def close(self) -> None:
        """Do nothing."""


class _NotingCollector(Collector):
    """Reads in the background and on scrapes."""

    def __init__(self) -> None:
        self.background = BackgroundReading(self._background, timedelta(minutes=1), "1 request")
        self.scrape = ScrapeReading(self._scrape)

    async def _background(self, budget: float) -> Client:
        return _NotingClient("SCAN is slow", "the server has no password")

    async def _scrape(self, budget: float) -> Client:
        return _NotingClient("the server has no password", "SLOWLOG is refused")


async def test_notes_of_the_background_and_of_the_scrape_are_gathered_once() -> None:
    notes: list[str] = []
    assert await reading.check(_NotingCollector(), notes) is None
    assert notes == ["SCAN is slow", "the server has no password", "SLOWLOG is refused"]
