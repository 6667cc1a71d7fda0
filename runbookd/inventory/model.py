"""The typed model of what we run. Every level is a map, so that one environment variable can replace one value."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import NoneType
from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from runbookd.inventory.backup_target import BackupTarget
from runbookd.inventory.bounds import Freeze, Limits, RemediationSettings, StackLimits, Window
from runbookd.inventory.durations import Duration
from runbookd.inventory.queries import Query, conflicts
from runbookd.inventory.secrets import Secret
from runbookd.inventory.section import Name, Section, at_most_one_source


class PostgresTarget(Section):
    """A PostgreSQL server. `dsn` may only read; `admin_dsn` is the remediator's and the exporter never opens it.

    `databases` are shell patterns of the databases, beside that of the address, whose tables are read too.
    `statement_texts`: what the most expensive statements say is exported. `queries` are the user's own SQL, by name.
    """

    dsn: SecretStr | None = None
    dsn_file: Path | None = None
    admin_dsn: SecretStr | None = None
    admin_dsn_file: Path | None = None
    refresh: Duration = timedelta(minutes=5)
    databases: tuple[str, ...] = ()
    statement_texts: bool = False
    queries: dict[Name, Query] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sources(self) -> Self:
        at_most_one_source(self, "dsn", "admin_dsn")
        if self.dsn is None and self.dsn_file is None:
            raise ValueError("needs dsn or dsn_file")
        return self

    def dsn_secret(self) -> Secret:
        return Secret("dsn", self.dsn, self.dsn_file)

    def admin_dsn_secret(self) -> Secret:
        return Secret("admin_dsn", self.admin_dsn, self.admin_dsn_file)


class PrefixSettings(Section):
    """What is told of the keys with one prefix besides their count: `top` is how many of the highest counters."""

    top: Annotated[int, Field(ge=0, le=100)] = 0


class RedisTarget(Section):
    """A Redis server and database. `url` may only read; `admin_url` is the remediator's.

    `prefixes` are beginnings of keys, each with a `*` after it, that are counted in the background every `refresh`.
    """

    url: SecretStr | None = None
    url_file: Path | None = None
    admin_url: SecretStr | None = None
    admin_url_file: Path | None = None
    prefixes: dict[str, PrefixSettings] = Field(default_factory=dict)
    refresh: Duration = timedelta(minutes=5)

    @model_validator(mode="after")
    def _sources(self) -> Self:
        at_most_one_source(self, "url", "admin_url")
        if self.url is None and self.url_file is None:
            raise ValueError("needs url or url_file")
        return self

    @model_validator(mode="after")
    def _prefixes_end_with_a_star(self) -> Self:
        for prefix in self.prefixes:
            if prefix == "*" or prefix.find("*") != len(prefix) - 1:
                raise ValueError(f"prefixes: {prefix!r} is no beginning of keys with a * after it, as in 'rl:*'")
        return self

    def url_secret(self) -> Secret:
        return Secret("url", self.url, self.url_file)

    def admin_url_secret(self) -> Secret:
        return Secret("admin_url", self.admin_url, self.admin_url_file)


Prefix = Annotated[str, StringConstraints(min_length=1)]


def _check_kind(description: str, *kinds: type) -> BeforeValidator:
    """Say in one line what a key takes that may be of several kinds; pydantic has a line for each kind."""

    def check(value: object) -> object:
        if not isinstance(value, kinds):
            raise ValueError(f"is {description}")
        return value

    return BeforeValidator(check)


class QueueTarget(Section):
    """The BullMQ queues of one prefix, or of several, in one Redis database of the same stack.

    With several prefixes a queue's name begins with its own: `bull:mail`. `dead_letter` names a queue's dead-letter
    queue, with `{name}` for the queue's own name; or maps queues to theirs; or is `failed` where the failed jobs of a
    queue are its dead letters.
    """

    redis: Name
    prefix: Annotated[
        Prefix | Annotated[tuple[Prefix, ...], Field(min_length=1)],
        _check_kind("a prefix or a list of them", str, list, tuple),
    ] = "bull"
    names: Literal["discover"] | tuple[str, ...] = "discover"
    dead_letter: Annotated[
        str | dict[str, str] | None,
        _check_kind("a pattern such as '{name}-dlq', a map of queues to theirs, or 'failed'", str, dict, NoneType),
    ] = None
    refresh: Duration = timedelta(minutes=1)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Every prefix."""
        return (self.prefix,) if isinstance(self.prefix, str) else self.prefix

    def key_of(self, queue: str) -> str | None:
        """Return what the keys of a queue begin with, by its name; None if that has none of several prefixes."""
        if len(self.prefixes) == 1:
            return f"{self.prefixes[0]}:{queue}"
        return queue if any(queue.startswith(f"{prefix}:") for prefix in self.prefixes) else None

    @model_validator(mode="after")
    def _dead_letter_names_the_queue(self) -> Self:
        if isinstance(self.dead_letter, str) and self.dead_letter != "failed" and "{name}" not in self.dead_letter:
            raise ValueError("dead_letter needs {name}, as in '{name}-dlq', or is 'failed', or a map of queues")
        if self.names == ():
            raise ValueError("names is empty; list the queues or write 'discover'")
        return self

    @model_validator(mode="after")
    def _names_have_their_prefix(self) -> Self:
        names = () if isinstance(self.names, str) else self.names
        dead_letters = self.dead_letter if isinstance(self.dead_letter, dict) else {}
        if wrong := [name for name in (*names, *dead_letters, *dead_letters.values()) if self.key_of(name) is None]:
            raise ValueError(
                f"with several prefixes a queue's name begins with its own, as in 'bull:mail', not {wrong[0]!r}"
            )
        pattern = self.dead_letter if isinstance(self.dead_letter, str) and self.dead_letter != "failed" else "{name}"
        if len(self.prefixes) > 1 and not pattern.startswith("{name}"):
            raise ValueError("with several prefixes dead_letter begins with {name}, as in '{name}-dlq'")
        return self


