"""Takes pictures of the console's pages during the demo's incidents, into docs/pictures/console.

Each page is shown in light and dark, and on a phone. Fails if a page reports an error.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.browser import chromium
from tools.pictures.camera import Camera
from tools.pictures.remediator import Remediator
from tools.toolchain.errors import SetupError
from tools.toolchain.paths import ROOT

_ENV = ROOT / ".demo" / "env"
_INVENTORY = ROOT / ".demo" / "config" / "inventory.yml"
# The demo's other incidents are answered by themselves; this one asks, so that a page shows a request.
_ASKED = "cancel_long_queries"
_ATTEMPTS = 12
_FORM = "/start?remediation=cancel_long_queries&target=shop/postgres/main"


def main() -> int:
    """Take the pictures; return 0 if no page has reported an error."""
    argparse.ArgumentParser(prog="python -m tools.pictures.console", description=__doc__).parse_args()
    try:
        with _demo() as (remediator, password):
            problems = asyncio.run(_take_all(remediator, password))
    except SetupError as error:
        problems = [str(error)]
    for problem in problems:
        print(f"pictures: {problem}", file=sys.stderr)
    return 1 if problems else 0


async def _take_all(remediator: Remediator, password: str) -> list[str]:
    async with chromium() as browser:
        camera = Camera(browser, remediator.url, password)
        for name, path, *press in await _pages(remediator):
            await camera.take(name, path, *press)
        return camera.problems


async def _pages(remediator: Remediator) -> Sequence[Sequence[str]]:
    """Let the incidents happen, and return the pages that show them."""
    remediator.post("/api/v1/duties/shop/access_review/done", {"note": "two accounts removed"})
    await _inject("idle_transactions")
    succeeded = await remediator.wait_for(state="succeeded")
    await _inject("too_many_sessions")
    refused = await remediator.wait_for(state="refused")
    _let_ask()
    remediator.reload()
    await _inject("runaway_report")
    asking = await remediator.wait_for(state="awaiting_approval")
    return (
        ("stacks", "/"),
        ("stack", "/stacks/shop"),
        ("runs", "/runs"),
        ("run", f"/runs/{succeeded}"),
        ("run-refused", f"/runs/{refused}"),
        ("approvals", "/approvals"),
        ("approval", f"/approvals/{asking}"),
        ("start", "/start"),
        ("question", _FORM, "Show the plan"),
        ("report", "/report"),
        ("duties", "/duties"),
        ("audit", "/audit"),
        ("stop", "/pause"),
        ("sign-in", "/login"),
    )


async def _inject(incident: str) -> None:
    """Inject an incident, as soon as the demo takes it: the sessions of an earlier one may have to end first."""
    for _ in range(_ATTEMPTS):
        try:
            return _run_demo("incident", incident)
        except SetupError:
            await asyncio.sleep(5)
    return _run_demo("incident", incident)


def _let_ask() -> None:
    """Set the mode of one remediation to approve, as an operator would."""
    text = _INVENTORY.read_text(encoding="utf-8")
    _INVENTORY.write_text(text.replace(f"{_ASKED}: {{mode: auto", f"{_ASKED}: {{mode: approve"), encoding="utf-8")


@contextmanager
def _demo() -> Iterator[tuple[Remediator, str]]:
    """Use the running demo, or one of its own; yield its remediator and the operator's password."""
    started_here = not _ENV.exists()
    if started_here:
        _run_demo("up")
    try:
        values = dict(line.split("=", 1) for line in _ENV.read_text().splitlines())
        token, password = (Path(values[f"OPERATOR_{each}_FILE"]).read_text().strip() for each in ("TOKEN", "PASSWORD"))
        yield Remediator(values["REMEDIATOR_URL"], token), password
    finally:
        if started_here:
            _run_demo("down")


def _run_demo(*arguments: str) -> None:
    command = [sys.executable, "-m", "demo", *arguments]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise SetupError(f"demo {' '.join(arguments)} failed", "demo", "run make demo-down, then make pictures")


if __name__ == "__main__":
    sys.exit(main())
