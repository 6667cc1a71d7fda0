"""The request of a probe, with its credentials, and the certificates that it accepts."""

import base64
import ssl
from dataclasses import dataclass, field

from runbookd.addresses.http import HttpAddress, read_http_address
from runbookd.inventory import SecretError
from runbookd.inventory.http import BasicAuth, HttpTarget, ProbeTls
from runbookd.inventory.requests import read_headers

# The limits of browsers, roughly: a page that they show is not down.
BROWSER_REDIRECTS = 20
HEADER_BYTES, HEADERS = 256 * 1024, 1000


@dataclass(frozen=True)
class EndpointRequest:
    """One request. `headers` may hold credentials, so it is never shown."""

    target: HttpTarget
    address: HttpAddress
    headers: dict[str, str] = field(repr=False)

    @property
    def body(self) -> bytes | None:
        """The body that is sent."""
        return None if self.target.body is None else self.target.body.encode()


def request_of(target: HttpTarget, user_agent: str) -> EndpointRequest:
    """Read the secrets and return the request.

    Raises:
        SecretError: a secret cannot be read.
        AddressError: `url` is no address of a web page.
    """
    address = read_http_address(target.url_secret().read())
    own = read_headers(target.headers, target.headers_file)
    # A compressed body would only be decompressed to be compared.
    headers = {"User-Agent": user_agent, "Accept-Encoding": "identity", **own}
    if target.basic_auth is not None:
        headers["Authorization"] = basic_header(target.basic_auth)
    if target.bearer_token_file is not None:
        headers["Authorization"] = f"Bearer {target.bearer_secret().read()}"
    return EndpointRequest(target, address, headers)


def basic_header(login: BasicAuth) -> str:
    """Return the value of the header Authorization for a user with a password.

    Raises:
        SecretError: the password cannot be read.
    """
    pair = f"{login.username}:{login.password_secret().read()}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def trust(context: ssl.SSLContext, tls: ProbeTls) -> ssl.SSLContext:
    """Let a client's context accept the certificates that `tls` names; return it.

    Raises:
        SecretError: `tls.ca_file` cannot be read.
    """
    if tls.insecure_skip_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    if tls.ca_file is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(tls.ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else "not PEM"
        raise SecretError(f"tls.ca_file: cannot read {tls.ca_file} ({reason}); correct it") from None
    return context
