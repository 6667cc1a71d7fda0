"""Rule files of another release: after an upgrade, the rules that Prometheus loads are still the old ones."""

from collections.abc import Iterator
from pathlib import Path

from runbookctl.check.rules import RuleSet
from runbookctl.starter.shipped import shipped
from runbookd.service.version import VERSION

_FOLDERS = ("alert_rules", "alert_rules/adapters", "alert_rules/compat")


def notes(rules: RuleSet) -> Iterator[str]:
    """Name the files that differ from those of this release, and those that it no longer has. Raises InitError."""
    folders = {Path(name).name: shipped(name) for name in _FOLDERS}
    for file in rules.files:
        folder = folders.get(file.parent.name)
        if folder is None or file.parent.resolve() == folder.resolve():
            continue
        source = folder / file.name
        if not source.exists():
            yield f"{file} is not a file of runbookd {VERSION}; delete it, unless you wrote it"
        elif source.read_bytes() != file.read_bytes():
            yield f"{file} differs from that of runbookd {VERSION}; replace it: cp {source} {file}"
