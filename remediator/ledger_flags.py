"""Reads the address of the ledger from the flags, or from the file that they name."""

from remediator.ledger.address import ledger_at, postgres_address
from remediator.ledger.protocol import Ledger
from remediator.model.errors import LedgerUnavailable
from remediator.settings import DEFAULT_LEDGER, LedgerSettings
from runbookd.inventory import Secret, SecretError
from runbookd.service import UnusableConfiguration

URL, URL_FILE = "--ledger.url", "--ledger.url-file"
_SHOWN = (
    "the address has a password, which every user of this machine sees in the process list; write it to a file,"
    f" readable by this user only, and set {URL_FILE}"
)


def configured_ledger(settings: LedgerSettings) -> Ledger:
    """Return the ledger that the flags name, without opening it.

    Raises:
        UnusableConfiguration: the address is missing, invalid, or shows its password.
    """
    try:
        if settings.url_file is None:
            return ledger_at(_without_password(settings.url))
        if settings.url != DEFAULT_LEDGER:
            raise UnusableConfiguration(f"{URL} and {URL_FILE} are both set; remove one")
        return ledger_at(Secret(URL_FILE, None, settings.url_file).read())
    except SecretError as error:
        raise UnusableConfiguration(str(error)) from None
    except LedgerUnavailable as error:
        flag = URL if settings.url_file is None else URL_FILE
        raise UnusableConfiguration(f"{flag}: {error}") from None


def _without_password(url: str) -> str:
    address = postgres_address(url)
    if address is not None and (address.password or address.parameters.get("sslpassword")):
        raise LedgerUnavailable(_SHOWN)
    return url
