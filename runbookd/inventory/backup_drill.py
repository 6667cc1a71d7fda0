"""The restore drill of a backups target: where a backup is restored, and what it has to hold."""

from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from runbookd.inventory.constraints import AfterValidator, ByteSize, Field, StringConstraints
from runbookd.inventory.durations import Duration
from runbookd.inventory.secrets import Secret, SecretStr
from runbookd.inventory.section import Name, Section, at_most_one_source, must_hold

MAX_TIMEOUT = timedelta(hours=24)
TEMPLATE = "template0"


def _check_timeout(timeout: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= timeout <= MAX_TIMEOUT:
        raise ValueError("must be from 1s to 24h")
    return timeout


def _check_size(size: int) -> int:
    if size <= 0:
        raise ValueError("must be more than 0, as in 20GiB")
    return int(size)


Size = Annotated[int, ByteSize(), AfterValidator(_check_size)]
TableName = Annotated[str, StringConstraints(pattern=r"^[^.\x00]{1,63}\.[^\x00]{1,63}$")]
ColumnName = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,63}$")]


class SameServer(Section):
    """Allows a drill on the server of the product itself, for a database of at most `max_bytes`."""

    max_bytes: Size


class Drill(Section):
    """The drill that `restore_drill` makes: a backup is restored into a database of its own, compared, and dropped.

    `dsn` leads to the scratch server, with a role that may create databases and nothing else; its database is only
    where the session begins. `postgres` names the product's server, from whose `admin_dsn` the sizes and row estimates
    come. A database over `max_bytes` is not restored. The restore may take `timeout`, and should take `within`, the
    recovery time that is promised.

    A table needs `min_share` of the rows that the product's server estimates, unless it is in `ignore`. `newest` names
    for a table the column with the time of a row; its newest row may be `max_data_age` older than the backup.
    `template` holds extensions that only a superuser can create. `programs` is the folder of pg_restore and psql.
    """

    dsn: SecretStr | None = None
    dsn_file: Path | None = None
    postgres: Name
    max_bytes: Size
    same_server: SameServer | None = None
    timeout: Annotated[Duration, AfterValidator(_check_timeout)] = timedelta(hours=4)
    within: Duration | None = None
    min_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    ignore: tuple[TableName, ...] = ()
    newest: dict[TableName, ColumnName] = field(default_factory=dict)
    max_data_age: Duration | None = None
    template: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = TEMPLATE
    programs: Path | None = None

    @must_hold
    def _sources(self) -> None:
        at_most_one_source(self, "dsn")
        if self.dsn is None and self.dsn_file is None:
            raise ValueError("needs dsn or dsn_file, the address of the scratch server")
        if self.max_data_age is not None and not self.newest:
            raise ValueError("max_data_age needs newest, as in {public.orders: created_at}")

    def dsn_secret(self) -> Secret:
        """Return the secret of `dsn`."""
        return Secret("drill.dsn", self.dsn, self.dsn_file)

    def program(self, name: str) -> str:
        """Return the path of pg_restore or psql, or its name for PATH."""
        return name if self.programs is None else str(self.programs / name)
