"""The typed model of what we run. Every level is a map, so that one environment variable can replace one value."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from inventory.durations import Duration
from inventory.queries import Query, conflicts
from inventory.secrets import Secret
from inventory.section import Name, Section


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"{name!r} is not an IANA time zone such as UTC or Europe/Berlin") from None
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]


def _at_most_one_source(block: Section, *keys: str) -> None:
    for key in keys:
        if getattr(block, key) is not None and getattr(block, f"{key}_file") is not None:
            raise ValueError(f"{key} and {key}_file are both set; keep one")


class PostgresTarget(Section):
    """A PostgreSQL server. `dsn` may only read; `admin_dsn` is the remediator's and the exporter never opens it.

    `queries` are the user's own SQL, by name.
    """

    dsn: SecretStr | None = None
    dsn_file: Path | None = None
    admin_dsn: SecretStr | None = None
    admin_dsn_file: Path | None = None
    refresh: Duration = timedelta(minutes=5)
    queries: dict[Name, Query] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sources(self) -> Self:
        _at_most_one_source(self, "dsn", "admin_dsn")
        if self.dsn is None and self.dsn_file is None:
            raise ValueError("needs dsn or dsn_file")
        return self

    def dsn_secret(self) -> Secret:
        return Secret("dsn", self.dsn, self.dsn_file)

    def admin_dsn_secret(self) -> Secret:
        return Secret("admin_dsn", self.admin_dsn, self.admin_dsn_file)


class RedisTarget(Section):
    """A Redis server and database. `url` may only read; `admin_url` is the remediator's."""

    url: SecretStr | None = None
    url_file: Path | None = None
    admin_url: SecretStr | None = None
    admin_url_file: Path | None = None

    @model_validator(mode="after")
    def _sources(self) -> Self:
        _at_most_one_source(self, "url", "admin_url")
        if self.url is None and self.url_file is None:
            raise ValueError("needs url or url_file")
        return self

    def url_secret(self) -> Secret:
        return Secret("url", self.url, self.url_file)

    def admin_url_secret(self) -> Secret:
        return Secret("admin_url", self.admin_url, self.admin_url_file)


class QueueTarget(Section):
    """The BullMQ queues of one prefix in one Redis of the same stack.

    `dead_letter` names a queue's dead-letter queue, with `{name}` for the queue's own name.
    """

    redis: Name
    prefix: Annotated[str, StringConstraints(min_length=1)] = "bull"
    names: Literal["discover"] | tuple[str, ...] = "discover"
    dead_letter: str | None = None
    refresh: Duration = timedelta(minutes=1)

    @model_validator(mode="after")
    def _dead_letter_names_the_queue(self) -> Self:
        if self.dead_letter is not None and "{name}" not in self.dead_letter:
            raise ValueError("dead_letter needs {name}, as in '{name}-dlq'")
        if self.names == ():
            raise ValueError("names is empty; list the queues or write 'discover'")
        return self


class DumpSource(Section):
    """How `run_backup` makes a new backup: a command that writes the dump to its standard output.

    The connection comes from `dsn` through libpq's environment variables, never on the command line. `check` reads
    the dump on its standard input and must end with 0 only if all of it is readable.
    """

    dsn: SecretStr | None = None
    dsn_file: Path | None = None
    command: tuple[str, ...] = ("pg_dump", "--format=custom", "--no-password", "--lock-wait-timeout=60s")
    check: tuple[str, ...] = ("pg_restore", "--file=/dev/null")
    timeout: Duration = timedelta(hours=2)

    @model_validator(mode="after")
    def _sources(self) -> Self:
        _at_most_one_source(self, "dsn")
        if not self.command or not self.check:
            raise ValueError("command and check are argument lists and can not be empty")
        return self

    def dsn_secret(self) -> Secret:
        return Secret("dump.dsn", self.dsn, self.dsn_file)


