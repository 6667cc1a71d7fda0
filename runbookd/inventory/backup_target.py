"""Backup targets: location, name pattern, and how a backup is made, encrypted, proven and deleted."""

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from runbookd.inventory.backup_drill import Drill
from runbookd.inventory.backup_encryption import Decryption, Encryption
from runbookd.inventory.constraints import Alias, Field
from runbookd.inventory.durations import Duration
from runbookd.inventory.secrets import Secret, SecretStr
from runbookd.inventory.section import Section, Zone, at_most_one_source, must_hold
from runbookd.inventory.url_section import WebUrl

_SCHEMA_ONLY = frozenset({"--schema-only", "-s"})
_PASSWORD = re.compile(r"://[^/@\s]*:[^@]+@|(?<![a-z-])password=[^\s]", re.IGNORECASE)


class DumpSource(Section):
    """The `command` with which `run_backup` writes a dump to standard output.

    It gets the connection of `dsn` in libpq's environment variables, never on the command line. `check` reads the
    dump on standard input and must exit with 0 only if the whole dump is readable. With `files`, a folder, the backup
    is an archive of tar in gzip, which run_backup checks itself.
    """

    dsn: SecretStr | None = None
    dsn_file: Path | None = None
    command: tuple[str, ...] = ("pg_dump", "--format=custom", "--no-password", "--lock-wait-timeout=60s")
    check: tuple[str, ...] = ("pg_restore", "--file=/dev/null")
    files: Path | None = None
    timeout: Duration = timedelta(hours=2)

    @classmethod
    def _read(cls, data: Any, validate: Callable[[Any], Any]) -> Any:
        given = data if isinstance(data, Mapping) and data.get("files") is not None else {}
        if others := sorted({"dsn", "dsn_file", "command", "check"} & given.keys()):
            raise ValueError(f"files replaces {', '.join(others)}; remove either")
        return super()._read(data, validate)

    @must_hold
    def _files_are_one_folder(self) -> None:
        if self.files is None:
            return
        if not self.files.is_absolute() or self.files == Path("/"):
            raise ValueError("files must be the whole path of a folder below /, as in /srv/uploads")

    @must_hold
    def _sources(self) -> None:
        at_most_one_source(self, "dsn")
        if not self.command or not self.check:
            raise ValueError("command and check cannot be empty; write each as a list of arguments")
        if any(_PASSWORD.search(argument) for argument in (*self.command, *self.check)):
            raise ValueError(
                "command or check contains a password, which the list of processes would show; move the address to dsn"
            )

    def dsn_secret(self) -> Secret:
        """Return the secret of `dsn`."""
        return Secret("dump.dsn", self.dsn, self.dsn_file)

    @property
    def argv(self) -> tuple[str, ...]:
        """The command, or with `files` that of tar."""
        if self.files is None:
            return self.command
        return ("tar", "--create", "--gzip", "--file=-", "--one-file-system", f"--directory={self.files}", ".")

    @property
    def is_schema_only(self) -> bool:
        """Whether the command leaves the rows out."""
        return not _SCHEMA_ONLY.isdisjoint(self.command)


class Retention(Section):
    """How long backups are kept: at least `for`, and the newest `keep` that are verified whatever their age."""

    span: Annotated[Duration, Alias("for")]
    keep: Annotated[int, Field(ge=1)] = 7

    @must_hold
    def _at_least_a_day(self) -> None:
        if self.span < timedelta(days=1):
            raise ValueError("for must be at least 1d")


class BackupReport(Section):
    """A backup tool's JSON report on its own repository, in a file or at a URL.

    pgbackrest: `pgbackrest info --output=json`; walg: `wal-g backup-list --detail --json`; restic: `restic snapshots
    --json`. `stanza` selects one if the pgBackRest report has several, `repository` one of its repositories by number.
    `host` and `tag` select the snapshots of restic. Without them, the repository or host whose newest backup is the
    oldest counts, so that a fresh one hides no stale one.
    """

    format: Literal["pgbackrest", "walg", "restic"]
    file: Path | None = None
    url: WebUrl = None
    url_file: Path | None = None
    stanza: str | None = None
    repository: Annotated[int, Field(ge=1)] | None = None
    host: str | None = None
    tag: str | None = None

    @must_hold
    def _one_source(self) -> None:
        if [self.file, self.url, self.url_file].count(None) != 2:
            raise ValueError("needs one of file, url and url_file")
        if self.stanza is not None and self.format != "pgbackrest":
            raise ValueError("stanza applies to format pgbackrest only; remove it")
        if self.repository is not None and self.format != "pgbackrest":
            raise ValueError("repository applies to format pgbackrest only; remove it")
        if (self.host is not None or self.tag is not None) and self.format != "restic":
            raise ValueError("host and tag apply to format restic only; remove them")

    def url_secret(self) -> Secret:
        """Return the secret of `url`."""
        return Secret("report.url", self.url, self.url_file)


