"""Installs the check of commit messages as Git's commit-msg hook."""

import subprocess
from pathlib import Path

from tools.toolchain.paths import ROOT

_HOOK = """#!/bin/sh
# Installed by `make setup`: refuses a message that is not `area: imperative summary`.
exec python3 "$(git rev-parse --show-toplevel)/tools/commit_message.py" "$1"
"""


def install_commit_hook(checkout: Path = ROOT) -> None:
    """Write the hook, unless one exists already or the folder is not a Git checkout."""
    folder = _hooks_folder(checkout)
    if folder is None or (hook := folder / "commit-msg").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    hook.write_text(_HOOK, encoding="utf-8")
    hook.chmod(0o755)


def _hooks_folder(checkout: Path) -> Path | None:
    """Return Git's hooks folder, which a worktree and `core.hooksPath` move."""
    if not (checkout / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--git-path", "hooks"], cwd=checkout, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return checkout / answer.stdout.strip()
