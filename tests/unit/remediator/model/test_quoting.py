"""Names and values are quoted so that the program which reads the text gets exactly them."""

import json
import subprocess
from datetime import timedelta

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.model.quoting import script_text, shell_word, sql_duration, sql_name, sql_text

TEXTS = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00", max_codepoint=0xFFFF),
    min_size=1,
    max_size=30,
)
HOSTILE = ["it's", 'say "x"', "a\nb", "$(reboot)", "`reboot`", "back\\slash\n'", "\u202eabc", "-rf", "é\n1"]


@settings(max_examples=40)
@given(TEXTS)
def test_script_text_is_read_back_as_json_and_yaml(text: str) -> None:
    literal = script_text(text)
    assert json.loads(literal) == yaml.safe_load(literal) == text
    assert literal.isprintable()


@pytest.mark.parametrize("word", HOSTILE)
def test_shell_reads_one_word(word: str) -> None:
    command = ["bash", "-c", f"printf '%s|' {shell_word(word)}"]
    answer = subprocess.run(command, capture_output=True, check=True, timeout=60, env={"LC_ALL": "C.UTF-8"})
    assert answer.stdout.decode() == f"{word}|"
    assert shell_word(word).isprintable()


def test_sql_texts_are_quoted() -> None:
    assert sql_name('bill"ing') == '"bill""ing"'
    assert sql_name("a\nb\\") == 'U&"a\\+00000Ab\\+00005C"'
    assert sql_text("o'brien") == "'o''brien'"
    assert sql_text("a\\'b") == "E'a\\\\''b'"


@pytest.mark.parametrize(
    ("duration", "literal"),
    [
        (timedelta(minutes=5), "'300s'"),
        (timedelta(seconds=1), "'1s'"),
        (timedelta(milliseconds=1500), "'1500ms'"),
    ],
)
def test_duration_is_a_setting_of_the_server(duration: timedelta, literal: str) -> None:
    assert sql_duration(duration) == literal
