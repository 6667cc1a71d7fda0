"""A folder in object storage, as the inventory describes it: opened for reading, failing in words without secrets."""

import re
from datetime import timedelta
from typing import Any

import obstore.store
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore

from exporter.errors import Fault, TargetError, TargetMisconfigured, TargetRefused, TargetUnreachable
from runbookd.inventory import BackupTarget, SecretError, StorageOptions, read_storage_options

# What the library's messages hold, and what it means to people. Looked up in this order.
_SIGNS = {
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
    read = read_options(target)
    options: dict[str, Any] = {"config": read.config, "client_options": read.client, "retry_config": _RETRY}
    try:
        # A folder on disk takes no options at all.
        return obstore.store.from_url(target.url, **({} if target.url.startswith("file:") else options))
    except BaseError as error:
        raise TargetMisconfigured(*_told(error)) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how a bug in its Rust code arrives; no subclass of Exception
            raise
        words = "options: the object storage library does not understand them"
        raise TargetMisconfigured(words, Fault.OPTIONS) from None


def read_options(target: BackupTarget) -> StorageOptions:
    """Return the storage's settings, those of `options_file` over those written in place.

    Raises:
        TargetMisconfigured: the file can not be read, or is no map.
    """
    try:
        return read_storage_options(target.options, "options_file", target.options_file)
    except SecretError as error:
        raise TargetMisconfigured(str(error), Fault.OPTIONS) from None


def worded(error: BaseError) -> TargetError:
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
        words = "the storage refuses the credentials, or they may not list the folder"
        return TargetRefused(words, Fault.CREDENTIALS)
    if isinstance(error, NotFoundError) or code == "404":
        return TargetRefused("the bucket or folder does not exist", Fault.FOLDER)
    if code:
        return TargetUnreachable(f"the storage answered with status {code}")
    return TargetUnreachable(*_told(error))


def _told(error: BaseError) -> tuple[str, Fault]:
    """What failed, without what follows: the address, the signed request and the server's own words."""
    unknown = re.search(r"Configuration key: '\w+' is not valid", str(error))
    if unknown:
        return f"options: {unknown[0]}", Fault.OPTIONS
    known = (told for sign, told in _SIGNS.items() if sign in str(error))
    return next(known, (f"the storage can not be used ({type(error).__name__}); check url and options", Fault.OTHER))
