"""PostgreSQL over TLS as the DSN requests it: verified, or refused with the reason."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from demo.servers.postgres import PostgresServer

ROLE = "metrics"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server(servers_folder: Path, authority: trustme.CA) -> Iterator[PostgresServer]:
    """Start a server for TLS only; its certificate is for localhost, not for 127.0.0.1."""
    server = PostgresServer(servers_folder / "tls_postgres")
    server.start()
    made, place = authority.issue_cert("localhost"), server.place()
    for name, pem in (("server.crt", made.cert_chain_pems[0]), ("server.key", made.private_key_pem)):
        pem.write_to_path(place.data / name)
        (place.data / name).chmod(0o600)
        place.own(place.data / name)
    access = place.data / "pg_hba.conf"
    access.write_text(access.read_text().replace("host all", f"hostnossl all {ROLE} all reject\nhost all", 1))
    server.add_role(ROLE, "IN ROLE pg_monitor")
    for statement in ("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()"):
        server.sql(statement)
    yield server
    server.remove()


async def status_and_page(start_exporter, dsn: str) -> tuple[float | None, str]:
    """Return pg_up and the landing page."""
    exporter = await start_exporter(f"stacks: {{shop: {{postgres: {{main: {{dsn: '{dsn}'}}}}}}}}")
    page = await exporter.scrape()
    return page.value("pg_up"), (await exporter.get("/"))[1]


async def test_end_of_the_certificate_is_measured(start_exporter, server) -> None:
    exporter = await start_exporter(
        f"stacks: {{shop: {{postgres: {{main: {{dsn: '{server.dsn(ROLE)}?sslmode=require'}}}}}}}}"
    )
    expiry = (await exporter.scrape()).value("pg_tls_certificate_expiry_timestamp_seconds", stack="shop", target="main")
    certificate = x509.load_pem_x509_certificate((server.place().data / "server.crt").read_bytes())
    assert expiry == certificate.not_valid_after_utc.timestamp()


async def test_server_with_a_verified_certificate_is_read(start_exporter, server, authority, tmp_path) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    dsn = server.dsn(ROLE).replace("127.0.0.1", "localhost")
    assert (await status_and_page(start_exporter, f"{dsn}?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem"))[0] == 1
    assert (
        await status_and_page(start_exporter, f"{server.dsn(ROLE)}?sslmode=verify-ca&sslrootcert={tmp_path}/ca.pem")
    )[0] == 1
    assert (await status_and_page(start_exporter, f"{server.dsn(ROLE)}?sslmode=require"))[0] == 1
    assert (
        server.sql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'metrics'")
        == "t"
    )


async def test_wrong_certificate_name_or_authority_is_refused_and_reported(
    start_exporter, server, authority, tmp_path
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    for file, reason in (("ca.pem", "certificate"), ("other.pem", "CERTIFICATE_VERIFY_FAILED")):
        up, page = await status_and_page(
            start_exporter, f"{server.dsn(ROLE)}?sslmode=verify-full&sslrootcert={tmp_path}/{file}"
        )
        assert up == 0
        assert reason.lower() in page.lower()


async def test_missing_root_certificate_file_is_reported(start_exporter, server, tmp_path) -> None:
    up, page = await status_and_page(
        start_exporter, f"{server.dsn(ROLE)}?sslmode=verify-full&sslrootcert={tmp_path}/none.pem"
    )
    assert up == 0
    assert "sslrootcert" in page
    assert "No such file" in page


async def test_server_refusal_without_tls_is_reported(start_exporter, server) -> None:
    up, page = await status_and_page(start_exporter, f"{server.dsn(ROLE)}?sslmode=disable")
    assert up == 0
    assert "pg_hba.conf" in page