class BackupTarget(Section):
    """Backups of one kind in one folder of object storage (`s3://`, `gs://`, `az://`) or on disk (`file://`).

    `pattern` is the name of a backup with strptime fields, read in `zone`. `options` are the storage's settings and
    credentials; `options_file` is a YAML file of the same. `admin_options_file` is the remediator's, which may write.
    """

    url: str
    pattern: str
    kind: Literal["full", "log", "files", "config"] = "full"
    zone: Zone = "UTC"
    refresh: Duration = timedelta(minutes=5)
    options: dict[str, SecretStr] = Field(default_factory=dict)
    options_file: Path | None = None
    admin_options_file: Path | None = None
    dump: DumpSource | None = None

    @model_validator(mode="after")
    def _pattern_has_a_date(self) -> Self:
        if "/" in self.pattern:
            raise ValueError("pattern is a file name; put folders into url")
        try:
            datetime.strptime(datetime(2000, 1, 2, 3, 4, 5, tzinfo=UTC).strftime(self.pattern), self.pattern)  # noqa: DTZ007
        except (ValueError, re.error):
            raise ValueError(f"{self.pattern!r} can not be read back as a date; see Python's strptime") from None
        if not {"%d", "%j", "%s"} & set(re.findall(r"%.", self.pattern)):
            raise ValueError("pattern needs the day, as in db_%Y%m%d_%H%M%S.dump")
        return self


class HttpTarget(Section):
    """An endpoint that is probed with GET."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://")]
    status: Annotated[int, Field(ge=100, le=599)] = 200


def _written_as_text(value: object) -> object:
    """YAML 1.1 reads a bare 14:00 as the number 840, which would pass as 00:14."""
    if isinstance(value, int):
        raise ValueError('a time of day needs quotes, as in "14:00"')
    return value


TimeOfDay = Annotated[time, BeforeValidator(_written_as_text)]


class Window(Section):
    """A weekly span of time, half open, in a named zone. `to` before `from` ends on the next day."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...]
    start: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    zone: Zone = "UTC"

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.days or self.start == self.end:
            raise ValueError("the window is empty: it needs days, and `from` different from `to`")
        return self


