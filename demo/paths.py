"""Where everything of the demo lies: one folder in the checkout, which git ignores, and nothing outside it."""

import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class DemoPaths:
    """The paths below one demo's folder."""

    root: Path = CHECKOUT / ".demo"

    @property
    def env(self) -> Path:
        """Shell lines KEY=value for scripts. Written last, so that it exists only while all of the demo is up."""
        return self.root / "env"

    @property
    def report(self) -> Path:
        return self.root / "report.json"

    @property
    def ports(self) -> Path:
        return self.root / "ports.json"

    @property
    def notifications(self) -> Path:
        """What people were told, one JSON line each."""
        return self.root / "notifications.jsonl"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.db"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def parts(self) -> Path:
        """One folder for each process: its record, its log and its data."""
        return self.root / "parts"

    def part(self, name: str) -> Path:
        """The folder of the part `name`."""
        return self.parts / name

    @property
    def incidents(self) -> Path:
        """What was injected, one JSON file an incident."""
        return self.root / "incidents"

    def create(self) -> None:
        """Create the folders, closed to everybody else: they hold passwords."""
        for folder in (self.root, self.secrets, self.config, self.parts, self.incidents):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def secret(self, name: str) -> str:
        """The secret `name` as it stands in its file."""
        return (self.secrets / name).read_text(encoding="utf-8").strip()

    def write_secret(self, name: str, text: str) -> None:
        """Write a new secret file that only this user can read, from its first byte on."""
        write_private(self.secrets / name, text)


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` with mode 0600 and all at once: a reader sees the old text or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
