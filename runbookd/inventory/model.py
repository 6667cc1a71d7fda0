"""The typed model of the inventory.

Every level is a map, so that one environment variable can replace one value.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from runbookd.inventory.backup_target import BackupTarget
from runbookd.inventory.bounds import Freeze, Limits, RemediationSettings, StackLimits, Window
from runbookd.inventory.cache_keys import conflicts as key_conflicts
from runbookd.inventory.commands import CommandTarget
from runbookd.inventory.console import Console
from runbookd.inventory.constraints import Field
from runbookd.inventory.durations import Duration
from runbookd.inventory.duties import Duty
from runbookd.inventory.folders import FolderTarget
from runbookd.inventory.http import HttpTarget
from runbookd.inventory.numbers import NumbersTarget
from runbookd.inventory.postgres import PostgresTarget
from runbookd.inventory.queries import conflicts
from runbookd.inventory.queues import QueueTarget
from runbookd.inventory.redis import RedisTarget
from runbookd.inventory.reminders import Reminder
from runbookd.inventory.reports import WeeklyReport
from runbookd.inventory.search import SearchTarget
from runbookd.inventory.secrets import Secret
from runbookd.inventory.section import Name, Section, Zone, must_hold
from runbookd.inventory.services import ServiceTarget, reference_problems
from runbookd.inventory.url_section import UrlSection, WebUrl

# Parameters of links; those of Grafana's own (`var-…`, `orgId`, `from`) are no secrets.
_SECRET_NAME = re.compile(r"^(?!var-).*(token|secret|passw|api_?key|credential|signature|^auth)", re.IGNORECASE)


class EscalationStep(Section):
    """The contacts to notify `after` the first notification of an episode.

    With `only_while`, one of these alerts must also have fired for `after`: an outage that customers feel.
    """

    after: Duration = timedelta(0)
    contacts: Annotated[tuple[Name, ...], Field(min_length=1)]
    only_while: tuple[str, ...] = ()

    @property
    def is_immediate(self) -> bool:
        """Whether the engine notifies its contacts of every event at once."""
        return not self.after and not self.only_while


class Approvals(Section):
    """The rules of approvals. With `own`, the operator who starts a run in mode approve also approves it."""

    own: bool = True


class Stack(Section):
    """One monitored product. The console shows times in `zone` beside UTC; by default in that of its windows."""

    zone: Zone | None = None
    runbook_url: str = ""
    dashboard_url: str = ""
    postgres: dict[Name, PostgresTarget] = field(default_factory=dict)
    redis: dict[Name, RedisTarget] = field(default_factory=dict)
    queues: dict[Name, QueueTarget] = field(default_factory=dict)
    backups: dict[Name, BackupTarget] = field(default_factory=dict)
    http: dict[Name, HttpTarget] = field(default_factory=dict)
    search: dict[Name, SearchTarget] = field(default_factory=dict)
    numbers: dict[Name, NumbersTarget] = field(default_factory=dict)
    commands: dict[Name, CommandTarget] = field(default_factory=dict)
    services: dict[Name, ServiceTarget] = field(default_factory=dict)
    folders: dict[Name, FolderTarget] = field(default_factory=dict)
    limits: StackLimits = StackLimits()
    approvals: Approvals | None = None
    duties: dict[Name, Duty] = field(default_factory=dict)
    windows: dict[Name, Window] = field(default_factory=dict)
    freezes: dict[Name, Freeze] = field(default_factory=dict)
    escalation: dict[Name, EscalationStep] = field(default_factory=dict)
    reminders: dict[Name, Reminder] = field(default_factory=dict)
    remediations: dict[Name, RemediationSettings] = field(default_factory=dict)

    @must_hold
    def _references_exist(self) -> None:
        for name, queues in self.queues.items():
            if queues.redis not in self.redis:
                raise ValueError(f"queues.{name}.redis: there is no redis {queues.redis!r}; {_list_names(self.redis)}")
        for name, backup in self.backups.items():
            if backup.drill is not None and backup.drill.postgres not in self.postgres:
                reason = f"there is no postgres {backup.drill.postgres!r}; {_list_names(self.postgres)}"
                raise ValueError(f"backups.{name}.drill.postgres: {reason}")
        for name, remediation in self.remediations.items():
            window = remediation.only_in
            if window is not None and window not in self.windows:
                raise ValueError(
                    f"remediations.{name}.only_in: there is no window {window!r}; {_list_names(self.windows)}"
                )

    @must_hold
    def _keys_are_not_those_of_queues(self) -> None:
        if problem := next(
            self.key_conflicts(each for queues in self.queues.values() for each in queues.prefixes), None
        ):
            raise ValueError(problem)

    def key_conflicts(self, queue_prefixes: Iterable[str]) -> Iterator[str]:
        """Yield why keys that a run may remove or set may be those of queues with these prefixes."""
        keys = ((f"redis.{name}.{place}", text) for name, each in self.redis.items() for place, text in each.own_keys())
        return key_conflicts(keys, queue_prefixes)

    def named_contacts(self) -> Iterator[tuple[str, str]]:
        """Yield each contact that the stack names, with its place."""
        yield from (
            (f"escalation.{name}", contact) for name, step in self.escalation.items() for contact in step.contacts
        )
        yield from (
            (f"reminders.{name}", contact) for name, each in self.reminders.items() for contact in each.contacts
        )
        for window_name, window in self.windows.items():
            for name, announcement in window.announcements.items():
                yield from ((f"windows.{window_name}.announcements.{name}", each) for each in announcement.contacts)

    @must_hold
    def _services_refer_to_targets(self) -> None:
        targets = {kind: getattr(self, kind) for kind in ("postgres", "redis", "queues", "http", "services")}
        for key, reason in reference_problems(self.services, targets):
            raise ValueError(f"services.{key}: {reason}")

    @must_hold
    def _links_hold_no_secret(self) -> None:
        for key in ("runbook_url", "dashboard_url"):
            if _has_secret(getattr(self, key)):
                raise ValueError(f"{key} contains credentials, which pages and messages would show; remove them")

    @must_hold
    def _has_an_immediate_step(self) -> None:
        if self.escalation and not any(step.is_immediate for step in self.escalation.values()):
            raise ValueError("escalation: no step notifies at once; add one without `after` and `only_while`")


def _has_secret(link: str) -> bool:
    parts = urlsplit(link)
    return "@" in parts.netloc or any(_SECRET_NAME.search(name) for name, _ in parse_qsl(parts.query))


def _list_names(sections: Mapping[str, Section]) -> str:
    return f"the stack has {', '.join(map(repr, sorted(sections)))}" if sections else "the stack has none"


class Role(StrEnum):
    """The rights of an operator: read, also report deploys and duties, or everything."""

    VIEWER = "viewer"
    REPORTER = "reporter"
    OPERATOR = "operator"

    def includes(self, other: "Role") -> bool:
        """Return whether this role may do what `other` may do."""
        return list(Role).index(self) >= list(Role).index(other)


class Operator(Section):
    """A person or a program that reads, reports, or approves, starts and pauses, by its `role`.

    The bearer token in `token_file` is for the API and runbookctl; the password whose bcrypt hash is in
    `password_file` is for the console.
    """

    token_file: Path | None = None
    password_file: Path | None = None
    role: Role = Role.OPERATOR


class Contact(UrlSection):
    """A recipient of messages, as an Apprise address (`slack://…`, `mailto://…`, `json://…`)."""


class Alertmanager(UrlSection):
    """The source of the alerts. `repeat_interval` equals that of the remediator's route."""

    url: WebUrl = None
    repeat_interval: Duration = timedelta(minutes=5)

    def url_secret(self) -> Secret:
        """Return the secret of `alertmanager.url`."""
        return Secret("alertmanager.url", self.url, self.url_file)