class Freeze(Section):
    """A span of time, half open, in which nothing is remediated."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    start: datetime = Field(alias="from")
    end: datetime = Field(alias="to")
    reason: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("`from` and `to` need a zone, as in 2026-12-24T00:00:00Z")
        if self.end <= self.start:
            raise ValueError("`to` is not after `from`")
        return self


class Mode(StrEnum):
    """What a remediation may do for a stack."""

    OFF = "off"
    SHADOW = "shadow"
    APPROVE = "approve"
    AUTO = "auto"


class Breaker(Section):
    """Opens after `failures` failed or interrupted runs `within` a time; at once after an ineffective or unknown."""

    failures: Annotated[int, Field(ge=1)] = 2
    within: Duration = timedelta(hours=1)


class Protect(Section):
    """Sessions that are never touched, by role or by application name."""

    roles: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()


class RemediationSettings(Section):
    """How far one remediation may go for one stack. A key that the remediation has no use for is refused at start."""

    mode: Mode = Mode.SHADOW
    older_than: Duration | None = None
    max_items: Annotated[int, Field(ge=1)] | None = None
    batch: Annotated[int, Field(ge=1)] | None = None
    max_share: Annotated[float, Field(gt=0, le=1)] | None = None
    cooldown: Duration = timedelta(minutes=5)
    max_runs_per_hour: Annotated[int, Field(ge=1)] = 3
    breaker: Breaker = Breaker()
    min_firing: Duration = timedelta(0)
    settle: Duration = timedelta(seconds=5)
    verify_within: Duration = timedelta(minutes=2)
    approve_within: Duration = timedelta(hours=4)
    only_in: Name | None = None
    block_on: tuple[str, ...] = ()
    protect: Protect = Protect()

    @model_validator(mode="before")
    @classmethod
    def _bare_off(cls, data: object) -> object:
        """YAML 1.1 reads a bare `off` as false."""
        if isinstance(data, dict) and data.get("mode") is False:
            return {**data, "mode": Mode.OFF}
        return data

    @model_validator(mode="after")
    def _old_enough(self) -> Self:
        if self.older_than is not None and self.older_than < timedelta(seconds=1):
            raise ValueError("older_than is at least 1s; shorter would end sessions that work")
        return self


class StackLimits(Section):
    """Limits over all remediations of one stack."""

    max_runs_per_hour: Annotated[int, Field(ge=1)] = 10


class Storm(Section):
    """More targets or alerts than this `within` a time is an outage, not a fault: people look first."""

    targets: Annotated[int, Field(ge=1)] = 5
    alerts: Annotated[int, Field(ge=1)] = 20
    within: Duration = timedelta(minutes=5)
    cooldown: Duration = timedelta(minutes=10)


class Limits(Section):
    """Limits over all stacks."""

    max_runs_per_hour: Annotated[int, Field(ge=1)] = 30
    concurrency: Annotated[int, Field(ge=1)] = 1
    max_alert_age: Duration = timedelta(minutes=10)
    storm: Storm = Storm()


class Stack(Section):
    """One monitored product."""

    runbook_url: str = ""
    dashboard_url: str = ""
    postgres: dict[Name, PostgresTarget] = Field(default_factory=dict)
    redis: dict[Name, RedisTarget] = Field(default_factory=dict)
    queues: dict[Name, QueueTarget] = Field(default_factory=dict)
    backups: dict[Name, BackupTarget] = Field(default_factory=dict)
    http: dict[Name, HttpTarget] = Field(default_factory=dict)
    limits: StackLimits = StackLimits()
    windows: dict[Name, Window] = Field(default_factory=dict)
    freezes: dict[Name, Freeze] = Field(default_factory=dict)
    remediations: dict[Name, RemediationSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _references_exist(self) -> Self:
        for name, queues in self.queues.items():
            if queues.redis not in self.redis:
                raise ValueError(f"queues.{name}.redis: there is no redis {queues.redis!r}; {_has(self.redis)}")
        for name, remediation in self.remediations.items():
            window = remediation.only_in
            if window is not None and window not in self.windows:
                raise ValueError(f"remediations.{name}.only_in: there is no window {window!r}; {_has(self.windows)}")
        return self


def _has(known: Mapping[str, Section]) -> str:
    return f"the stack has {', '.join(sorted(known))}" if known else "the stack has none"


class Operator(Section):
    """A role whose bearer token may approve, reject and pause."""

    token_file: Path


class Contact(Section):
    """People to tell, as an Apprise address (`slack://…`, `mailto://…`, `json://…`)."""

    url: SecretStr | None = None
    url_file: Path | None = None

    @model_validator(mode="after")
    def _sources(self) -> Self:
        _at_most_one_source(self, "url")
        if self.url is None and self.url_file is None:
            raise ValueError("needs url or url_file")
        return self

    def url_secret(self) -> Secret:
        return Secret("url", self.url, self.url_file)


class Alertmanager(Section):
    """Where alerts come from. `repeat_interval` is that of the remediator's route."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://")]
    repeat_interval: Duration = timedelta(minutes=5)

    @model_validator(mode="after")
    def _no_secret_in_the_url(self) -> Self:
        if "@" in self.url:
            raise ValueError("url carries a user or a password, and would be shown in errors; leave it out")
        return self


class Inventory(Section):
    """The whole file."""

    alertmanager: Alertmanager | None = None
    operators: dict[Name, Operator] = Field(default_factory=dict)
    contacts: dict[Name, Contact] = Field(default_factory=dict)
    limits: Limits = Limits()
    stacks: dict[Name, Stack] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _queries_agree(self) -> Self:
        queries = (
            (f"stacks.{stack_name}.postgres.{target_name}", name, query)
            for stack_name, stack in self.stacks.items()
            for target_name, target in stack.postgres.items()
            for name, query in target.queries.items()
        )
        if problem := next(conflicts(queries), None):
            raise ValueError(problem)
        return self
