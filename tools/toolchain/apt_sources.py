"""Selects Debian's own archives among the package sources of this machine.

A machine may have other archives, which may be broken or unreachable, or have newer packages of the same names. They
must not matter here. For the formats see sources.list(5).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.toolchain.errors import SetupError

_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^]]*)]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$")
_OPTION_FIELDS = {"signed-by": "Signed-By", "trusted": "Trusted", "check-valid-until": "Check-Valid-Until"}


@dataclass(frozen=True)
class Source:
    """An archive: its URIs, its suites, and the fields about trust as written in the file."""

    uris: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    trust: tuple[tuple[str, str], ...] = ()

    def stanza(self) -> str:
        """Return the deb822 form with only the component main."""
        lines = ["Types: deb", f"URIs: {self.uris}", f"Suites: {' '.join(self.suites)}", "Components: main"]
        return "\n".join([*lines, *(f"{name}:{value}" for name, value in self.trust)]) + "\n"


def debian_sources(apt_folder: Path, codename: str, suite: str = "") -> list[Source]:
    """Return the machine's sources of Debian main: this release, updates and security.

    `suite` selects another suite of the same archives, which the machine itself need not use: backports are returned
    together with the release, another release alone. Raises SetupError if there are no sources.
    """
    wanted_suites = {codename, f"{codename}-updates", f"{codename}-security"}
    sources = [narrowed for source in _all_sources(apt_folder) if (narrowed := _narrow(source, wanted_suites))]
    if not sources:
        raise SetupError(f"no package source for Debian {codename} main", str(apt_folder), "add one to sources.list")
    if not suite:
        return sources
    others = [Source(each.uris, (suite,), each.components, each.trust) for each in sources if codename in each.suites]
    return [*sources, *others] if suite.startswith(f"{codename}-") else others


def _narrow(source: Source, wanted_suites: set[str]) -> Source | None:
    suites = tuple(suite for suite in source.suites if suite in wanted_suites)
    if not suites or "main" not in source.components:
        return None
    return Source(source.uris, suites, source.components, source.trust)


def _all_sources(apt_folder: Path) -> Iterator[Source]:
    parts = apt_folder / "sources.list.d"
    for file in (apt_folder / "sources.list", *sorted(parts.glob("*.list"))):
        yield from parse_one_line(_read(file))
    for file in sorted(parts.glob("*.sources")):
        yield from parse_deb822(_read(file))


def _read(file: Path) -> str:
    # A file that only root may read is for an archive with a password, so not one of Debian's.
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def parse_one_line(text: str) -> Iterator[Source]:
    """Yield the sources in the format `deb [options] uri suite components`."""
    for line in text.splitlines():
        if match := _ONE_LINE.match(line.partition("#")[0].strip()):
            options = dict(item.split("=", 1) for item in (match["options"] or "").split() if "=" in item)
            trust = tuple((_OPTION_FIELDS[key], f" {value}") for key, value in options.items() if key in _OPTION_FIELDS)
            yield Source(match["uri"], (match["suite"],), tuple(match["components"].split()), trust)


def parse_deb822(text: str) -> Iterator[Source]:
    """Yield the enabled sources of binary packages in the stanza format."""
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").strip() == "no":
            continue
        trust = tuple((name, fields[key]) for key, name in _OPTION_FIELDS.items() if key in fields)
        words = {key: tuple(fields.get(key, "").split()) for key in ("suites", "components")}
        yield Source(" ".join(fields.get("uris", "").split()), words["suites"], words["components"], trust)


def _fields(stanza: str) -> dict[str, str]:
    """Return the fields by lower-case name; values keep lines (a key in Signed-By)."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')}\n{line}"
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value
    return fields
