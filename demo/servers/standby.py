"""A streaming standby of a private PostgreSQL."""

from collections.abc import Mapping
from pathlib import Path

from demo.servers.postgres import SUPERUSER, PostgresServer, partial_place
from demo.servers.unprivileged import Place


class StandbyServer(PostgresServer):
    """A hot standby that follows `primary`, which must run at the standby's first start.

    It has the primary's version, roles and passwords. Use `recovery_min_apply_delay` in `settings` to make it lag.
    """

    def __init__(
        self,
        folder: Path,
        primary: PostgresServer,
        port: int | None = None,
        *,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, port, version=primary.version, settings=settings)
        self.primary = primary

    def make_cluster(self, place: Place) -> None:
        """Copy the primary's cluster over a replication connection."""
        partial = partial_place(place)
        login = {"PGHOST": "127.0.0.1", "PGPORT": str(self.primary.port), "PGUSER": SUPERUSER}
        password = {"PGPASSWORD": self.primary.password(SUPERUSER)}
        place.run("pg_basebackup", "--checkpoint=fast", "--no-sync", "-D", partial.data, env={**login, **password})
        (partial.data / "standby.signal").touch()
        partial.own_all(partial.data)
        partial.data.rename(place.data)

    def more_settings(self) -> Mapping[str, str]:
        """Return the connection to the primary."""
        password = self.primary.password(SUPERUSER)
        conninfo = f"host=127.0.0.1 port={self.primary.port} user={SUPERUSER} password={password}"
        return {"primary_conninfo": f"{conninfo} application_name=standby", "hot_standby": "on"}

    def roles(self) -> list[str]:
        """Return the primary's roles."""
        return self.primary.roles()

    def password(self, role: str) -> str:
        """Return the primary's password of `role`: roles are replicated."""
        return self.primary.password(role)
