"""PostgreSQL servers: how the exporter and the remediator connect, and what is read."""

from dataclasses import field
from datetime import timedelta
from pathlib import Path

from runbookd.inventory.durations import Duration
from runbookd.inventory.queries import Query
from runbookd.inventory.secrets import Secret, SecretStr
from runbookd.inventory.section import Name, Section, at_most_one_source, must_hold


class PostgresTarget(Section):
    """A PostgreSQL server. `dsn` may only read; only the remediator uses `admin_dsn`.

    `databases` are shell patterns of further databases whose tables are read. `statement_texts` exports the texts of
    the most expensive statements. `queries` are your own SQL, by name.
    """

    dsn: SecretStr | None = None
    dsn_file: Path | None = None
    admin_dsn: SecretStr | None = None
    admin_dsn_file: Path | None = None
    refresh: Duration = timedelta(minutes=5)
    databases: tuple[str, ...] = ()
    statement_texts: bool = False
    queries: dict[Name, Query] = field(default_factory=dict)

    @must_hold
    def _sources(self) -> None:
        at_most_one_source(self, "dsn", "admin_dsn")
        if self.dsn is None and self.dsn_file is None:
            raise ValueError("needs dsn or dsn_file")

    def dsn_secret(self) -> Secret:
        """Return the secret of `dsn`."""
        return Secret("dsn", self.dsn, self.dsn_file)

    def admin_dsn_secret(self) -> Secret:
        """Return the secret of `admin_dsn`."""
        return Secret("admin_dsn", self.admin_dsn, self.admin_dsn_file)
