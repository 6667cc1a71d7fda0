"""The storage of a backups target, opened with the remediator's credentials, and its errors without secrets."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from inventory import BackupTarget
from remediator.errors import TargetUnreachable
from remediator.remediations.base import Scope

if TYPE_CHECKING:
    from obstore.store import RetryConfig

RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=5)}
CONNECT_TIMEOUT = timedelta(seconds=5)
# These are settings of the HTTP client, whatever the storage is.
_CLIENT_SETTINGS = ("allow_http", "allow_invalid_certificates")
_PREFIX = re.compile(r"^(aws|google|azure)_")
_SERVER_MESSAGE = re.compile(r"<Code>([^<]*)</Code>\s*<Message>([^<]*)</Message>")
_QUERY = re.compile(r"\?\S*")
MAX_LINE = 300


def open_folder(scope: Scope, request_timeout: timedelta) -> ObjectStore:
    """The folder of `url`, with `admin_options_file` or else with the options that the exporter reads with.

    Raises:
        TargetUnreachable: the options can not be read, or make no storage.
    """
    target = scope.stack.backups[scope.target.name]
    config, client = _split(_options(scope, target))
    if target.url.startswith("file:"):
        # A local folder has neither credentials nor requests.
        return _built(scope, lambda: from_url(target.url))
    client_options: Any = {"connect_timeout": CONNECT_TIMEOUT, "timeout": request_timeout, **client}
    return _built(scope, lambda: from_url(target.url, config=config, client_options=client_options, retry_config=RETRY))


@contextmanager
def answering(scope: Scope) -> Iterator[None]:
    """Turn everything that the storage or the network can fail with into TargetUnreachable."""
    try:
        yield
    except (BaseError, OSError, TimeoutError) as error:
        raise TargetUnreachable(f"{scope.target}: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """One line for people: the storage's own words where it sent some, and never a query, which can be signed."""
    text = str(error)
    if said := _SERVER_MESSAGE.search(text):
        return f"{said[1]}: {said[2]}"[:MAX_LINE]
    return _QUERY.sub("", (text.splitlines() or ["no answer in time"])[0])[:MAX_LINE]


def _built(scope: Scope, build: Any) -> ObjectStore:
    try:
        store: ObjectStore = build()
        return store
    except BaseError as error:
        raise TargetUnreachable(f"{scope.target}: {describe(error)}") from None
    except BaseException as error:
        # Some settings that make no sense panic in the library, and its panics are no Exceptions.
        if type(error).__name__ != "PanicException":
            raise
        raise TargetUnreachable(f"{scope.target}: the options make no storage; look at their names") from None


def _options(scope: Scope, target: BackupTarget) -> Mapping[str, str]:
    place = f"{scope.target}"
    if target.admin_options_file is not None:
        return _read(place, "admin_options_file", target.admin_options_file)
    written = {name: value.get_secret_value() for name, value in target.options.items()}
    if target.options_file is not None:
        return {**written, **_read(place, "options_file", target.options_file)}
    return written


def _read(place: str, key: str, file: Path) -> Mapping[str, str]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise TargetUnreachable(f"{place}: {key}: can not read {file} ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise TargetUnreachable(f"{place}: {key}: {file} is not YAML") from None  # whose words could quote a secret
    if not isinstance(document, dict) or not all(isinstance(value, str | int | bool) for value in document.values()):
        raise TargetUnreachable(f"{place}: {key}: {file} is not a map of names to values, as in `aws_region: …`")
    return {str(name): _text(value) for name, value in document.items()}


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _split(options: Mapping[str, str]) -> tuple[Any, dict[str, bool]]:
    """The storage's settings, and those of its HTTP client."""
    config, client = {}, {}
    for name, value in options.items():
        setting = _PREFIX.sub("", name.lower())
        if setting in _CLIENT_SETTINGS:
            client[setting] = value.lower() in ("true", "1", "yes")
        else:
            config[name.lower()] = value
    return config, client
