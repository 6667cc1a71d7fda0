"""Masked texts hold no part of a literal, a comment or a secret."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remediator.masking import MAX_STATEMENT, mask_statement, mask_text

SECRET = "zzsecretzz"


@pytest.mark.parametrize(
    ("statement", "masked"),
    [
        ("SELECT * FROM t1 WHERE id = 42 AND n = -1.5e3", "SELECT * FROM t1 WHERE id = ? AND n = -?"),
        ("SELECT 'it''s', E'a\\'b', U&'x', B'01', N'n'", "SELECT ?, ?, ?, ?, ?"),
        ("SELECT $1, $tag$ body $tag$, $$x$$", "SELECT $1, ?, ?"),
        ('UPDATE "User" SET a$b = 1 -- alice', 'UPDATE "User" SET a$b = ?'),
        ("SELECT /* a /* b */ c */ 1", "SELECT ?"),
        ("SELECT 0x1F, 1_000, .5", "SELECT ?, ?, ?"),
        ("INSERT INTO t VALUES ('cut off in the mid", "INSERT INTO t VALUES (?"),
        ("SELECT $a$cut off", "SELECT ?"),
        ("SELECT /* cut off", "SELECT"),
        ("SELECT E'cut off\\", "SELECT ?"),
        ("SELECT 'a\\'b', 'hidden'", "SELECT ?…"),
        ("SELECT 'a\\\\nb', 'c'", "SELECT ?, ?"),
        ("SELECT x\n  FROM   t", "SELECT x FROM t"),
    ],
)
def test_statement_is_masked(statement: str, masked: str) -> None:
    assert mask_statement(statement) == masked


def test_long_statement_is_truncated() -> None:
    assert mask_statement("SELECT " + "a, " * 500) == ("SELECT " + "a, " * 500)[:MAX_STATEMENT] + "…"


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def dollared(text: str) -> str:
    return f"$q${text.replace('$', '')}$q$"


def commented(text: str) -> str:
    return f"/* {text.replace('*', '').replace('/', '')} */"


@given(
    st.lists(
        st.tuples(st.sampled_from([quoted, dollared, commented]), st.text(st.characters(codec="utf-8"), max_size=20)),
        max_size=6,
    ),
    st.integers(min_value=0, max_value=400),
)
@example([(quoted, "\\"), (quoted, "x")], 400)
@example([(quoted, "\\'"), (quoted, "x")], 400)
def test_no_literal_is_shown_wherever_the_statement_is_cut(parts: list, cut: int) -> None:
    written = ", ".join(way(f"{text}{SECRET}{text}") for way, text in parts)
    assert SECRET not in mask_statement(f"SELECT {written} FROM t"[:cut])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("job for alice.b+c@mail.example.com failed", "job for <email> failed"),
        ("redis://user:hunter2@cache/0", "redis://<credentials>@cache/0"),
        ("PASSWORD = hunter2 x", "PASSWORD = <secret> x"),
        ("api_key:abc", "api_key:<secret>"),
        ("postgres://u:p/w@host/db", "postgres://<credentials>@host/db"),
        ("postgres://u:p@w@host/db failed", "postgres://<credentials>@host/db failed"),
        ("DB_PASSWORD=abc x", "DB_PASSWORD=<secret> x"),
        ("client_secret=abc", "client_secret=<secret>"),
        ("clientSecret: abc", "clientSecret: <secret>"),
        ('{"password":"hunter2"}', '{"password":<secret>}'),
        ('{"password": "two \\" words", "a": 1}', '{"password": <secret>, "a": 1}'),
        ('"{\\"password\\":\\"two words\\"}"', '"{\\"password\\":<secret>}"'),
        ("password='two words' host=a", "password=<secret> host=a"),
        ("password => 'x'", "password => <secret>"),
        ('{"password":"cut o', '{"password":<secret>'),
        ("Bearer abc", "Bearer <token>"),
        ("Authorization: Bearer abc x", "Authorization: <secret> x"),
        ("password authentication failed", "password authentication failed"),
        ("from 10.1.2.3:5432 and fe80::1:2 now", "from <ip>:5432 and <ip> now"),
        ("bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0", "bearer <token>"),
        ("pg_dump 15.18 at 12:30:15", "pg_dump 15.18 at 12:30:15"),
        ("shop-api worker_7", "shop-api worker_7"),
        ("two\nlines", "two lines"),
    ],
)
def test_text_is_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked
