"""Endpoints that are probed over HTTP: the request, and what counts as a good answer."""

import re
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from runbookd.inventory.constraints import AfterValidator, Alias, BeforeValidator, Field, StringConstraints
from runbookd.inventory.requests import problem_of_headers
from runbookd.inventory.secrets import Secret, SecretStr
from runbookd.inventory.section import Section, at_most_one_source, must_hold
from runbookd.inventory.sizes import Size
from runbookd.inventory.url_section import UrlSection, WebUrl

Status = Annotated[int, Field(ge=100, le=599)]
Scalar = str | int | float | bool | None


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


def _check_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{pattern[:100]!r} is not a regular expression ({error})") from None
    return pattern


Pattern = Annotated[str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(_check_pattern)]
Statuses = Annotated[tuple[Status, ...], BeforeValidator(_as_list), Field(min_length=1, max_length=20)]
Values = Annotated[tuple[Scalar, ...], BeforeValidator(_as_list), Field(min_length=1, max_length=20)]
JsonPath = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A place in a JSON document: names with dots between them (`checks.database`), or a JSON pointer (`/checks/a.b`)."""


class IpVersion(StrEnum):
    """The version of the internet protocol that a probe may use."""

    ANY = "any"
    V4 = "4"
    V6 = "6"


class HttpExpectation(Section):
    """The contents of a good answer, besides its status.

    `json` maps places in the JSON body to the value, or the values, that may stand there. `text` and `not_text` are
    regular expressions that are searched in the body, `headers` those of headers.
    """

    json_values: Annotated[dict[JsonPath, Values], Alias("json"), Field(max_length=20)] = field(default_factory=dict)
    text: Pattern | None = None
    not_text: Pattern | None = None
    headers: Annotated[dict[str, Pattern], Field(max_length=20)] = field(default_factory=dict)

    @property
    def reads_the_body(self) -> bool:
        """Whether the body counts."""
        return bool(self.json_values) or self.text is not None or self.not_text is not None


class BasicAuth(Section):
    """A user with a password, sent with every request."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^:\x00-\x1f\x7f]+$")]
    password: SecretStr | None = None
    password_file: Path | None = None

    @must_hold
    def _one_password(self) -> None:
        at_most_one_source(self, "password")
        if self.password is None and self.password_file is None:
            raise ValueError("needs password_file")

    def password_secret(self) -> Secret:
        """Return the secret of the password."""
        return Secret("basic_auth.password", self.password, self.password_file)


class ProbeTls(Section):
    """The certificates that a probe accepts: those of `ca_file` instead of the system's, for `server_name`."""

    ca_file: Path | None = None
    server_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,253}$")] | None = None
    insecure_skip_verify: bool = False


class HttpTarget(UrlSection):
    """An endpoint that is probed. A good answer has one of `status`, and the contents of `expect`.

    `version` is the place of the running version in the JSON body.
    """

    url: WebUrl = None
    method: Literal["GET", "HEAD", "POST", "OPTIONS"] = "GET"
    status: Statuses = (200,)
    headers: Annotated[dict[str, SecretStr], Field(max_length=50)] = field(default_factory=dict)
    headers_file: Path | None = None
    basic_auth: BasicAuth | None = None
    bearer_token_file: Path | None = None
    body: Annotated[str, StringConstraints(max_length=65_536)] | None = None
    follow_redirects: bool | None = None
    expect: HttpExpectation = HttpExpectation()
    version: JsonPath | None = None
    body_limit: Size = 2**20
    ip: IpVersion = IpVersion.ANY
    tls: ProbeTls = ProbeTls()

    @must_hold
    def _request_is_usable(self) -> None:
        if problem := problem_of_headers(self.headers):
            raise ValueError(f"headers: {problem}")
        if self.basic_auth is not None and self.bearer_token_file is not None:
            raise ValueError("basic_auth and bearer_token_file are both set; keep one")
        if self.body is not None and self.method in ("GET", "HEAD"):
            raise ValueError(f"{self.method} sends no body; set method: POST, or remove body")
        if self.method == "HEAD" and self.reads_the_body:
            raise ValueError("the answer to HEAD has no body; set method: GET for expect and version")
        if self.follow_redirects and self.has_secret_headers:
            raise ValueError("follow_redirects would hand the headers to other servers; probe the final address")

    @property
    def has_secret_headers(self) -> bool:
        """Whether the request has headers that another server must not get."""
        return bool(self.headers) or self.headers_file is not None

    @property
    def follows(self) -> bool:
        """Whether redirects are followed: by default unless one is the good answer, or the headers are secret."""
        if self.follow_redirects is not None:
            return self.follow_redirects
        return not self.has_secret_headers and not any(300 <= status < 400 for status in self.status)

    @property
    def reads_the_body(self) -> bool:
        """Whether the contents of the body count."""
        return self.expect.reads_the_body or self.version is not None

    def bearer_secret(self) -> Secret:
        """Return the secret of the bearer token."""
        return Secret("bearer_token", None, self.bearer_token_file)
