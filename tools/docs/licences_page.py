"""docs/reference/licences.md: every package that an installation of runbookd contains, with its licence."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from tools.docs import REFERENCE, ROOT
from tools.docs.page_parts import replace_part, table

LOCK = ROOT / "requirements-runtime.lock"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", re.MULTILINE)
_CLASSIFIER = "License :: OSI Approved :: "
_LONGEST = 40  # characters: older packages repeat the whole text of their licence
# Packages that name their licence in their LICENSE file alone.
_FROM_FILE = {"pyrage": "MIT"}


def licences_page() -> Iterator[tuple[Path, str]]:
    """Yield the page with its table generated again."""
    file = REFERENCE / "licences.md"
    pinned = _PINNED.findall(LOCK.read_text(encoding="utf-8"))
    rows = [[name, version, licence_of(name)] for name, version in pinned if is_installed(name)]
    yield file, replace_part(file, table([["package", "version", "licence"], *rows]))


def is_installed(name: str) -> bool:
    """Return whether this platform needs the package; colorama, for example, is for Windows only."""
    try:
        return bool(metadata(name))
    except PackageNotFoundError:
        return False


def licence_of(name: str) -> str:
    """Return the licence that the package declares, as an SPDX expression where it has one."""
    declared = metadata(name).json
    classifiers = [each for each in declared.get("classifier", ()) if each.startswith(_CLASSIFIER)]
    named = ", ".join(each.removeprefix(_CLASSIFIER) for each in classifiers)
    texts = (declared.get("license_expression"), _FROM_FILE.get(name), declared.get("license"), named)
    return next((str(text) for text in texts if text and len(text) <= _LONGEST), "unknown")
