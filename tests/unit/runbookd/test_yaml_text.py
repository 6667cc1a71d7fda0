"""Texts have the value and the lines that Python's own reader finds, and its words about mistakes."""

import pytest
import yaml

from runbookd.yaml_text import FastLoader, compose_yaml, load_yaml
from tools.toolchain.paths import ROOT

MISTAKES = ["a: *WORD", "a: @x", "a: 'x", "a: b: c", "a: {b: c", "\tx: 1", "a: 1\n---\nb: 2", "a: \x07", "a: !x 1"]


def test_libyaml_is_used() -> None:
    assert FastLoader is yaml.CSafeLoader


@pytest.mark.parametrize(
    "file", ["deploy/runbooks/pmcrm/inventory.yml", "deploy/alertmanager.yml", "alert_rules/database.yml"]
)
def test_value_and_lines_are_those_of_pythons_reader(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert load_yaml(text) == yaml.safe_load(text)
    assert lines(compose_yaml(text)) == lines(yaml.compose(text, Loader=yaml.SafeLoader))


def lines(node: yaml.Node | None) -> list[tuple[str, int]]:
    assert node is not None
    return [(event.tag, event.start_mark.line) for event in _nodes(node)]


def _nodes(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [node, *(each for pair in node.value for part in pair for each in _nodes(part))]
    return [node, *(each for part in node.value for each in _nodes(part))] if node.id == "sequence" else [node]


@pytest.mark.parametrize("text", MISTAKES)
def test_mistake_has_the_words_and_the_line_of_pythons_reader(text: str) -> None:
    with pytest.raises(yaml.YAMLError) as expected:
        yaml.safe_load(text)
    with pytest.raises(yaml.YAMLError) as found:
        load_yaml(text)
    assert str(found.value) == str(expected.value)


def test_text_that_only_libyaml_refuses_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="unknown directive"):
        load_yaml("%x\n---\na: 1")
