"""Where backups lie, what their names say, and how a new one is made."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from runbookd.inventory.durations import Duration
from runbookd.inventory.secrets import Secret
from runbookd.inventory.section import Section, Zone, at_most_one_source


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
        at_most_one_source(self, "dsn")
        if not self.command or not self.check:
            raise ValueError("command and check are argument lists and can not be empty")
        return self

    def dsn_secret(self) -> Secret:
        return Secret("dump.dsn", self.dsn, self.dsn_file)


class BackupReport(Section):
    """What a backup tool says about its own repository, as JSON, written to a file or served at a URL.

    pgbackrest: `pgbackrest info --output=json`; walg: `wal-g backup-list --detail --json`; restic: `restic snapshots
    --json`. `stanza` chooses one where the report of pgBackRest has several.
    """

    format: Literal["pgbackrest", "walg", "restic"]
    file: Path | None = None
    url: Annotated[str, StringConstraints(pattern=r"^https?://")] | None = None
    stanza: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("needs either file or url")
        if "@" in (self.url or ""):
            raise ValueError("url carries a user or a password, and would be shown in errors; serve the report without")
        if self.stanza is not None and self.format != "pgbackrest":
            raise ValueError("stanza is pgBackRest's; leave it out")
        return self


class BackupTarget(Section):
    """Backups of one kind: in one folder of object storage (`s3://`, `gs://`, `az://`) or on disk (`file://`), or in
    the report of a backup tool.

    `pattern` is the name of a backup with strptime fields, read in `zone`; one that ends in a slash names folders, each
    a backup. With `dated_by: last_modified` the storage's date counts, for names without one. `options` are the
    storage's settings and credentials; `options_file` is a YAML file of the same. `admin_options_file` is the
    remediator's, which may write.
    """

    url: str = ""
    pattern: str = ""
    report: BackupReport | None = None
    kind: Literal["full", "log", "files", "config"] = "full"
    dated_by: Literal["name", "last_modified"] = "name"
    zone: Zone = "UTC"
    refresh: Duration = timedelta(minutes=5)
    options: dict[str, SecretStr] = Field(default_factory=dict)
    options_file: Path | None = None
    admin_options_file: Path | None = None
    dump: DumpSource | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.report is None and not (self.url and self.pattern):
            raise ValueError("needs url and pattern, or the report of a backup tool")
        if self.report is not None and (self.url or self.pattern or self.dump is not None):
            raise ValueError("report stands in place of url, pattern and dump; keep one of them")
        if self.report is not None and self.kind == "log":
            raise ValueError("a report lists whole backups; kind log needs the folder of the logs")
        return self

    @model_validator(mode="after")
    def _pattern_names_one_place(self) -> Self:
        if "/" in self.pattern.rstrip("/"):
            raise ValueError(
                "pattern is a file name, or a folder's with a slash at its end; put other folders into url"
            )
        if self.dump is not None and (self.pattern.endswith("/") or self.dated_by != "name"):
            raise ValueError("dump needs a pattern that names one file by its date")
        return self

    @model_validator(mode="after")
    def _pattern_has_a_date(self) -> Self:
        try:
            datetime.strptime(datetime(2000, 1, 2, 3, 4, 5, tzinfo=UTC).strftime(self.pattern), self.pattern)  # noqa: DTZ007
        except (ValueError, re.error):
            raise ValueError(f"{self.pattern!r} can not be read back as a date; see Python's strptime") from None
        fields = set(re.findall(r"%.", self.pattern))
        if self.report is None and self.dated_by == "name" and not {"%d", "%j", "%s"} & fields:
            raise ValueError("pattern needs the day, as in db_%Y%m%d_%H%M%S.dump; or set dated_by: last_modified")
        return self
