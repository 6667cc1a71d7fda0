"""The paths of the demo, all in one folder of the checkout that Git ignores."""

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
        """Shell lines KEY=value for scripts. Written last: exists only while the demo is up."""
        return self.root / "env"

    @property
    def report(self) -> Path:
        """The report of the last loop."""
        return self.root / "report.json"

    @property
    def ports(self) -> Path:
        """The ports of the parts."""
        return self.root / "ports.json"

    @property
    def notifications(self) -> Path:
        """The received notifications, one JSON line each."""
        return self.root / "notifications.jsonl"

    @property
    def ledger(self) -> Path:
        """The remediator's ledger."""
        return self.root / "ledger.db"

    @property
    def secrets(self) -> Path:
        """The folder of secrets, one file each."""
        return self.root / "secrets"

    @property
    def config(self) -> Path:
        """The folder of configuration files."""
        return self.root / "config"

    @property
    def parts(self) -> Path:
        """The folder with one folder per process: its record, its log and its data."""
        return self.root / "parts"

    def part(self, name: str) -> Path:
        """Return the folder of the part `name`."""
        return self.parts / name

    @property
    def incidents(self) -> Path:
        """The folder of injections, one JSON file each."""
        return self.root / "incidents"

    @property
    def dead_letters(self) -> Path:
        """The folder of the archives of dead letters."""
        return self.root / "dead-letters"

    @property
    def exports(self) -> Path:
        """The folder of the product's exports, which fills up."""
        return self.root / "exports"

    def create(self) -> None:
        """Create the folders, readable by this user only: they hold passwords."""
        own = (self.root, self.secrets, self.config, self.parts, self.incidents, self.dead_letters, self.exports)
        for folder in own:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def secret(self, name: str) -> str:
        """Return the secret `name` from its file."""
        return (self.secrets / name).read_text(encoding="utf-8").strip()

    def write_secret(self, name: str, text: str) -> None:
        """Write a secret file that only this user can read."""
        write_private(self.secrets / name, text)


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` atomically with mode 0600: a reader sees the old or the new text."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)
