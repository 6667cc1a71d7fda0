"""Text from outside: readable, harmless, and never invisible."""

import pytest

from remediator.console.visible_text import make_visible, untrusted, web_link


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Größe 名前", "Größe 名前"),
        ("\u202egnp.exe", "⟨U+202E⟩gnp.exe"),
        ("a\u200bb\u2066c\ufeffd", "a⟨U+200B⟩b⟨U+2066⟩c⟨U+FEFF⟩d"),
        ("nul\x00 bell\x07 del\x7f c1\x9b", "nul⟨U+0000⟩ bell⟨U+0007⟩ del⟨U+007F⟩ c1⟨U+009B⟩"),
        ("half \ud800 pair", "half ⟨U+D800⟩ pair"),
        ("tag \U000e0041", "tag ⟨U+E0041⟩"),
        ("z" + "\u0301" * 50, "z\u0301\u0301…"),
    ],
)
def test_hidden_characters_are_named(text: str, shown: str) -> None:
    assert make_visible(text) == shown
    str(make_visible(text)).encode()


def test_text_is_isolated_and_escaped() -> None:
    assert untrusted('<script>alert("1")</script>') == ("<bdi>&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;</bdi>")


def test_text_of_a_mebibyte_is_cut_with_its_length() -> None:
    shown = untrusted("<" * 1024 * 1024, 100)
    assert len(shown) < 600
    assert shown.endswith('<span class="cut">… cut here, 1,048,576 characters in all</span>')


def test_text_of_many_lines_stays_one_line() -> None:
    assert untrusted("one\ntwo\tthree") == "<bdi>one↵two three</bdi>"


@pytest.mark.parametrize("address", ["https://runbooks.example/shop#disk", "http://127.0.0.1:9093/"])
def test_web_address_may_be_a_link(address: str) -> None:
    assert web_link(address) == address


@pytest.mark.parametrize(
    "address",
    [
        *("javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "//evil.example", "/runs"),
        *("", None, "http:/x", "https://[", "https://e.example/" + "x" * 2_000),
    ],
)
def test_other_address_stays_text(address: str | None) -> None:
    assert web_link(address) is None
