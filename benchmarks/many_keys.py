"""An S3 server with any number of backups, which computes its listings."""

import argparse
import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import web

PAGE = 1000
FOLDER, PATTERN = "db/", "db_%Y%m%d_%H%M%S.dump"
_ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    '<ETag>"00000000000000000000000000000000"</ETag><Size>{size}</Size></Contents>'
)
_ANSWER = (
    '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>bucket</Name><IsTruncated>{more}</IsTruncated>'
    "<KeyCount>{number}</KeyCount><MaxKeys>1000</MaxKeys>{token}{entries}</ListBucketResult>"
)


@dataclass
class ManyKeys:
    """`count` backups, `step` apart, the newest made at `newest`. `size` bytes each."""

    count: int
    newest: datetime
    step: timedelta = timedelta(minutes=10)
    size: int = 4096
    requests: int = 0
    keys_listed: int = 0
    pages: list[str] = field(default_factory=list)
    """The key that each request starts after."""

    def key(self, index: int) -> str:
        """Return the key of a backup; index 0 is the oldest."""
        return (self.newest - (self.count - 1 - index) * self.step).strftime(f"{FOLDER}{PATTERN}")

    def app(self) -> web.Application:
        """Return the server's application."""
        app = web.Application()
        app.router.add_get("/requests", self._report)
        app.router.add_get("/{bucket}", self._list)
        return app

    async def _report(self, _: web.Request) -> web.Response:
        return web.json_response({"requests": self.requests, "keys": self.keys_listed})

    async def _list(self, request: web.Request) -> web.Response:
        after = request.query.get("continuation-token") or request.query.get("start-after", "")
        self.requests += 1
        self.pages.append(after)
        first = self._first_after(after)
        last = min(first + PAGE, self.count)
        keys = [self.key(index) for index in range(first, last)]
        self.keys_listed += len(keys)
        more = last < self.count
        token = f"<NextContinuationToken>{keys[-1]}</NextContinuationToken>" if more else ""
        entries = "".join(_ENTRY.format(key=key, size=self.size) for key in keys)
        text = _ANSWER.format(more=str(more).lower(), number=len(keys), token=token, entries=entries)
        return web.Response(text=text, content_type="application/xml")

    def _first_after(self, after: str) -> int:
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.key(middle) <= after else (low, middle)
        return low


async def _serve(count: int, newest: datetime) -> None:
    runner = web.AppRunner(ManyKeys(count, newest).app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve on a free port and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("newest", type=float, help="seconds since 1970")
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.count, datetime.fromtimestamp(arguments.newest, UTC)))


if __name__ == "__main__":
    main()
