"""Keeps a module out of a process in which a library would load it without using it."""

import sys
from types import ModuleType


def keep_out(name: str) -> None:
    """Let every later import of `name` fail; call it before the library that treats `name` as optional is imported."""
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]  # None marks a missing module
    modules.setdefault(name, None)
