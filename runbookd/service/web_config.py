"""The file of `--web.config.file`, in the format of Prometheus' exporter-toolkit.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md. Unsupported settings of that
format are refused, not ignored: operators rely on them.
"""

import re
import ssl
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from runbookd.inventory import SecretStr, Section, read_block
from runbookd.inventory.constraints import AfterValidator
from runbookd.inventory.section import must_hold

_HASH = re.compile(r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}")
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENTS = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
Header = Literal[
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
    "Content-Security-Policy",
]


def _bcrypt(value: SecretStr) -> SecretStr:
    if not _HASH.fullmatch(value.get_secret_value()):
        raise ValueError("not a bcrypt hash; create one with `htpasswd -nBC 10 ''`")
    return value


class TlsSettings(Section):
    """TLS of the server. Relative paths start at the folder of the configuration file."""

    cert_file: Path
    key_file: Path
    client_auth_type: Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = "NoClientCert"
    client_ca_file: Path | None = None
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"

    @must_hold
    def _holds_together(self) -> None:
        if (self.client_ca_file is None) != (self.client_auth_type == "NoClientCert"):
            raise ValueError("client_ca_file and a verifying client_auth_type need each other; set both or neither")
        if self.min_version > self.max_version:
            raise ValueError("min_version is above max_version; lower it")

    def files(self, folder: Path) -> list[Path]:
        """Return the paths of its files; relative ones start at `folder`."""
        candidates = (self.cert_file, self.key_file, self.client_ca_file)
        return [folder / file for file in candidates if file is not None]

    def context(self, folder: Path) -> ssl.SSLContext:
        """Load the files into a context for the listener. Raises OSError (or its ssl.SSLError)."""
        for file in self.files(folder):
            file.open().close()  # its error names the file, that of load_cert_chain does not
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self.min_version]
        context.maximum_version = _VERSIONS[self.max_version]
        context.load_cert_chain(folder / self.cert_file, folder / self.key_file)
        if self.client_ca_file is not None:
            context.load_verify_locations(folder / self.client_ca_file)
        context.verify_mode = _CLIENTS[self.client_auth_type]
        return context


class HttpSettings(Section):
    """Headers of every response. HTTP/2 is not supported, so `http2` can only be false."""

    http2: Literal[False] = False
    headers: dict[Header, str] = field(default_factory=dict)


class WebConfig(Section):
    """The whole web configuration file."""

    tls_server_config: TlsSettings | None = None
    http_server_config: HttpSettings = HttpSettings()
    basic_auth_users: dict[str, Annotated[SecretStr, AfterValidator(_bcrypt)]] = field(default_factory=dict)

    @cached_property
    def hashes(self) -> dict[str, bytes]:
        """The password hashes by user."""
        return {user: text.get_secret_value().encode() for user, text in self.basic_auth_users.items()}


def read_web_config(file: Path) -> WebConfig:
    """Read the file. Raises InventoryError, which lists every problem with its line."""
    return read_block(file, WebConfig)
