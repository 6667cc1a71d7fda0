"""A mistake in an entry of `commands` is named with its place; nothing of it is guessed."""

from typing import Any

import pytest
from pydantic import ValidationError

from runbookd.inventory import Inventory, changed_keys

TRUE = "/bin/true"
NAME = {"who": {"type": "name"}}


def inventory(**entry: Any) -> Inventory:
    return Inventory.model_validate({"stacks": {"shop": {"commands": {"flag": entry}}}})


def problem(**entry: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        inventory(**entry)
    [error] = caught.value.errors()
    return f"{'.'.join(map(str, error['loc'][4:]))}: {error['msg'].removeprefix('Value error, ')}"


def request(**settings: Any) -> dict[str, Any]:
    return {"method": "POST", "url": "https://api.example/x", **settings}


def typed(parameters: dict[str, Any], *arguments: str) -> dict[str, Any]:
    return {"argv": [TRUE, *arguments], "parameters": parameters}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"timeout": "5s"}, ": needs argv (a command) or method and url (a request)"),
        ({"argv": [TRUE], "url": "http://x"}, ": has argv, and method or url"),
        ({"argv": []}, "argv: "),
        ({"argv": ["true"]}, ": argv: 'true' is not an absolute path"),
        ({"argv": ["bin/true"]}, ": argv: 'bin/true' is not an absolute path"),
        ({"argv": ["/bin/{stack}"]}, ": argv: the program's name has a placeholder"),
        ({"argv": [TRUE, "a\x00b"]}, ": argv: argument 1 has a NUL character"),
        ({"argv": [TRUE, "{who}"]}, ": argv: argument 1: {who} is no known placeholder"),
        ({"argv": [TRUE, "${HOME}"]}, ": argv: argument 1: {HOME} is no known placeholder"),
        ({"argv": [TRUE, "{{stack}}"]}, ": argv: argument 1: {{stack}} has double braces, which are text"),
        (
            {"argv": [TRUE, "{n}"], "parameters": {"n": {"type": "int"}}},
            ": argv: argument 1: {n} may begin with a dash",
        ),
        ({"argv": [TRUE], "check": ["test", "-e"]}, ": check: 'test' is not an absolute path"),
        ({"argv": [TRUE], "for": "1h"}, ": for needs undo"),
        ({"argv": [TRUE], "undo": [TRUE], "for": "1s"}, ": for must be at least 10s"),
        ({"argv": [TRUE], "timeout": "0s"}, "timeout: must be from 1s to 6h"),
        (typed({"stack": {"type": "name"}}), ": parameters.stack: is the name of the stack"),
        (typed({"e": {"type": "enum"}}), "parameters.e: values lists what an enum allows"),
        (typed({"e": {"type": "enum", "values": ["-x"]}}), "parameters.e.values.0: "),
        (typed({"n": {"type": "name", "max": 3}}), "parameters.n: min and max limit"),
        (
            {"argv": [TRUE], "parameters": {"n": {"type": "int", "default": "x"}}},
            "parameters.n: default: must be a whole",
        ),
        (
            {"argv": [TRUE], "parameters": {"n": {"type": "int", "max": 3, "default": 4}}},
            "parameters.n: default: must be",
        ),
        (
            {"argv": [TRUE], "parameters": {"d": {"type": "duration", "min": "x"}}},
            "parameters.d: min: 'x' is not a dur",
        ),
        (request(url="https://{stack}.example/"), ": url: has a placeholder in the host or port"),
        (request(url="https://x.example:{stack}/"), ": url: "),
        (request(url="{stack}://x.example/"), ": url: must begin with http"),
        (request(url="https://user:pass@x.example/"), ": url: contains credentials"),
        (request(url="https://x.example/?a=b"), ": url: has a query or fragment"),
        (request(url="https://x.example/a/../b"), ": url: has a segment . or .."),
        (request(url="https://x.example/a b"), ": url: has white space"),
        (request(url="https:///x"), ": url: has no host"),
        (request(url="https://x.example:99999/"), ": url: is not an address"),
        (request(url="https://x.example/{who}"), ": url: {who} is no known placeholder"),
        (request(query={"{stack}": "x"}), ": query: the name '{stack}' has a placeholder"),
        (request(query={"x": "{who}"}), ": query.x: {who} is no known placeholder"),
        (request(json={"{stack}": 1}), ": json: the key '{stack}' must be text without a placeholder"),
        (request(json={"a": ["{who}"]}), ": json: {who} is no known placeholder"),
        (request(method="GET", json={}), ": json: GET sends no body"),
        (request(json={"a": float("nan")}), ": json: has a value that is not JSON"),
        (request(check={"url": "https://api.example/", "has": {"a": "{who}"}}), ": check.has: {who} is no known"),
        (request(headers={"X-Stack": "{stack}"}), ": headers: X-Stack has a placeholder; a header is fixed"),
        (request(parameters=NAME), ": parameters.who: stands nowhere; write {who} at its place"),
        (typed(NAME), ": parameters.who: stands nowhere"),
        (request(method="TRACE"), "method: "),
        (request(headers={"Host": "evil"}), ": headers: Host belongs to the connection"),
        (request(headers={"X": "a\r\nY: b"}), ": headers: X: has a line break"),
        (request(headers={"X Y": "a"}), ": headers: 'X Y' is not the name of a header"),
        (request(check={"url": "https://other.example/"}), ": check.url: has another scheme, host or port"),
        (request(check={"url": "https://api.example/", "method": "POST"}), "check: a check only reads"),
        (request(undo={"url": "https://api.example/"}), "undo.method: Field required"),
        (request(undo={"method": "POST", "url": "https://api.example/{who}"}), ": undo.url: {who} is no known"),
    ],
)
def test_mistake_is_named(entry: dict[str, Any], reason: str) -> None:
    assert problem(**entry).startswith(reason)


def test_secret_header_is_not_quoted() -> None:
    entry = request(headers={"Authorization": "Bearer s3cret"})
    assert "s3cret" not in repr(inventory(**entry))
    assert "s3cret" not in problem(**request(headers={"Authorization": "Bearer s3cret\n"}))


def test_reload_names_the_changed_keys_of_an_entry() -> None:
    before, after = inventory(argv=[TRUE, "a"]), inventory(argv=[TRUE, "b"])
    assert changed_keys(before, after) == ["stacks.shop.commands.flag.argv"]
