"""Search clusters: Elasticsearch and OpenSearch."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from runbookd.inventory.constraints import Field, StringConstraints
from runbookd.inventory.durations import Duration
from runbookd.inventory.http import BasicAuth, ProbeTls
from runbookd.inventory.secrets import Secret
from runbookd.inventory.section import must_hold
from runbookd.inventory.url_section import UrlSection, WebUrl

# Elasticsearch's own rules of a name, and the star of a pattern; a leading dash would exclude.
IndexPattern = Annotated[str, StringConstraints(pattern=r'^[^\-_+\s,#"<>|\\/?A-Z][^\s,#"<>|\\/?A-Z]{0,199}$')]


class SearchTarget(UrlSection):
    """A cluster at `url`. `indices` are patterns of the indices to measure; hidden ones (with a dot) never count.

    `aliases` are the names under which the application searches: each must lead to an index.
    """

    url: WebUrl = None
    basic_auth: BasicAuth | None = None
    api_key_file: Path | None = None
    tls: ProbeTls = ProbeTls()
    indices: Annotated[tuple[IndexPattern, ...], Field(min_length=1, max_length=50)] = ("*",)
    aliases: Annotated[tuple[IndexPattern, ...], Field(max_length=50)] = ()
    refresh: Duration = timedelta(minutes=1)

    @must_hold
    def _one_credential(self) -> None:
        if self.basic_auth is not None and self.api_key_file is not None:
            raise ValueError("basic_auth and api_key_file are both set; keep one")
        if any("*" in alias for alias in self.aliases):
            raise ValueError("aliases: a name has no star; list each alias")

    def api_key_secret(self) -> Secret:
        """Return the secret of the API key, in the encoded form that Elasticsearch prints."""
        return Secret("api_key", None, self.api_key_file)
