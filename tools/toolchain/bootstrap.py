"""Creates the virtual environment; needs only Python 3.11, even without ensurepip and pip."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.toolchain.commands import log_file, run_logged
from tools.toolchain.debian import PIP, fetch_group
from tools.toolchain.errors import SetupError
from tools.toolchain.paths import ROOT, SYSTEM_CERTIFICATES, VENV
from tools.toolchain.progress import Progress
from tools.toolchain.stamps import STAMP, digest, is_current, write_stamp

_LOCK, _DEMO_LOCK = ROOT / "requirements.lock", ROOT / "requirements-demo.lock"
_PACKAGE = re.compile(r"^(?:Collecting |(?:Processing|Obtaining) \S*/)([\w.]+(?:-[A-Za-z][\w.]*)*)", re.MULTILINE)
_SIZE = re.compile(r"^ +Downloading .*(\([\d.]+ \w+\))$")
_NETWORK = "check the network and run make setup again"


def make_python() -> None:
    """Update .venv to requirements.lock and pyproject.toml.

    Raises SetupError if Python is too old, the lock file is missing or a package cannot be fetched.
    """
    _make_python(_LOCK)


def make_demo_python() -> None:
    """Update .venv to requirements-demo.lock, unless it has all of requirements.lock already; see make_python."""
    _check_python(_LOCK)
    if not is_current(VENV, _inputs(_LOCK)):
        _make_python(_DEMO_LOCK)


def _make_python(lock: Path) -> None:
    _check_python(lock)
    if is_current(VENV, _inputs(lock)):
        return
    if not _is_usable():
        _make_empty()
    _install(lock)


def _inputs(lock: Path) -> str:
    return digest(sys.version, str(VENV), lock, ROOT / "pyproject.toml")


def _check_python(lock: Path) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - the user's python3 may be older
        raise SetupError(
            f"Python {sys.version.split()[0]} is too old", sys.executable, "run make with PYTHON=python3.11"
        )
    if not lock.exists():
        raise SetupError(f"{lock.name} is missing", str(lock), "restore it from the repository")


def _is_usable() -> bool:
    """Return whether it is complete, for this Python and folder, whose paths it contains."""
    if _unfinished_mark().exists() or not (VENV / "bin" / "pip").exists():
        return False
    settings = (VENV / "pyvenv.cfg").read_text() if (VENV / "pyvenv.cfg").exists() else ""
    fields = dict(line.split(" = ", 1) for line in settings.splitlines() if " = " in line)
    same_place = fields.get("command", "").endswith(f" {VENV}")
    return same_place and fields.get("version") == sys.version.split()[0] and _runs()


def _runs() -> bool:
    try:
        result = subprocess.run([VENV / "bin" / "python", "-m", "pip", "--version"], capture_output=True, check=False)
    except OSError:
        return False
    return result.returncode == 0


def _unfinished_mark() -> Path:
    # An environment cannot be created elsewhere and renamed, so this file marks an incomplete one.
    return VENV / f"{STAMP}.unfinished"


def _make_empty() -> None:
    step = Progress(f"create a virtual environment of Python {sys.version.split()[0]}")
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir()
    _unfinished_mark().touch()
    has_pip = importlib.util.find_spec("ensurepip") is not None
    venv.EnvBuilder(symlinks=True, with_pip=has_pip).create(VENV)
    if not has_pip:
        _install_pip(fetch_group(PIP))
    step.done()


def _install_pip(packages: Path) -> None:
    wheel = next((packages / "usr/share/python-wheels").glob("pip-*.whl"))
    # Python can run pip from its wheel, which is a zip file.
    run_logged("pip", [_python(), f"{wheel}/pip", "install", "--no-index", wheel], env=_environment(), remedy=_NETWORK)


def _install(lock: Path) -> None:
    step = Progress("install the Python packages")
    with _interruptible():
        # The file has a hash for every package; pip refuses any other file.
        pip_install(step, "--require-hashes", "--requirement", lock)
        pip_install(step, "--no-deps", "--no-build-isolation", "--editable", ROOT)
    write_stamp(VENV, _inputs(lock))
    step.done()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Mark the environment as incomplete while pip works.

    pip cleans up after its own failures, so only a kill leaves the mark.
    """
    _unfinished_mark().touch()
    try:
        yield
    except SetupError:
        _unfinished_mark().unlink()
        raise
    _unfinished_mark().unlink()


def pip_install(step: Progress, *arguments: str | Path) -> None:
    """Run `pip install` in the virtual environment. Raises SetupError with pip's error."""
    options = ["--disable-pip-version-check", "--no-input", "--no-compile", "--progress-bar=off"]
    before = _installed_count()
    run_logged(
        "pip",
        [_python(), "-m", "pip", "install", *options, *arguments],
        env=_environment(),
        tick=lambda: step.tick(_doing(log_file("pip").read_text(errors="replace"), _installed_count() - before)),
        remedy=_NETWORK,
    )


def _installed_count() -> int:
    return sum(1 for _ in VENV.glob("lib/python*/site-packages/*.dist-info"))


def _doing(log: str, installed: int) -> str:
    """Return what pip is doing: the package that it fetches, with its size, or how many it has installed."""
    packages = _PACKAGE.findall(log)
    if "\nInstalling collected packages" in log:
        return f"installed {installed} of {len(packages)} packages"
    size = _SIZE.match(log.rstrip().rpartition("\n")[2])
    return f"package {len(packages)}: {packages[-1]} {size[1] if size else ''}".rstrip() if packages else ""


def _python() -> Path:
    return VENV / "bin" / "python"


def _environment() -> dict[str, str]:
    """Return the environment, with fetched certificates for pip if the machine has none."""
    environment = dict(os.environ)
    if not SYSTEM_CERTIFICATES.exists() and not {"PIP_CERT", "SSL_CERT_FILE"} & environment.keys():
        environment["PIP_CERT"] = str(_fetched_certificates())
    return environment


def _fetched_certificates() -> Path:
    packages = fetch_group(PIP)
    bundle = packages / "certificates.pem"
    if not bundle.exists():
        authorities = sorted((packages / "usr/share/ca-certificates").rglob("*.crt"))
        bundle.write_bytes(b"".join(authority.read_bytes() for authority in authorities))
    return bundle
