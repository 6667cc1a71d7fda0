"""Determines the packages to fetch for a program: its own and its shared libraries."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tools.toolchain.errors import SetupError

# 110 MB that only PostgreSQL's just-in-time compiler uses; our servers run with jit=off.
_EXCLUDED = frozenset({"libllvm14"})
_NAME = re.compile(r"^[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True)
class Package:
    """A package. `needs` has the alternatives of each dependency; `size` is in bytes."""

    name: str
    version: str
    sha256: str
    section: str
    size: int
    essential: bool
    needs: tuple[tuple[str, ...], ...]


def parse_available(text: str) -> dict[str, Package]:
    """Parse the output of `apt-cache dumpavail`."""
    packages = (_package(stanza) for stanza in text.split("\n\n") if stanza.startswith("Package:"))
    return {package.name: package for package in packages}


def fetch_list(available: Mapping[str, Package], package_names: Iterable[str]) -> list[Package]:
    """Return the packages and their shared libraries, except those on every Debian system.

    Other dependencies (scripts that create users and services, web assets) are ignored: nothing is installed, so they
    would not run. Raises SetupError for a package that no archive has.
    """
    base = _base_system(available)
    packages: dict[str, Package] = {}
    queue = [_require(available, name) for name in package_names]
    while queue:
        package = queue.pop()
        if package.name in packages:
            continue
        packages[package.name] = package
        dependencies = _dependencies(available, package)
        queue += [each for each in dependencies if _is_library(each) and each.name not in base | _EXCLUDED]
    return sorted(packages.values(), key=lambda package: package.name)


def _base_system(available: Mapping[str, Package]) -> frozenset[str]:
    """Return what every machine with apt has: essential packages, apt, dependencies."""
    seen: set[str] = set()
    queue = [package for package in available.values() if package.essential or package.name == "apt"]
    while queue:
        package = queue.pop()
        if package.name not in seen:
            seen.add(package.name)
            queue += _dependencies(available, package)
    return frozenset(seen)


def _dependencies(available: Mapping[str, Package], package: Package) -> list[Package]:
    """Return for each dependency the first alternative that an archive has under its own name."""
    chosen = (next((name for name in group if name in available), None) for group in package.needs)
    return [available[name] for name in chosen if name]


def _is_library(package: Package) -> bool:
    return package.section.rpartition("/")[2] == "libs"


def _require(available: Mapping[str, Package], name: str) -> Package:
    if name not in available:
        raise SetupError(
            f"package {name} not found in any archive", "package sources of this machine", "use Debian 12 (bookworm)"
        )
    return available[name]


def _package(stanza: str) -> Package:
    fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and not line[0].isspace())
    depends = ", ".join(fields[name] for name in ("Pre-Depends", "Depends") if name in fields)
    return Package(
        name=fields["Package"],
        version=fields.get("Version", ""),
        sha256=fields.get("SHA256", ""),
        section=fields.get("Section", ""),
        size=int(fields.get("Size", "0")),
        essential=fields.get("Essential") == "yes",
        needs=tuple(_names(group.split("|")) for group in depends.split(",") if group.strip()),
    )


def _names(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(match[0] for text in texts if (match := _NAME.match(text.strip())))
