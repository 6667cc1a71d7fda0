"""A package archive in a folder, for the real apt to read without a network."""

import hashlib
import subprocess
from pathlib import Path

_CONTROL = """\
Package: {name}
Version: {version}
Architecture: all
Maintainer: oncall <oncall@example.com>
Section: {section}
Depends: {depends}
Description: made for a test
"""


def build_package(folder: Path, name: str, *, version: str = "1", section: str = "misc", depends: str = "") -> Path:
    """Build a package with one file, /usr/share/NAME, that contains its version."""
    tree = folder / "trees" / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    control = _CONTROL.format(name=name, version=version, section=section, depends=depends)
    (tree / "DEBIAN" / "control").write_text(control.replace("Depends: \n", ""))
    (tree / "usr" / "share").mkdir(parents=True)
    (tree / "usr" / "share" / name).write_text(version)
    package = folder / f"{name}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, package], check=True, capture_output=True)
    return package


def build_archive(folder: Path, packages: list[Path], *, origin: str = "Debian", suite: str = "bookworm") -> str:
    """Write the indexes of an archive with these packages; return its line for sources.list."""
    lists = folder / "dists" / suite / "main" / f"binary-{_architecture()}"
    lists.mkdir(parents=True)
    text = "\n".join(_stanza(folder, package) for package in packages).encode()
    index = lists / "Packages"
    index.write_bytes(text)
    (folder / "dists" / suite / "Release").write_text(_release(folder / "dists" / suite, index, origin, suite))
    return f"deb [trusted=yes] file:{folder} {suite} main\n"


def _stanza(folder: Path, package: Path) -> str:
    described = subprocess.run(["dpkg-deb", "-f", package], check=True, capture_output=True, text=True).stdout
    place = folder / package.name
    place.write_bytes(package.read_bytes())
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    return f"{described}Filename: {package.name}\nSize: {place.stat().st_size}\nSHA256: {digest}\n"


def _release(folder: Path, index: Path, origin: str, suite: str) -> str:
    content = index.read_bytes()
    row = f" {hashlib.sha256(content).hexdigest()} {len(content)} {index.relative_to(folder)}"
    head = f"Origin: {origin}\nSuite: stable\nCodename: {suite}\nComponents: main\nArchitectures: {_architecture()}"
    return f"{head}\nDate: Mon, 01 Jan 2024 00:00:00 UTC\nSHA256:\n{row}\n"


def _architecture() -> str:
    result = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True)
    return result.stdout.strip()
