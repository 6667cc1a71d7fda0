"""Reads the settings and credentials of an object storage, and sorts them for obstore."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runbookd.inventory.errors import SecretError, unreadable_secret
from runbookd.inventory.secrets import SecretStr
from runbookd.text_files import read_text_file

# Settings of the HTTP client: obstore takes them separately, and panics if they are among those of the storage.
_CLIENT_KEYS = frozenset(
    {
        "allow_http",
        "allow_invalid_certificates",
        "connect_timeout",
        "default_headers",
        "pool_idle_timeout",
        "pool_max_idle_per_host",
        "proxy_ca_certificate",
        "proxy_excludes",
        "proxy_url",
        "randomize_addresses",
        "read_timeout",
        "root_certificate",
        "timeout",
        "user_agent",
    }
)
_VENDOR = re.compile("^(aws|azure|google)_")


@dataclass(frozen=True)
class StorageOptions:
    """The settings of the storage (`config`) and of its HTTP client. Both may hold secrets."""

    config: Mapping[str, str]
    client: Mapping[str, str]


def read_storage_options(options: Mapping[str, SecretStr], key: str, file: Path | None) -> StorageOptions:
    """Return `options`, overridden by those in `file`; `key` is the file's inventory key.

    Raises:
        SecretError: the file is unreadable or not a map. Names the file, never its content.
    """
    texts = {name: value.get_secret_value() for name, value in options.items()}
    if file is not None:
        texts |= _read(key, file)
    keys = {name: _VENDOR.sub("", name.lower()) for name in texts}
    return StorageOptions(
        config={name.lower(): text for name, text in texts.items() if keys[name] not in _CLIENT_KEYS},
        client={keys[name]: text for name, text in texts.items() if keys[name] in _CLIENT_KEYS},
    )


def _read(key: str, file: Path) -> dict[str, str]:
    import yaml

    try:
        document = yaml.safe_load(read_text_file(file))
    except OSError as error:
        raise unreadable_secret(key, file, error) from None
    except (UnicodeDecodeError, yaml.YAMLError):  # its message would show the line with the secret
        raise SecretError(f"{key}: {file} is not valid YAML") from None
    if not isinstance(document, dict) or not all(isinstance(value, str | int | bool) for value in document.values()):
        raise SecretError(f"{key}: {file} must be a map of names to values, as in `aws_region: …`")
    return {str(name): _text(value) for name, value in document.items()}


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
