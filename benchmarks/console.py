"""Measures the console's pages on a ledger with a million runs.

`python -m benchmarks.console` (`make bench`) writes such a ledger to this disk, starts the daemon on it, signs in, and
measures each page at its second request. It prints each measurement with its limit, and fails if one is missed.
`--runs 50000` makes a smaller ledger; `--write` renews the table in docs/reference/benchmarks.md.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

from benchmarks.aged_ledger import REMEDIATION, STACKS, Size, write_ledger
from benchmarks.ledger import PASSWORD, RemediatorProcess, elapsed, report_line, running_remediator
from benchmarks.page import write_section

RUNS, REQUESTS = 1_000_000, 20
LIMIT_SECONDS = 0.1
TIMEOUT_SECONDS = 60.0


def pages(runs: int) -> Iterator[str]:
    """Yield the addresses of the pages; the oldest of many runs is the slowest to find."""
    yield from ("/", f"/stacks/{STACKS[0]}", "/runs", f"/runs?before={runs // 2}", f"/runs?stack={STACKS[0]}")
    yield from ("/runs?state=failed", f"/runs?stack={STACKS[0]}&state=refused&remediation={REMEDIATION}")
    yield from (f"/runs/{runs // 2}", "/approvals", "/approvals?before=5", "/start", "/duties")
    yield from ("/report", f"/report?since=30d&stack={STACKS[0]}")
    yield from ("/audit", "/audit?before=500", f"/audit?run={runs // 2}", f"/audit?head={'0' * 64}", "/pause")


def sign_in(daemon: RemediatorProcess) -> OpenerDirector:
    """Return a browser with a session."""
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    form = urlencode({"operator": "bench", "password": PASSWORD, "next": "/duties"}).encode()
    headers = {"Origin": daemon.url, "Sec-Fetch-Site": "same-origin"}
    browser.open(Request(f"{daemon.url}/login", form, headers), timeout=TIMEOUT_SECONDS).close()  # noqa: S310
    return browser


def measure(daemon: RemediatorProcess, runs: int) -> Mapping[str, float]:
    """Return the seconds of each page: the fastest of several after a first request, as other work only adds."""
    browser, seconds = sign_in(daemon), {}
    for path in pages(runs):
        get_page = partial(_get, browser, daemon.url + path)
        get_page()
        seconds[path] = min(elapsed(get_page) for _ in range(REQUESTS))
    return seconds


def table(runs: int, seconds: Mapping[str, float]) -> str:
    """Return the measurements as a table."""
    rows = [f"| `{path}` | {1_000 * value:.1f} |" for path, value in seconds.items()]
    return "\n".join([f"| page, with {runs:,} runs | ms |", "|---|---:|", *rows])


def _get(browser: OpenerDirector, url: str) -> None:
    with browser.open(url, timeout=TIMEOUT_SECONDS) as answer:
        body = answer.read()
    if b"Sign out" not in body:
        raise SystemExit(f"{url} is not a page of the console")


def main() -> None:
    """Measure in a folder next to the code, as an operator's disk is no memory."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="number of runs in the ledger")
    parser.add_argument("--write", action="store_true", help="renew the table in docs/reference/benchmarks.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as directory:
        folder, file = Path(directory), Path(directory) / "ledger.db"
        began = time.perf_counter()
        write_ledger(file, Size(arguments.runs, deliveries=1_000, messages=10_000, still_open=1_000))
        report_line(f"wrote {arguments.runs:,} runs, {file.stat().st_size >> 20:,} MB", time.perf_counter() - began)
        with running_remediator(folder, file) as daemon:
            seconds = measure(daemon, arguments.runs)
    kept = [report_line(path, value, LIMIT_SECONDS) for path, value in seconds.items()]
    if arguments.write:
        write_section("Console", table(arguments.runs, seconds))
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
