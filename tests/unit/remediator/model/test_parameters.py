"""The parameters that operators set: what is accepted, and what no type accepts."""

from datetime import timedelta

import pytest

from remediator.model.errors import InvalidParameter
from remediator.model.parameters import (
    AddressParameter,
    DurationParameter,
    EnumParameter,
    IntParameter,
    NameParameter,
    Parameter,
    format_parameters,
    parse_parameters,
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
DECLARED: dict[str, Parameter] = {
    "count": IntParameter("How many.", 1, 9),
    "span": DurationParameter("How long.", MINUTE, HOUR),
    "level": EnumParameter("Which level.", ("low", "high")),
    "client": AddressParameter("Which client."),
    "version": NameParameter("Which version."),
}
HOSTILE = [
    "$(reboot)",
    "`id`",
    "a\x00b",
    "../etc",
    "-rf",
    "--help",
    ".hidden",
    "a b",
    "a\n",
    "a;b",
    "",
    "ä",
    "x" * 2**20,
]


def test_values_of_every_type_are_parsed_and_read_back_from_their_text() -> None:
    given = {"count": "7", "span": "90s", "level": "high", "client": "2001:DB8::7", "version": "v1.2-rc.1@a:b_c"}
    values = parse_parameters("fix", DECLARED, given)
    assert values == given | {"count": 7, "span": timedelta(seconds=90), "client": "2001:db8::7"}
    assert format_parameters(values)["span"] == "1m30s"
    assert parse_parameters("fix", DECLARED, format_parameters(values)) == values


@pytest.mark.parametrize("name", DECLARED)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_refused_by_every_type_in_a_short_line(name: str, text: str) -> None:
    with pytest.raises(InvalidParameter, match=f"parameter {name}") as error:
        parse_parameters("fix", DECLARED, {name: text})
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("name", "text"),
    [("count", "0"), ("count", "10"), ("count", "٣"), ("span", "59s"), ("span", "61m"), ("client", "fe80::1%a;b")],
)
def test_a_value_beyond_its_limits_is_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidParameter, match=name):
        parse_parameters("fix", DECLARED, {name: text})


def test_an_unknown_parameter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidParameter, match="did you mean 'count'"):
        parse_parameters("fix", DECLARED, {"coutn": "1"})


def test_a_missing_required_parameter_is_refused_with_its_meaning() -> None:
    with pytest.raises(InvalidParameter, match="needs the parameter version: Which version"):
        parse_parameters("fix", {"version": NameParameter("Which version.", required=True)}, {})
