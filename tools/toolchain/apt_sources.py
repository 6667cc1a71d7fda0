"""Picks, of the package sources that this machine knows, Debian's own.

A machine may know any number of other archives, some of them broken or out of reach, some of them with newer packages
of the same names. None of them may matter here. The formats are those of sources.list(5).
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
    """One archive: where, which suites of it, and the fields that say how to trust it, as written."""

    uris: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    trust: tuple[tuple[str, str], ...] = ()

    def stanza(self) -> str:
        """The deb822 form, limited to the component main."""
        lines = ["Types: deb", f"URIs: {self.uris}", f"Suites: {' '.join(self.suites)}", "Components: main"]
        return "\n".join([*lines, *(f"{name}:{value}" for name, value in self.trust)]) + "\n"


def debian_sources(apt_folder: Path, codename: str, suite: str = "") -> list[Source]:
    """The machine's sources of this release (with its updates and security suites) that have a component main.

    `suite` names another one of the same archives, which the machine itself may not use: an addition to the release,
    such as its backports, comes with the release; another release comes alone. Raises SetupError when there is none.
    """
    wanted_suites = {codename, f"{codename}-updates", f"{codename}-security"}
    sources = [narrowed for source in _all_sources(apt_folder) if (narrowed := _narrow(source, wanted_suites))]
    if not sources:
        raise SetupError(
            f"no package source of Debian {codename} with component main", str(apt_folder), "add one to sources.list"
        )
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
    # A file that only root may read belongs to an archive with a password: not one of Debian's.
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def parse_one_line(text: str) -> Iterator[Source]:
    """Reads the `deb [options] uri suite components` format."""
    for line in text.splitlines():
        if match := _ONE_LINE.match(line.partition("#")[0].strip()):
            options = dict(item.split("=", 1) for item in (match["options"] or "").split() if "=" in item)
            trust = tuple((_OPTION_FIELDS[key], f" {value}") for key, value in options.items() if key in _OPTION_FIELDS)
            yield Source(match["uri"], (match["suite"],), tuple(match["components"].split()), trust)


def parse_deb822(text: str) -> Iterator[Source]:
    """Reads the stanza format; disabled stanzas and those without binary packages are left out."""
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").strip() == "no":
            continue
        trust = tuple((name, fields[key]) for key, name in _OPTION_FIELDS.items() if key in fields)
        words = {key: tuple(fields.get(key, "").split()) for key in ("suites", "components")}
        yield Source(" ".join(fields.get("uris", "").split()), words["suites"], words["components"], trust)


def _fields(stanza: str) -> dict[str, str]:
    """Field names in lower case; values keep their continuation lines, since a key may stand in Signed-By itself."""
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
