"""Writes the folder of a new installation: inventory, numbers, rules, boards, grants and secrets."""

import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from runbookctl.accounts import alertmanager_account, share_token
from runbookctl.errors import InitError
from runbookctl.starter.postgres_roles import PostgresPlace
from runbookctl.starter.prometheus_rules import write_prometheus_rules
from runbookctl.starter.redis_users import RedisPlace
from runbookctl.starter.runbook_sets import Modes, Runbook, runbook_set
from runbookctl.starter.shipped import shipped

INVENTORY, PROMETHEUS, ALERTMANAGER = "inventory.yml", "prometheus.yml", "alertmanager.yml"
THRESHOLDS, POLICY_TESTS, README = "thresholds.yml", "policy_tests.yml", "README.md"
TOKENS = ("webhook_token", "oncall_token")
# Each folder has its place in the repository, because messages and pages name files by it. The value: what is left out.
COPIES = {
    "alert_rules": ("thresholds", "README.md"),  # other stacks' numbers
    "deploy": ("runbooks", "compose"),
    "docs": ("pictures", "coverage"),  # 5 MB, and the source of a page
    "grafana/dashboards": (),
    "grafana/provisioning": (),
}
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_PLACE = re.compile(r"[\w.-]+:\d{1,5}")
_PATH = re.compile(r"[A-Za-z0-9._+@/-]+")
_ALERTMANAGER = "127.0.0.1:9093"  # in each text that names one
_templates = Environment(
    loader=PackageLoader("runbookctl.starter"),
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701 - no HTML, and every value is a plain name
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class Starter:
    """A stack with its servers; the texts are those of a runbook, if one is named."""

    stack: str
    postgres: PostgresPlace | None
    redis: RedisPlace | None
    runbook: Runbook | None = None
    modes: Modes = "shadow"
    alertmanager: str = _ALERTMANAGER

    def texts(self, folder: Path) -> Mapping[str, str]:
        """Return the text of each file."""
        own = self._own_texts(folder) if self.runbook is None else runbook_set(self.runbook, self.stack, self.modes)
        texts = {**own, README: self._render(README, folder)}
        placed = {name: text.replace("/etc/runbookd", str(folder)) for name, text in texts.items()}
        return {name: text.replace(_ALERTMANAGER, self.alertmanager) for name, text in placed.items()}

    def secret_files(self) -> Mapping[str, str]:
        """Return the text of each file in `secrets`."""
        texts = {name: f"{secrets.token_hex(24)}\n" for name in TOKENS}
        places = [place for place in (self.postgres, self.redis) if place is not None]
        return texts | {name: text for place in places for name, text in place.secret_files().items()}

    def _own_texts(self, folder: Path) -> dict[str, str]:
        rendered = {name: self._render(name, folder) for name in (INVENTORY, POLICY_TESTS, THRESHOLDS, ALERTMANAGER)}
        return {**rendered, PROMETHEUS: shipped(f"deploy/{PROMETHEUS}").read_text(encoding="utf-8")}

    def _render(self, name: str, folder: Path) -> str:
        token = share_token(folder / "secrets" / "webhook_token", alertmanager_account())
        values = {"stack": self.stack, "postgres": self.postgres, "redis": self.redis, "runbook": self.runbook}
        return _templates.get_template(name).render(folder=folder, token_command=token, **values)


def write_set(folder: Path, starter: Starter) -> None:
    """Write all files.

    Raises:
        InitError: the folder is not empty or cannot be written, or a file is not installed.
    """
    _check_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InitError(f"{folder} is not empty; choose a new folder")
        for name, text in starter.texts(folder).items():
            (folder / name).write_text(text, encoding="utf-8")
        for name, left_out in COPIES.items():
            shutil.copytree(shipped(name), folder / name, ignore=shutil.ignore_patterns(*left_out))
        write_prometheus_rules(folder)
        _write_secrets(folder / "secrets", starter.secret_files())
    except OSError as error:
        raise InitError(f"cannot write to {folder}: {error.strerror}") from None


def check_stack(name: str) -> None:
    """Refuse a name that no stack can have. Raises InitError."""
    if not _NAME.fullmatch(name):
        raise InitError(
            f"--stack {name!r} is not a valid name: use lower-case letters, digits and single underscores (my_shop)"
        )


def check_alertmanager(place: str) -> None:
    """Refuse what is not HOST:PORT. Raises InitError."""
    if not _PLACE.fullmatch(place) or not 0 < int(place.rpartition(":")[2]) < 65_536:
        raise InitError("--alertmanager: write it as HOST:PORT, such as 127.0.0.1:9093")


def _check_path(folder: Path) -> None:
    if not _PATH.fullmatch(str(folder)):  # it stands in YAML and in commands to copy
        raise InitError(f"{folder}: choose a folder whose path has only letters, digits and . _ - + @ /")


def _write_secrets(folder: Path, texts: Mapping[str, str]) -> None:
    folder.mkdir(mode=0o700)
    for name, text in texts.items():
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
