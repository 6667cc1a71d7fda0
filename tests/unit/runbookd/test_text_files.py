"""Files as Windows' editor and shell write them."""

from pathlib import Path

import pytest

from runbookd.inventory import (
    MarkerError,
    Secret,
    SecretError,
    SecretStr,
    load_inventory,
    read_marker,
    read_storage_options,
)

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_secret_inventory_and_options_are_read_in_any_encoding_of_windows(tmp_path: Path, encoding: str) -> None:
    secret, options, inventory = (tmp_path / name for name in ("secret", "options", "inventory"))
    secret.write_bytes("redis://:pä@h/0\r\n".encode(encoding))
    options.write_bytes("aws_region: eu\r\n".encode(encoding))
    inventory.write_bytes("stacks:\r\n  shop: {redis: {main: {url: 'redis://h'}}}\r\n".encode(encoding))
    assert Secret("url", None, secret).read() == "redis://:pä@h/0"
    assert read_storage_options({"x": SecretStr("y")}, "options_file", options).config["aws_region"] == "eu"
    assert load_inventory(inventory, {}).stacks["shop"].redis["main"].url.get_secret_value() == "redis://h"


def test_secret_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes("pä".encode("latin-1"))
    with pytest.raises(SecretError, match="save it as UTF-8"):
        Secret("url", None, file).read()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_marker_in_any_encoding_of_windows_is_parsed(encoding: str) -> None:
    with pytest.raises(MarkerError, match="proof"):
        read_marker("{}".encode(encoding))


def test_marker_in_another_encoding_is_malformed() -> None:
    with pytest.raises(MarkerError, match="not UTF-8"):
        read_marker(b'{"backup": "caf\xe9"}')