class HttpTarget(Section):
    """An endpoint that is probed with GET."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://")]
    status: Annotated[int, Field(ge=100, le=599)] = 200


class EscalationStep(Section):
    """Who is told once an episode has lasted `after`, counted from when people were first told of it.

    With `only_while`, only as long as one of these alerts has fired for `after` as well: an outage that customers feel.
    """

    after: Duration = timedelta(0)
    contacts: Annotated[tuple[Name, ...], Field(min_length=1)]
    only_while: tuple[str, ...] = ()

    @property
    def is_immediate(self) -> bool:
        """Whether it is told of everything as it happens."""
        return not self.after and not self.only_while


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
    escalation: dict[Name, EscalationStep] = Field(default_factory=dict)
    remediations: dict[Name, RemediationSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _references_exist(self) -> Self:
        for name, queues in self.queues.items():
            if queues.redis not in self.redis:
                raise ValueError(f"queues.{name}.redis: there is no redis {queues.redis!r}; {_list_names(self.redis)}")
        for name, remediation in self.remediations.items():
            window = remediation.only_in
            if window is not None and window not in self.windows:
                raise ValueError(
                    f"remediations.{name}.only_in: there is no window {window!r}; {_list_names(self.windows)}"
                )
        return self

    @model_validator(mode="after")
    def _has_an_immediate_step(self) -> Self:
        if self.escalation and not any(step.is_immediate for step in self.escalation.values()):
            raise ValueError("escalation: nobody is told at once; one step needs neither `after` nor `only_while`")
        return self


def _list_names(sections: Mapping[str, Section]) -> str:
    return f"the stack has {', '.join(sorted(sections))}" if sections else "the stack has none"


class Operator(Section):
    """A role whose bearer token may approve, reject and pause."""

    token_file: Path


class Contact(Section):
    """People to tell, as an Apprise address (`slack://…`, `mailto://…`, `json://…`)."""

    url: SecretStr | None = None
    url_file: Path | None = None

    @model_validator(mode="after")
    def _sources(self) -> Self:
        at_most_one_source(self, "url")
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
    def _contacts_exist(self) -> Self:
        for stack_name, stack in self.stacks.items():
            for step_name, step in stack.escalation.items():
                for contact in step.contacts:
                    if contact not in self.contacts:
                        place = f"stacks.{stack_name}.escalation.{step_name}.contacts"
                        contact_names = ", ".join(sorted(self.contacts)) or "none"
                        raise ValueError(f"{place}: there is no contact {contact!r}; the inventory has {contact_names}")
        return self

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
