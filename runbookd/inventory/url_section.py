"""Blocks with one address, which may hold a password or a token: in place, or in a file."""

from pathlib import Path
from typing import Annotated

from runbookd.inventory.constraints import AfterValidator
from runbookd.inventory.secrets import Secret, SecretStr
from runbookd.inventory.section import Section, at_most_one_source, must_hold


def _check_scheme(url: SecretStr | None) -> SecretStr | None:
    if url is not None and not url.get_secret_value().startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return url


WebUrl = Annotated[SecretStr | None, AfterValidator(_check_scheme)]


class UrlSection(Section):
    """A block with one address, which may hold a password or a token: in place, or in a file."""

    url: SecretStr | None = None
    url_file: Path | None = None

    @must_hold
    def _one_url(self) -> None:
        at_most_one_source(self, "url")
        if self.url is None and self.url_file is None:
            raise ValueError("needs url or url_file")

    def url_secret(self) -> Secret:
        """Return the secret of `url`."""
        return Secret("url", self.url, self.url_file)
