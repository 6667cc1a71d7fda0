"""The demo's commands: `python -m demo up | down | incident NAME | loop | run [--once]`."""

import asyncio
import os
import signal
import sys
from typing import Annotated

import typer
from rich.console import Console

from demo.display import Display
from demo.down import down
from demo.errors import DemoError
from demo.incidents import INCIDENTS
from demo.loop import UNANSWERED, follow_new, inject, run_loop
from demo.places import Places
from demo.ports import HOST, Ports
from demo.running import running_demo
from demo.servers.errors import ServerError
from demo.up import up
from runbookd.service import leave
from tools.toolchain.errors import SetupError

PLACES = Places()
console = Console()
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command("up")
def up_command() -> None:
    """Start the demo and return when all of it answers. Its addresses are in .demo/env."""
    _say(f"the demo is up after {up(PLACES):.1f} s; addresses and secrets: {PLACES.env}")


@app.command("down")
def down_command() -> None:
    """End the demo and everything of it."""
    down(PLACES)
    _say("the demo is down")


@app.command("incident")
def incident_command(name: Annotated[str, typer.Argument(help=f"One of: {', '.join(INCIDENTS)}.")]) -> None:
    """Make one incident in the demo that is up, and return."""
    if name not in INCIDENTS:
        raise DemoError(f"there is no incident {name!r}; there are: {', '.join(INCIDENTS)}")
    asyncio.run(_inject(name))
    _say(f"{name}: {INCIDENTS[name].story}")


async def _inject(name: str) -> None:
    async with running_demo(PLACES) as demo:
        await inject(demo, INCIDENTS[name])


@app.command("loop")
def loop_command() -> None:
    """Make the four incidents in the demo that is up, follow them to their ends, and write .demo/report.json."""
    raise typer.Exit(0 if asyncio.run(_loop()) else 1)


async def _loop() -> bool:
    async with running_demo(PLACES) as demo:
        report = await run_loop(demo, Display(console))
    for what in report["missing"]:
        _say(f"missing: {what}")
    verdict = "all as it should be" if report["ok"] else "not as it should be"
    _say(f"{verdict} after {report['seconds']} s; {PLACES.report}")
    return bool(report["ok"])


@app.command("run")
def run_command(once: Annotated[bool, typer.Option(help="End it after the four incidents.")] = False) -> None:
    """Start the demo, make the four incidents, and stay up until Ctrl-C."""
    up_command()
    try:
        ok = asyncio.run(_loop())
        if not once:
            _invite()
            asyncio.run(_stay())
    finally:
        down_command()
    raise typer.Exit(0 if ok else 1)


async def _stay() -> None:
    async with running_demo(PLACES) as demo:
        await follow_new(demo, Display(console))


def _invite() -> None:
    ports = Ports.load(PLACES)
    for part in ("prometheus", "alertmanager", "exporter", "remediator"):
        _say(f"  {part:13} {ports.url(part)}")
    _say("Now try, in another terminal:")
    for name, incident in INCIDENTS.items():
        _say(f"  make incident NAME={name:18} # {incident.story}")
    _say("Ctrl-C ends the demo.")


def _say(text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def main() -> None:
    """Run the command; every failure that people can mend is one line, and exit code 1."""
    # Everything is on this machine, and a proxy that the environment names has no business with it.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = HOST
    for polite in (signal.SIGTERM, signal.SIGHUP):  # clean up as after Ctrl-C
        signal.signal(polite, signal.default_int_handler)
    try:
        app()
    except SystemExit as end:
        code = int(end.code or 0)
    except (SetupError, ServerError, *UNANSWERED) as error:
        print(f"demo: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    leave(code)


if __name__ == "__main__":
    main()
