"""No text of a label or parameter changes an argument list or an address but at its placeholder."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model.command_texts import arguments_of, json_of, url_of
from runbookd.inventory.commands import CommandEntry, CommandTarget, RequestEntry
from runbookd.inventory.parameters import CommandParameter
from runbookd.inventory.placeholders import fill_in, placeholders

TEMPLATES = ["{a}", "--limit={a}", "{b}{a}", "x{a}y{b}z", "{{a}}", '{"k": {a}}', "plain", "{stack}/{target}"]
NASTY = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="{}$`()<>|&;/\\.-%?#@:'\"\n\x00 ab", max_size=40),
    st.sampled_from(["$(id)", "../..", "-rf", "--", "{b}", "{{b}}", "%2e%2e", "//evil.example", "?x=1", "#", "\ud800"]),
)
VALUES = st.fixed_dictionaries(dict.fromkeys(("a", "b", "stack", "target"), NASTY))
NAMES = {"a": {"type": "name"}, "b": {"type": "name"}}


@given(st.lists(st.sampled_from(TEMPLATES), max_size=6), VALUES)
def test_values_change_nothing_but_their_place_in_an_argument(templates: list[str], values: dict[str, str]) -> None:
    arguments = ["/bin/program", "first", *templates]
    try:
        written = arguments_of(arguments, values)
    except ValueError:
        assert any(fill_in(each, values).startswith("-") for each in templates)
        return
    assert len(written) == len(arguments)
    assert written[:2] == arguments[:2]
    for template, argument in zip(arguments, written, strict=True):
        assert argument == literal(template, values)
        assert not (template.startswith("{") and argument.startswith("-"))


def literal(template: str, values: dict[str, str]) -> str:
    """Replace by position, in another way than the code under test."""
    parts = re.split(r"(\{\{[^{}]*\}\}|\{(?:a|b|stack|target)\})", template)
    return "".join(values.get(part[1:-1], part) for part in parts)


@given(VALUES.filter(lambda values: not re.search(r"[\ud800-\udfff]", "".join(values.values()))))
def test_values_change_nothing_but_their_place_in_an_address(values: dict[str, str]) -> None:
    entry = request(
        url="https://api.example:8443/v1/{stack}/{a}-{b}/fixed",
        query={"who": "{a}", "at": "x{b}"},
        json={"limit": ["{a}", {"k": "is {b}"}], "n": 3},
    )
    try:
        url = url_of(entry.call, values)
    except ValueError:
        assert {".", ".."} & {values["stack"], f"{values['a']}-{values['b']}"}
        return
    parts = urlsplit(url)
    assert (parts.scheme, parts.hostname, parts.port, parts.fragment) == ("https", "api.example", 8443, "")
    assert url.isascii()
    segments = ["", "v1", values["stack"], f"{values['a']}-{values['b']}", "fixed"]
    assert [unquote(each) for each in parts.path.split("/")] == segments
    assert parse_qsl(parts.query, keep_blank_values=True) == [("who", values["a"]), ("at", f"x{values['b']}")]
    body = json_of(entry.call.json_body, values, entry)
    assert body == {"limit": [values["a"], {"k": f"is {values['b']}"}], "n": 3}
    assert json.loads(json.dumps(body)) == body


@given(st.sampled_from(["int", "duration", "address", "name"]), NASTY | st.integers() | st.booleans() | st.none())
def test_value_that_is_accepted_is_one_harmless_word(kind: Any, value: object) -> None:
    parameter = CommandParameter(type=kind)
    try:
        text = parameter.text_of(value)
    except ValueError:
        return
    assert re.fullmatch(r"-?[A-Za-z0-9:][A-Za-z0-9._@:-]{0,99}", text)
    assert parameter.text_of(parameter.written(text)) == text


def request(**settings: Any) -> RequestEntry:
    entry = CommandTarget.model_validate({"method": "POST", "parameters": NAMES, **settings})
    assert isinstance(entry, RequestEntry)
    return entry


def test_only_a_whole_text_of_a_number_becomes_a_number() -> None:
    parameters = {"n": {"type": "int"}, "d": {"type": "duration"}, "w": {"type": "name"}}
    entry = request(url="http://x/", json=["{n}", " {n}", "{d}", "{w}"], parameters=parameters)
    body = json_of(entry.call.json_body, {"n": "7", "d": "60", "w": "7"}, entry)
    assert body == [7, " 7", 60, "7"]


@pytest.mark.parametrize("text", ["{{a}}", "{{.State}}", "{{json .}}", '{"a": 1}', "{}", "${}", "{1}"])
def test_other_braces_are_text(text: str) -> None:
    assert placeholders(text) == []
    assert fill_in(text, {}) == text


def test_command_entry_knows_its_programs() -> None:
    entry = CommandTarget.model_validate({"argv": ["/bin/true"], "undo": ["/bin/false"]})
    assert isinstance(entry, CommandEntry)
    assert [key for key, _ in entry.programs()] == ["argv", "undo"]
