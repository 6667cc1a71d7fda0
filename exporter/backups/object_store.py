"""Opens a folder in object storage for reading; its errors contain no secrets."""

import re
from datetime import timedelta
from typing import Any

import obstore.store
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore

from exporter.errors import Fault, TargetError, TargetMisconfigured, TargetRefused, TargetUnavailable
from runbookd.inventory import BackupTarget, SecretError, StorageOptions, read_storage_options

# Parts of the library's messages, and the errors that the exporter reports instead. The first match counts.
_ERROR_PATTERNS = {
    "error sending request": ("no answer at the storage's address; check the address and the network", Fault.ENDPOINT),
    "builder error": (
        "the storage's address is wrong; correct it, or set the option allow_http for plain HTTP",
        Fault.ENDPOINT,
    ),
    "list response": ("the server at the address is not a storage of this kind; correct the address", Fault.ENDPOINT),
    "odd name": (
        "an object has a name that the storage library cannot read, such as one with // or a control character; "
        "delete or rename it",
        Fault.FOLDER,
    ),
    "Unable to canonicalize filesystem root": ("the folder does not exist; create it or correct url", Fault.FOLDER),
    "Unable to recognise URL": ("url is of an unknown kind; use s3://, gs://, az:// or file://", Fault.OPTIONS),
}
_REGION = re.compile(
    "redirect without LOCATION|AuthorizationHeaderMalformed|PermanentRedirect|IllegalLocationConstraint"
)
_CLOCK = "RequestTimeTooSkewed"
_RETRY = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}


def open_store(target: BackupTarget) -> ObjectStore:
    """Return the store at the target's folder, without a request to it.

    Raises:
        TargetMisconfigured: `options_file` cannot be read, or an option or the address is invalid.
    """
    settings = read_options(target)
    options: dict[str, Any] = {"config": settings.config, "client_options": settings.client, "retry_config": _RETRY}
    try:
        # A folder on disk takes no options at all.
        return obstore.store.from_url(target.url, **({} if target.url.startswith("file:") else options))
    except BaseError as error:
        raise TargetMisconfigured(*_error_text(error)) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # a bug in obstore's Rust code; not a subclass of Exception
            raise
        message = "options: the object storage library rejects them; check their names and values"
        raise TargetMisconfigured(message, Fault.OPTIONS) from None


def read_options(target: BackupTarget) -> StorageOptions:
    """Return the storage's settings; those of `options_file` override those in the inventory.

    Raises:
        TargetMisconfigured: the file cannot be read, or is not a map.
    """
    try:
        return read_storage_options(target.options, "options_file", target.options_file)
    except SecretError as error:
        raise TargetMisconfigured(str(error), Fault.OPTIONS) from None


def target_error(error: BaseError) -> TargetError:
    """Return `error` as ours, without the server's message.

    It repeats key IDs and signed requests.
    """
    text = str(error)
    status = re.search(r"status code: (\d+)", text)
    code = status[1] if status else ""
    if _REGION.search(text):
        return TargetRefused("the bucket is in another region; set the option aws_region to the bucket's", Fault.REGION)
    if _CLOCK in text:
        return TargetRefused("the storage refuses the request's date; set this machine's clock", Fault.CLOCK)
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or code in ("401", "403"):
        message = "the storage refuses the credentials; check them and their right to list the folder"
        return TargetRefused(message, Fault.CREDENTIALS)
    if isinstance(error, NotFoundError) or code == "404":
        return TargetRefused("the bucket or folder does not exist; create it or correct url", Fault.FOLDER)
    if code:
        return TargetUnavailable(f"the storage answered with status {code}")
    return TargetUnavailable(*_error_text(error))


def _error_text(error: BaseError) -> tuple[str, Fault]:
    """Return what failed, without the address, the signed request and the server's message."""
    invalid_key = re.search(r"Configuration key: '(\w+)' is not valid", str(error))
    if invalid_key:
        return f"options: there is no option {invalid_key[1]!r}; remove it, or correct its name", Fault.OPTIONS
    matches = (text_and_fault for sign, text_and_fault in _ERROR_PATTERNS.items() if sign in str(error))
    return next(matches, (f"the storage cannot be used ({type(error).__name__}); check url and options", Fault.OTHER))
