"""The commands in a statement's text, behind anything that could hide them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.clients.sql_commands import AROUND_ROWS, MAINTENANCE, ROWS, UNKNOWN, calls_backup_function, commands
from remediator.sql_tokens import tokenize

HIDING = ["", " \n\t", "/* a /* nested */ comment; */", "-- SELECT 1;\n", "((", "/* ' */ "]


@pytest.mark.parametrize("before", HIDING)
@pytest.mark.parametrize("command", ["COPY", "vacuum", "Create", "ReIndex"])
def test_command_is_found_behind_comments_and_parentheses(before: str, command: str) -> None:
    assert commands(f"{before}{command} things") == (command.upper(),)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("WITH a AS (SELECT 1) INSERT INTO b SELECT * FROM a", ("WITH",)),
        ("BEGIN; SET x = 1;CREATE INDEX ON a (b)", ("BEGIN", "SET", "CREATE")),
        ("SELECT ';VACUUM', \"; ALTER\", $$; COPY$$, E'\\'; DROP' /* ; REINDEX */", ("SELECT",)),
        ("SELECT 1;; ;", ("SELECT",)),
        ("SELECT 'a\\'; CREATE INDEX ON a (b)", ("SELECT", UNKNOWN)),  # its end depends on a setting
        ("SELECT 'cut off; VACUUM", ("SELECT",)),
        ("/* cut off SELECT 1", ()),
        ("", ()),
        ("<insufficient privilege>", (UNKNOWN,)),
        ("$1; SELECT 1", ("$1", "SELECT")),
        ("1; SELECT 1", (UNKNOWN, "SELECT")),
    ],
)
def test_first_word_of_each_statement_is_found(text: str, found: tuple[str, ...]) -> None:
    assert commands(text) == found


@given(st.text(alphabet="aE$1'\"\\-/*;() \n\xa0é", max_size=40))
def test_tokens_are_the_whole_text(text: str) -> None:
    assert "".join(token.text for token in tokenize(text)) == text


@given(st.lists(st.sampled_from(["SELECT 'x;y'", "SELECT $a$;$a$", "/* ; */ SELECT 1", 'SELECT ";"'])))
def test_maintenance_after_other_statements_is_found(before: list[str]) -> None:
    assert "REINDEX" in commands(";".join([*before, "REINDEX TABLE a"]))


def test_kinds_of_commands_have_no_word_in_common() -> None:
    assert not ROWS & MAINTENANCE
    assert not (ROWS | MAINTENANCE) & AROUND_ROWS


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT pg_backup_start('x', false)", True),
        ('SELECT "pg_catalog"."pg_stop_backup"()', True),
        ("SELECT 'pg_backup_start'", False),
    ],
)
def test_functions_that_make_a_backup_are_recognized(text: str, found: bool) -> None:
    assert calls_backup_function(text) is found
