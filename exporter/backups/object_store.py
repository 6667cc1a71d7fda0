"""A folder in object storage, as the inventory describes it: opened for reading, failing in words without secrets."""

import re
from datetime import timedelta
from typing import Any

import obstore.store
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore

from exporter.errors import Fault, TargetError, TargetMisconfigured, TargetRefused, TargetUnavailable
from runbookd.inventory import BackupTarget, SecretError, StorageOptions, read_storage_options

# What the library's messages hold, and what it means to people. Looked up in this order.
_ERROR_PATTERNS = {
    "error sending request": ("nobody answers at the storage's address", Fault.ENDPOINT),
    "builder error": ("the storage's address is wrong, or plain HTTP needs the option allow_http", Fault.ENDPOINT),
    "list response": ("what answers at the address is no storage of this kind", Fault.ENDPOINT),
    "Unable to canonicalize filesystem root": ("the folder does not exist", Fault.FOLDER),
    "Unable to recognise URL": ("url is not of a known kind: s3://, gs://, az:// or file://", Fault.OPTIONS),
}
_REGION = re.compile(
    "redirect without LOCATION|AuthorizationHeaderMalformed|PermanentRedirect|IllegalLocationConstraint"
)
_CLOCK = "RequestTimeTooSkewed"
_RETRY = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}


def open_store(target: BackupTarget) -> ObjectStore:
    """Return the store at the target's folder. Nothing is asked of it yet.

    Raises:
        TargetMisconfigured: `options_file` can not be read, or an option or the address makes no sense.
    """
    settings = read_options(target)
    options: dict[str, Any] = {"config": settings.config, "client_options": settings.client, "retry_config": _RETRY}
    try:
        # A folder on disk takes no options at all.
        return obstore.store.from_url(target.url, **({} if target.url.startswith("file:") else options))
    except BaseError as error:
        raise TargetMisconfigured(*_error_text(error)) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how a bug in its Rust code arrives; no subclass of Exception
            raise
        message = "options: the object storage library does not understand them"
        raise TargetMisconfigured(message, Fault.OPTIONS) from None


def read_options(target: BackupTarget) -> StorageOptions:
    """Return the storage's settings, those of `options_file` over those written in place.

    Raises:
        TargetMisconfigured: the file can not be read, or is no map.
    """
    try:
        return read_storage_options(target.options, "options_file", target.options_file)
    except SecretError as error:
        raise TargetMisconfigured(str(error), Fault.OPTIONS) from None


def target_error(error: BaseError) -> TargetError:
    """Return `error` as ours. What the server said is left out: it repeats key ids and signed requests."""
    text = str(error)
    status = re.search(r"status code: (\d+)", text)
    code = status[1] if status else ""
    if _REGION.search(text):
        return TargetRefused("the bucket is in another region; set the option aws_region to the bucket's", Fault.REGION)
    if _CLOCK in text:
        return TargetRefused(
            "the storage refuses requests that are dated like this; set this machine's clock", Fault.CLOCK
        )
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or code in ("401", "403"):
        message = "the storage refuses the credentials, or they may not list the folder"
        return TargetRefused(message, Fault.CREDENTIALS)
    if isinstance(error, NotFoundError) or code == "404":
        return TargetRefused("the bucket or folder does not exist", Fault.FOLDER)
    if code:
        return TargetUnavailable(f"the storage answered with status {code}")
    return TargetUnavailable(*_error_text(error))


def _error_text(error: BaseError) -> tuple[str, Fault]:
    """What failed, without what follows: the address, the signed request and the server's own words."""
    invalid_key = re.search(r"Configuration key: '\w+' is not valid", str(error))
    if invalid_key:
        return f"options: {invalid_key[0]}", Fault.OPTIONS
    matches = (text_and_fault for sign, text_and_fault in _ERROR_PATTERNS.items() if sign in str(error))
    return next(matches, (f"the storage can not be used ({type(error).__name__}); check url and options", Fault.OTHER))
