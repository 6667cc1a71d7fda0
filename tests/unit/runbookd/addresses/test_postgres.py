"""Addresses of PostgreSQL as psql, Prisma, node-postgres, JDBC, SQLAlchemy and pgx write them."""

import pytest

from runbookd.addresses import AddressError
from runbookd.addresses.postgres import read_postgres_address


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("postgresql://u:p@h/db?connect_timeout=10", "postgresql://u:p@h/db"),
        ("postgresql://u:p@h/db?sslmode=require&channel_binding=require", "postgresql://u:p@h/db?sslmode=require"),
        ("postgres://u:p@h:5433/db?schema=public&pgbouncer=true", "postgresql://u:p@h:5433/db"),
        ("postgresql+asyncpg://u@h/db", "postgresql://u@h/db"),
        ("postgis://u@h/db", "postgresql://u@h/db"),
        ("jdbc:postgresql://h/db?ssl=true&sslmode=verify-ca", "postgresql://h/db?sslmode=verify-ca"),
        ("jdbc:postgresql://h:5432/db?user=u&password=p%23&ssl=false", "postgresql://u:p%23@h:5432/db?sslmode=disable"),
        ("postgresql://u:pa#s?s@h/db", "postgresql://u:pa%23s%3Fs@h/db"),
        ("postgresql://u:p@ss@h/db", "postgresql://u:p%40ss@h/db"),
        ("postgresql://u:p@h1:5432,h2:5433/db?target_session_attrs=primary", None),
        (
            "host=h port=5433 dbname=db user=u password='it\\'s a secret'",
            "postgresql://u:it%27s%20a%20secret@h:5433/db",
        ),
        ("host=/run/postgresql dbname=db", "postgresql://%2Frun%2Fpostgresql/db"),
        ("postgresql:///db?host=/run/postgresql&user=u", "postgresql://u@%2Frun%2Fpostgresql/db"),
        ("postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db"),
        ("host=::1 dbname=db", "postgresql://[::1]/db"),
        ("postgresql://u@h/db?sslmode=no-verify", "postgresql://u@h/db?sslmode=require"),
        ("postgresql://h/db?options=endpoint%3Dep-x", "postgresql://h/db?options=endpoint%3Dep-x"),
        ("jdbc:postgresql://h/db?currentSchema=app&targetServerType=secondary", None),
        ("postgresql://h", "postgresql://h/"),
        ("postgresql://app:!x!@h/app?serverVersion=16&charset=utf8", "postgresql://app:%21x%21@h/app"),
        ("pgsql://u@h/db", "postgresql://u@h/db"),
        ("r2dbc:pool:postgresql://u@h/db", "postgresql://u@h/db"),
        ("postgres://u@h/db?pool=5&timeout=5000", "postgresql://u@h/db"),
        ("postgres://u@h/db?sslmode=disable&x-migrations-table=m", "postgresql://u@h/db?sslmode=disable"),
        ("postgres://u@h/db?ssl-mode=require&statement-cache-capacity=0", "postgresql://u@h/db?sslmode=require"),
        ("jdbc:postgresql://h/db?preferQueryMode=simple", "postgresql://h/db"),
    ],
)
def test_address_of_any_client_is_translated_for_the_driver(text: str, url: str | None) -> None:
    translated = read_postgres_address(text).driver_url
    assert translated == url if url else "target_session_attrs" in translated


def test_parameters_of_other_clients_are_named() -> None:
    address = read_postgres_address(
        "postgresql://h/db?connect_timeout=3&pgbouncer=true&prepareThreshold=0&sslmode=allow"
    )
    assert address.unused_by_driver == ("connect_timeout", "pgbouncer", "prepareThreshold")
    assert address.parameters == {"connect_timeout": "3", "sslmode": "allow"}


def test_certificates_of_the_system_need_full_verification() -> None:
    for text in ("postgresql://h/db?sslrootcert=system", "postgresql://h/db?ssl=true"):
        address = read_postgres_address(text)
        assert address.parameters["sslmode"] == "verify-full"
        assert address.parameters["sslrootcert"].startswith("/")
    with pytest.raises(AddressError, match="sslrootcert=system needs sslmode=verify-full"):
        read_postgres_address("postgresql://h/db?sslrootcert=system&sslmode=require")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("postgresql://u:hunter2@h/db?conect_timeout=10", "the parameter 'conect_timeout' is unknown"),
        ("host=h dbnam=db password=hunter2", "the parameter 'dbnam' is unknown"),
        ("host=h password='hunter2", "not a connection string"),
        ("postgresql://u:hunter2/x@h/db", "not an address"),
        ("postgresql://u:hunter2@h:54x2/db", "not an address"),
        ("postgresql://u:pa/ss?hunter2@h/db", "not an address"),
        ("postgresql://h/db?hunter2%20x=1", "a parameter is unknown"),
        ("mysql://u:hunter2@h/db", "not an address"),
        ("'postgresql://u:hunter2@h/db'", "stands in quotes"),
        ("prisma+postgres://h/?api_key=hunter2", "address of Prisma's proxy"),
        ("hunter2", "not an address"),
        ("postgresql://h/db?sslmode=hunter2", "`sslmode` parameter must be one of: disable"),
        ("host=a,b,c port=1,2 dbname=db", "different numbers of servers"),
    ],
)
def test_wrong_address_is_refused_by_name_without_its_secret(text: str, message: str) -> None:
    with pytest.raises(AddressError, match=message) as refusal:
        read_postgres_address(text)
    assert "hunter2" not in str(refusal.value)


def test_secrets_are_not_in_the_representation() -> None:
    assert "hunter2" not in repr(read_postgres_address("postgresql://u:hunter2@h/db?sslpassword=hunter2"))
