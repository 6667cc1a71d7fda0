"""Redis servers: how the exporter and the remediator connect, and the keys that are counted or may be removed."""

from collections.abc import Iterator
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from runbookd.inventory.cache_keys import AddressBlock, KeyPrefix, RateLimit
from runbookd.inventory.constraints import Field
from runbookd.inventory.durations import Duration
from runbookd.inventory.secrets import Secret, SecretStr
from runbookd.inventory.section import Name, Section, at_most_one_source, must_hold
from runbookd.inventory.url_section import UrlSection


class PrefixSettings(Section):
    """The metrics of one key prefix besides the key count: the `top` highest counters."""

    top: Annotated[int, Field(ge=0, le=100)] = 0


class RedisTarget(UrlSection):
    """A Redis server and database. `url` may only read; only the remediator uses `admin_url`.

    The exporter counts the keys with each of `prefixes` (as in `rl:*`) in the background, once per `refresh`. An
    operator may have keys of `caches`, `rate_limits` and `blocks` removed or set.
    """

    admin_url: SecretStr | None = None
    admin_url_file: Path | None = None
    prefixes: dict[str, PrefixSettings] = field(default_factory=dict)
    caches: dict[Name, KeyPrefix] = field(default_factory=dict)
    rate_limits: dict[Name, RateLimit] = field(default_factory=dict)
    blocks: dict[Name, AddressBlock] = field(default_factory=dict)
    refresh: Duration = timedelta(minutes=5)

    @must_hold
    def _sources(self) -> None:
        at_most_one_source(self, "admin_url")

    @must_hold
    def _prefixes_end_with_a_star(self) -> None:
        for prefix in self.prefixes:
            if prefix == "*" or prefix.find("*") != len(prefix) - 1:
                raise ValueError(
                    f"prefixes: {prefix!r} is not a key prefix; write it with one * at its end, as in 'rl:*'"
                )

    def own_keys(self) -> Iterator[tuple[str, str]]:
        """Yield the place and the beginning of the keys that a run may remove or set."""
        for kind in ("caches", "rate_limits", "blocks"):
            yield from ((f"{kind}.{name}", keys.beginning) for name, keys in getattr(self, kind).items())

    def admin_url_secret(self) -> Secret:
        """Return the secret of `admin_url`."""
        return Secret("admin_url", self.admin_url, self.admin_url_file)
