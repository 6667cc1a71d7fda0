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
from demo.loop import PROOF_ERRORS, follow_new, inject, run_loop
from demo.paths import DemoPaths
from demo.ports import HOST, Ports
from demo.running import running_demo
from demo.servers.errors import ServerError
from demo.up import up
from runbookd.service import exit_process
from tools.toolchain.errors import SetupError

PATHS = DemoPaths()
console = Console()
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command("up")
def up_command() -> None:
    """Start the demo and wait until all its parts answer. Writes the addresses to .demo/env."""
    _print_line("starting PostgreSQL, Redis, an object store, Prometheus, Alertmanager, a product and runbookd ...")
    _print_line(f"demo started in {up(PATHS):.1f} s; addresses and secrets: {PATHS.env}")
    _print_console_hint()


@app.command("down")
def down_command() -> None:
    """Stop the demo and all its processes."""
    down(PATHS)
    _print_line("demo stopped")


@app.command("incident")
def incident_command(name: Annotated[str, typer.Argument(help=f"One of: {', '.join(INCIDENTS)}.")]) -> None:
    """Inject one incident into the running demo."""
    if name not in INCIDENTS:
        raise DemoError(f"unknown incident {name!r}; choose one of: {', '.join(INCIDENTS)}")
    asyncio.run(_inject(name))
    _print_line(f"{name}: {INCIDENTS[name].story}")


async def _inject(name: str) -> None:
    async with running_demo(PATHS) as demo:
        await inject(demo, INCIDENTS[name])


@app.command("loop")
def loop_command() -> None:
    """Inject the four incidents into the running demo and write .demo/report.json."""
    raise typer.Exit(0 if asyncio.run(_run_loop()) else 1)


async def _run_loop() -> bool:
    async with running_demo(PATHS) as demo:
        report = await run_loop(demo, Display(console))
    for problem in report["missing"]:
        _print_line(f"problem: {problem}")
    verdict = "all incidents ended as expected" if report["ok"] else "not all incidents ended as expected"
    _print_line(f"{verdict} after {report['seconds']} s; report: {PATHS.report}")
    return bool(report["ok"])


@app.command("run")
def run_command(once: Annotated[bool, typer.Option(help="Stop the demo after the four incidents.")] = False) -> None:
    """Start the demo, inject the four incidents, and run until Ctrl-C."""
    up_command()
    try:
        ok = asyncio.run(_run_loop())
        if not once:
            _print_hints()
            asyncio.run(_follow_until_stopped())
    finally:
        down_command()
    raise typer.Exit(0 if ok else 1)


async def _follow_until_stopped() -> None:
    async with running_demo(PATHS) as demo:
        await follow_new(demo, Display(console))


def _print_hints() -> None:
    ports = Ports.load(PATHS)
    for part in ("prometheus", "alertmanager", "exporter", "remediator"):
        _print_line(f"  {part:13} {ports.url(part)}")
    _print_console_hint()
    _print_line("To inject another incident, run in a second terminal:")
    for name, incident in INCIDENTS.items():
        _print_line(f"  make incident NAME={name:18} # {incident.story}")
    _print_line("Ctrl-C stops the demo.")


def _print_console_hint() -> None:
    password = PATHS.secrets / "operator_password"
    _print_line(f"The console: {Ports.load(PATHS).url('remediator')}, operator oncall, password: cat {password}")


def _print_line(text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def main() -> None:
    """Run the command; print an error that the user can fix as one line, and exit with 1."""
    # All parts are on this machine: bypass any proxy of the environment.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = HOST
    for stop_signal in (signal.SIGTERM, signal.SIGHUP):  # clean up as after Ctrl-C
        signal.signal(stop_signal, signal.default_int_handler)
    try:
        app()
    except SystemExit as end:
        code = int(end.code or 0)
    except (SetupError, ServerError, *PROOF_ERRORS) as error:
        print(f"demo: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    exit_process(code)


if __name__ == "__main__":
    main()
