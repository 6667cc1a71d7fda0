"""`runbookctl --help` loads no driver, no model and no daemon: modules are counted, because times vary."""

import subprocess
import sys

PROGRAM = """
import sys
sys.argv = ["runbookctl", *sys.argv[1:]]
from runbookctl.main import main
try:
    main()
except SystemExit:
    print(*sorted(sys.modules), file=sys.stderr)
"""
HEAVY = {"aiohttp", "asyncpg", "redis", "obstore", "pydantic", "sqlalchemy", "apprise", "structlog", "yaml", "exporter"}


def modules_of(*arguments: str) -> set[str]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "runbookctl" in result.stdout, result.stderr
    return set(result.stderr.split())


def test_help_loads_few_modules() -> None:
    loaded = modules_of("--help")
    assert HEAVY.isdisjoint(name.partition(".")[0] for name in loaded)
    assert len(loaded) <= 380


def test_help_of_a_command_loads_as_little() -> None:
    own = HEAVY - {"pydantic"}  # typer loads that one when it finds it
    assert own.isdisjoint(name.partition(".")[0] for name in modules_of("doctor", "--help"))