class BackupTarget(Section):
    """Backups of one kind, in one folder or in the report of a backup tool.

    `url` is the folder, in object storage (`s3://`, `gs://`, `az://`) or on disk (`file://`). `pattern` is a backup
    name with strptime fields, read in `zone`; with a slash at its end, each backup is a folder. `dated_by:
    last_modified` uses the storage's date, for names without a date. `options` are the storage's settings and
    credentials; `options_file` is a YAML file of the same. The remediator writes with `admin_options_file`.

    `dump` is the source of new backups, `encrypt` their encryption, `decrypt` what reads them again. `drill` is how one
    is restored to prove it, `retention` how long they stay. Kind `schema` is a dump without rows.
    """

    url: str = ""
    pattern: str = ""
    report: BackupReport | None = None
    kind: Literal["full", "log", "files", "config", "schema"] = "full"
    dated_by: Literal["name", "last_modified"] = "name"
    zone: Zone = "UTC"
    refresh: Duration = timedelta(minutes=5)
    options: dict[str, SecretStr] = field(default_factory=dict)
    options_file: Path | None = None
    admin_options_file: Path | None = None
    dump: DumpSource | None = None
    encrypt: Encryption | None = None
    decrypt: Decryption | None = None
    drill: Drill | None = None
    retention: Retention | None = None

    @property
    def local_folder(self) -> Path | None:
        """The folder of `url`, if it is on disk."""
        return Path(unquote(urlsplit(self.url).path)) if self.url.startswith("file:") else None

    @must_hold
    def _uses_fit(self) -> None:
        uses = [key for key in ("encrypt", "decrypt", "drill", "retention") if getattr(self, key) is not None]
        if uses and self.report is not None:
            raise ValueError(f"report replaces {uses[0]}: the backup tool does that; remove either")
        if self.encrypt is not None and self.encrypt.storage is not None and not self.url.startswith("s3:"):
            raise ValueError("encrypt.storage asks S3 to encrypt; for other storage set recipients")
        if self.drill is not None and self.kind not in ("full", "schema"):
            raise ValueError(f"drill restores a database, and kind {self.kind} is none; remove it, or correct kind")
        if (self.drill is not None or self.retention is not None) and self.pattern.endswith("/"):
            raise ValueError("drill and retention need a pattern that names files, not folders")
        if self.retention is not None and self.dated_by != "name":
            raise ValueError("retention needs names with a date: copying an object changes the storage's date")

    @must_hold
    def _kind_tells_about_rows(self) -> None:
        dump = self.dump
        if dump is None or (self.kind == "schema") == dump.is_schema_only:
            return
        if dump.is_schema_only:
            raise ValueError("dump.command leaves the rows out, so this is no backup of them; set kind: schema")
        raise ValueError("kind schema is a dump without rows; add --schema-only to dump.command")

    @must_hold
    def _one_source(self) -> None:
        if self.report is None and not (self.url and self.pattern):
            raise ValueError("needs url and pattern, or the report of a backup tool")
        if self.report is not None and (self.url or self.pattern or self.dump is not None):
            raise ValueError("report replaces url, pattern and dump; remove either report or the others")
        if self.report is not None and self.kind == "log":
            raise ValueError("a report lists full backups only; for kind log set url and pattern of the log folder")

    @must_hold
    def _pattern_names_one_place(self) -> None:
        if "/" in self.pattern.rstrip("/"):
            raise ValueError(
                "pattern must be a file name, or a folder name with a slash at its end; put parent folders into url"
            )
        if not self.pattern.isprintable():
            raise ValueError("pattern has a control character, which no storage takes in a name; remove it")
        if self.dump is not None and (self.pattern.endswith("/") or self.dated_by != "name"):
            raise ValueError("dump needs a pattern that names one file by its date")

    @must_hold
    def _pattern_has_a_date(self) -> None:
        try:
            datetime.strptime(datetime(2000, 1, 2, 3, 4, 5, tzinfo=UTC).strftime(self.pattern), self.pattern)  # noqa: DTZ007
        except (ValueError, re.error):
            raise ValueError(f"{self.pattern!r} cannot be read back as a date; see Python's strptime") from None
        fields = set(re.findall(r"%.", self.pattern))
        if self.report is None and self.dated_by == "name" and not {"%d", "%j", "%s"} & fields:
            raise ValueError("pattern has no day; write it like db_%Y%m%d_%H%M%S.dump, or set dated_by: last_modified")