class LedgerPlacement(Section):
    """Whether a ledger in PostgreSQL may be on a server that is a target: one outage would then take both."""

    same_server: bool = False


class Inventory(Section):
    """The whole inventory file."""

    alertmanager: Alertmanager | None = None
    operators: dict[Name, Operator] = field(default_factory=dict)
    console: Console = Console()
    contacts: dict[Name, Contact] = field(default_factory=dict)
    limits: Limits = Limits()
    approvals: Approvals = Approvals()
    ledger: LedgerPlacement = LedgerPlacement()
    reports: dict[Name, WeeklyReport] = field(default_factory=dict)
    stacks: dict[Name, Stack] = field(default_factory=dict)

    @must_hold
    def _contacts_exist(self) -> None:
        for place, contact in self._named_contacts():
            if contact not in self.contacts:
                contact_names = ", ".join(sorted(self.contacts)) or "none"
                reason = f"there is no contact {contact!r}; the inventory has {contact_names}"
                raise ValueError(f"{place}.contacts: {reason}")

    def _named_contacts(self) -> Iterator[tuple[str, str]]:
        """Yield each contact that the inventory names, with its place."""
        yield from ((f"reports.{name}", contact) for name, each in self.reports.items() for contact in each.contacts)
        for stack_name, stack in self.stacks.items():
            yield from ((f"stacks.{stack_name}.{place}", contact) for place, contact in stack.named_contacts())

    @must_hold
    def _stacks_of_reports_exist(self) -> None:
        for name, report in self.reports.items():
            if report.stack is not None and report.stack not in self.stacks:
                stack_names = ", ".join(sorted(self.stacks)) or "none"
                reason = f"there is no stack {report.stack!r}; the inventory has {stack_names}"
                raise ValueError(f"reports.{name}.stack: {reason}")

    @must_hold
    def _operators_have_a_credential(self) -> None:
        for name, operator in self.operators.items():
            if operator.token_file is None and operator.password_file is None and self.console.proxy_header is None:
                raise ValueError(f"operators.{name}: needs token_file (API, runbookctl) or password_file (console)")

    @must_hold
    def _keys_are_not_those_of_other_queues(self) -> None:
        """Stacks may share a server."""
        queues = (each for stack in self.stacks.values() for each in stack.queues.values())
        prefixes = {prefix for each in queues for prefix in each.prefixes}
        for name, stack in self.stacks.items():
            if problem := next(stack.key_conflicts(prefixes), None):
                raise ValueError(f"stacks.{name}.{problem}")

    @must_hold
    def _queries_agree(self) -> None:
        queries = (
            (f"stacks.{stack_name}.postgres.{target_name}", name, query)
            for stack_name, stack in self.stacks.items()
            for target_name, target in stack.postgres.items()
            for name, query in target.queries.items()
        )
        if problem := next(conflicts(queries), None):
            raise ValueError(problem)


def own_approvals(inventory: Inventory, stack: str) -> bool:
    """Return whether the operator who starts a run of `stack` may also approve it; the stack's own rule wins."""
    settings = inventory.stacks.get(stack)
    rule = settings.approvals if settings is not None and settings.approvals is not None else inventory.approvals
    return rule.own
