"""Builds the source archive and the wheel, with the same bytes every time, and installs the wheel.

It needs no network: setuptools is one of the pinned packages of the checkout's environment.
"""

import gzip
import io
import os
import shutil
import sys
import sysconfig
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.release.outside import run_outside
from tools.toolchain.paths import ROOT

PROGRAMS = ("runbook-exporter", "runbook-remediator", "runbookctl")
_MODULES = ("exporter.main", "remediator.main", "runbookctl.main", "runbookd.service")
_OLDEST = 315_532_800  # 1980: an earlier time cannot stand in a wheel
_PLAIN, _PROGRAM = 0o644, 0o755


class PackageError(Exception):
    """A package cannot be built or used: what failed, and why."""


def build_packages(folder: Path, source: Path = ROOT) -> tuple[Path, Path]:
    """Build the source archive of a checkout, and the wheel from that archive; return both."""
    with TemporaryDirectory(prefix="runbookd-build-") as name:
        copy, unpacked = Path(name) / "source", Path(name) / "unpacked"
        time = _copy_source(source, copy)
        archive = _build("build_sdist", copy, folder, time)
        _normalize(archive, time)
        return archive, build_wheel(archive, folder, unpacked)


def build_wheel(archive: Path, folder: Path, work: Path) -> Path:
    """Build the wheel from a source archive, which is unpacked below `work`."""
    with tarfile.open(archive) as file:
        time = max(member.mtime for member in file.getmembers())
        file.extractall(work, filter="data")
    (unpacked,) = work.iterdir()
    return _build("build_wheel", unpacked, folder, int(time))


def install_wheel(wheel: Path, environment: Path) -> Path:
    """Install a wheel in an environment of its own, and return the folder of its commands.

    It finds its dependencies in the environment of this process. Raises PackageError if a command or a module of the
    product would come from elsewhere.
    """
    _run([sys.executable, "-m", "venv", "--without-pip", "--clear", environment])
    python = environment / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", "--no-index", "--no-deps", "--no-compile", wheel])
    packages = Path(_run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]))
    # A plain entry of the path: the `.pth` files in it, one of which leads to the checkout, are not read.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    require_own_modules(python, packages)
    return python.parent


def require_own_modules(python: Path, packages: Path) -> None:
    """Require that the product's modules and commands come from `packages`. Raises PackageError."""
    code = f"import {', '.join(_MODULES)}, sys; print(*(sys.modules[each].__file__ for each in {_MODULES}), sep='\\n')"
    for file in _run([python, "-c", code]).splitlines():
        if not Path(file).is_relative_to(packages):
            raise PackageError(f"{file} is not from the wheel, which is in {packages}")
    for program in PROGRAMS:
        _run([python.parent / program, "--version"])


def _copy_source(source: Path, copy: Path) -> int:
    """Copy the files that Git knows or would add, with modes that no umask changes; return the time of the commit."""
    listed = _run(["git", "-C", source, "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    for name in filter(None, listed.split("\0")):
        if (file := source / name).is_file() and not file.is_symlink():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            target.chmod(_PROGRAM if os.access(file, os.X_OK) else _PLAIN)
    try:
        return max(_OLDEST, int(_run(["git", "-C", source, "log", "-1", "--format=%ct"])))
    except PackageError:  # without a commit
        return _OLDEST


def _build(hook: str, source: Path, folder: Path, time: int) -> Path:
    """Call a hook of the build backend, and return the file that it has written."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="runbookd-out-") as output:
        code = f"from setuptools import build_meta; build_meta.{hook}({output!r})"
        _run([sys.executable, "-c", code], source, {"SOURCE_DATE_EPOCH": str(time)})
        (built,) = Path(output).iterdir()
        return Path(shutil.move(built, folder / built.name))


def _normalize(archive: Path, time: int) -> None:
    """Write the archive again: sorted, with one time, one owner and two modes."""
    with tarfile.open(archive) as file:
        members = [(member, file.extractfile(member)) for member in file.getmembers() if member.isfile()]
        contents = {member.name: (member, data.read()) for member, data in members if data is not None}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new:
        for name, (member, data) in sorted(contents.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), time, _PROGRAM if member.mode & 0o100 else _PLAIN
            new.addfile(info, io.BytesIO(data))
    archive.write_bytes(gzip.compress(plain.getvalue(), mtime=0))


def _run(command: Sequence[str | Path], cwd: Path | None = None, variables: Mapping[str, str] | None = None) -> str:
    """Return what a command prints, without the checkout in its way. Raises PackageError with its last lines."""
    result = run_outside(command, cwd or Path("/"), variables)
    if result.returncode:
        last = "\n".join((result.stderr or result.stdout).strip().splitlines()[-5:])
        raise PackageError(f"{Path(command[0]).name} ended with {result.returncode}: {last}")
    return result.stdout.strip()
