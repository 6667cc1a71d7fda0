"""Shows a text to copy as it is, but without characters that forge or hide, and without credentials."""

from remediator.masking import mask_url_credentials
from remediator.model.target import UNPRINTABLE


def visible_lines(text: str) -> list[str]:
    """Return the lines of `text`; none if it is empty."""
    return [UNPRINTABLE.sub("\ufffd", mask_url_credentials(line)) for line in text.splitlines()]
