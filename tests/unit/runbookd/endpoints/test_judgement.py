"""Answers are judged by their status, headers and body; hostile bodies are judged, too."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbookd.endpoints.json_path import NoSuchPlace, value_at
from runbookd.endpoints.judgement import faults_of, version_of
from runbookd.inventory import HttpTarget

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def target(**settings: Any) -> HttpTarget:
    return HttpTarget.model_validate({"url": "http://127.0.0.1/", **settings})


def faults(body: Any, **expect: Any) -> list[str]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [fault.text for fault in faults_of(target(expect=expect), 200, {}, text)]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"a": 1}, {"a": 1.0}),
        ({"a": True}, {"a": True}),
        ({"a": None}, {"a": None}),
        ({"a": {"b": [{"c": "x"}]}}, {"a.b.0.c": "x"}),
        ({"a.b": "x"}, {"/a.b": "x"}),
        ({"a/b": {"c~d": "x"}}, {"/a~1b/c~0d": "x"}),
        ({"a": "x"}, {"a": ["w", "x"]}),
        (["x"], {"0": "x"}),
    ],
)
def test_value_that_is_expected_is_no_fault(body: Any, wanted: Any) -> None:
    assert faults(body, json=wanted) == []


@pytest.mark.parametrize(
    ("body", "wanted", "text"),
    [
        ({"a": True}, {"a": 1}, "a of the JSON is true or false, and the expected value is a number"),
        ({"a": "1"}, {"a": 1}, "a of the JSON is text, and the expected value is a number"),
        ({"a": None}, {"a": "x"}, "a of the JSON is null, and the expected value is text"),
        ({"a": {}}, {"a": "x"}, "a of the JSON is an object, not a value"),
        ({"a": []}, {"a.0": "x"}, "the JSON has no a.0"),
        ({"a": "secret"}, {"a": ["x", "y"]}, 'a of the JSON is not "x" or "y"'),
        ("text", {"a": "x"}, "the JSON has no a"),
        (b"\xff\xfe", {"a": "x"}, "the body is no JSON"),
        (b"", {"a": "x"}, "the body is no JSON"),
    ],
)
def test_other_value_is_a_fault_that_shows_nothing_of_it(body: Any, wanted: Any, text: str) -> None:
    [fault] = faults(body, json=wanted)
    assert fault.startswith(text)
    assert "secret" not in fault


@given(JSON, st.text(min_size=1, max_size=10))
def test_any_document_is_judged(document: Any, path: str) -> None:
    assert len(faults(document, json={path: "no such value here"})) == 1
    with suppress(NoSuchPlace):
        value_at(document, path)


@given(st.binary(max_size=200))
def test_any_body_is_judged(body: bytes) -> None:
    assert len(faults(body, json={"a.b": "no such value here"}, text="no such text here")) == 2
    assert version_of(target(version="a"), body) is None or isinstance(json.loads(body), dict)


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ({"v": "1.2.3+build"}, "1.2.3+build"),
        ({"v": 7}, "7"),
        ({"v": "a\nb\u202e"}, "a_b_"),
        ({"v": "x" * 500}, "x" * 100),
        ({"v": True}, None),
        ({"v": {}}, None),
        ({"v": ""}, None),
        ({}, None),
    ],
)
def test_version_is_short_and_plain(body: Any, version: str | None) -> None:
    assert version_of(target(version="v"), json.dumps(body).encode()) == version
