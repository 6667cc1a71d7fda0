"""The storage of a backups target, with errors that hold no secrets."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from remediator.model.errors import TargetUnreachable
from remediator.model.remediation import Scope
from runbookd.inventory import BackupTarget, SecretError, StorageOptions, read_storage_options

RETRY = {"max_retries": 3, "retry_timeout": timedelta(seconds=5)}
CONNECT_TIMEOUT = timedelta(seconds=5)
_SERVER_MESSAGE = re.compile(r"<Code>([^<]*)</Code>\s*<Message>([^<]*)</Message>")
_STATUS = re.compile(r"status code: (\d{3}) ([A-Za-z' -]+)")
_CODE = re.compile(r"<Code>([^<]*)</Code>")
_QUOTED = re.compile(r'"[^"]*"')  # the value of an option, which can be a secret
_QUERY = re.compile(r"\?\S*")
# The login of an endpoint, and what a server repeats of a signed request.
_LOGIN = re.compile(r"://\S*@")
_SIGNED = re.compile(r"(?i)\b(credential=|signature=|security-token:\s*|authorization:\s*)[^\s,;]+")
MAX_LINE = 300


def open_folder(scope: Scope, request_timeout: timedelta) -> ObjectStore:
    """Open the folder at `url` with `admin_options_file`, or else with the exporter's options.

    Raises:
        TargetUnreachable: the options cannot be read or are invalid.
    """
    target = scope.stack.backups[scope.target.name]
    options = _read_options(scope, target)
    options = replace(options, config={**options.config, **_asked_encryption(target)})
    return open_url(scope, target.url, options, request_timeout)


def open_url(scope: Scope, url: str, storage_options: StorageOptions, request_timeout: timedelta) -> ObjectStore:
    """Open the folder at `url`.

    Raises:
        TargetUnreachable: the options are invalid.
    """
    if url.startswith("file:"):
        # A local folder takes no options for credentials or requests.
        return _build_store(scope, lambda: from_url(url))
    store_arguments: Any = {
        "config": storage_options.config,
        "client_options": {"connect_timeout": CONNECT_TIMEOUT, "timeout": request_timeout, **storage_options.client},
        "retry_config": RETRY,
    }
    return _build_store(scope, lambda: from_url(url, **store_arguments))


@contextmanager
def translate_errors(scope: Scope) -> Iterator[None]:
    """Raise every error of the storage or the network as TargetUnreachable."""
    try:
        yield
    except (BaseError, OSError, TimeoutError, NotImplementedError) as error:
        raise TargetUnreachable(f"{scope.target}: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """Describe the error in one line, without the login and the query of its address and the request's signature."""
    text = _SIGNED.sub(r"\1…", _LOGIN.sub("://", str(error)))
    if server_message := _SERVER_MESSAGE.search(text):
        return f"{server_message[1]}: {' '.join(server_message[2].split())}"[:MAX_LINE]
    if status := _STATUS.search(text):
        return f"the storage answered {status[1]} {status[2].strip()}"
    return _QUERY.sub("", (text.splitlines() or ["no answer in time"])[0])[:MAX_LINE]


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of the storage's answer, or None without one."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def code_of(error: BaseException) -> str:
    """Return the storage's own word for the error, as in SlowDown, or an empty text."""
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _build_store(scope: Scope, build: Any) -> ObjectStore:
    try:
        store: ObjectStore = build()
        return store
    except BaseError as error:
        raise TargetUnreachable(f"{scope.target}: {_QUOTED.sub('an option', describe(error))}") from None
    except BaseException as error:
        # Some invalid settings make the library panic, and its PanicException is not an Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise TargetUnreachable(f"{scope.target}: the storage options are invalid; check their names") from None


def _asked_encryption(target: BackupTarget) -> dict[str, str]:
    """Return the option with which S3 encrypts each object that is stored, or refuses it."""
    encrypt = target.encrypt
    return {} if encrypt is None or encrypt.storage is None else {"aws_server_side_encryption": encrypt.storage}


def _read_options(scope: Scope, target: BackupTarget) -> StorageOptions:
    try:
        if target.admin_options_file is not None:
            return read_storage_options({}, "admin_options_file", target.admin_options_file)
        return read_storage_options(target.options, "options_file", target.options_file)
    except SecretError as error:
        raise TargetUnreachable(f"{scope.target}: {error}") from None
