"""Rule files of another release: after an upgrade, the rules that Prometheus loads are still the old ones."""

from collections.abc import Iterator
from pathlib import Path

from runbookctl.check.rules import RuleSet
from runbookctl.starter.shipped import shipped
from runbookd.service.version import VERSION

_NEEDED = "alert_rules"
_FOLDERS = (_NEEDED, "alert_rules/adapters", "alert_rules/compat")


def notes(rules: RuleSet) -> Iterator[str]:
    """Name the files that differ from those of this release, and those that only one of both has. Raises InitError."""
    folders = {Path(name).name: shipped(name) for name in _FOLDERS}
    loaded = [file for file in rules.files if file.parent.name in folders]
    for file in loaded:
        yield from _difference(file, folders[file.parent.name] / file.name)
    for folder in dict.fromkeys(file.parent for file in loaded if file.parent.name == _NEEDED):
        yield from _new_files(folder, folders[_NEEDED])


def _difference(file: Path, source: Path) -> Iterator[str]:
    if not source.exists():
        yield f"{file} is not a file of runbookd {VERSION}; delete it, unless you wrote it"
    elif source.read_bytes() != file.read_bytes():
        yield f"{file} differs from that of runbookd {VERSION}; replace it: cp {source} {file}"


def _new_files(folder: Path, source: Path) -> Iterator[str]:
    for file in sorted(source.glob("*.yml")):
        if not (folder / file.name).exists():
            yield f"{folder} lacks {file.name} of runbookd {VERSION}; add it: cp {file} {folder / file.name}"
