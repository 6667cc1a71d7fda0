"""Lists a bucket with requests of our own, for what the object storage library cannot tell.

The library refuses a whole page for one odd name, and takes any other document, such as a web page, for an empty
listing. So the exporter asks again in these two cases. It needs the keys or an anonymous bucket; it does not know
credentials that the library fetches from the cloud.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote_plus, urlsplit
from xml.etree import ElementTree

import aiohttp
from obstore.exceptions import GenericError
from obstore.store import ObjectStore, S3Store

from exporter.backups.contents import StoredObject
from exporter.backups.disk_listing import Level

_MAX_BYTES = 16 * 1024**2
# Options of the HTTP client that requests of our own honour, or that do not change the answer.
_KNOWN_CLIENT_OPTIONS = frozenset(
    {
        "allow_http",
        "connect_timeout",
        "pool_idle_timeout",
        "pool_max_idle_per_host",
        "read_timeout",
        "timeout",
        "user_agent",
    }
)
_EMPTY_HASH = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class S3Listing:
    """The bucket and the keys of a store."""

    url: str
    """The bucket's address."""
    prefix: str
    region: str
    key: str
    secret: str
    token: str = ""

    @classmethod
    def of(cls, store: ObjectStore) -> "S3Listing | None":
        """Return the listing for a store, or None if it needs what only the library knows."""
        if not isinstance(store, S3Store) or not _KNOWN_CLIENT_OPTIONS.issuperset(store.client_options or {}):
            return None
        config: Mapping[str, Any] = store.config
        anonymous = str(config.get("skip_signature", "")).lower() in ("true", "1", "yes", "on")
        key, secret = str(config.get("access_key_id", "")), str(config.get("secret_access_key", ""))
        if not anonymous and not (key and secret):
            return None
        prefix = f"{store.prefix}/" if store.prefix else ""
        region, token = (
            str(config.get("region", "us-east-1")),
            str(config.get("session_token", config.get("token", ""))),
        )
        return cls(_bucket_url(config, region), prefix, region, "" if anonymous else key, secret, token)

    async def pages(self, *, after: str = "", prefix: str = "", delimiter: str = "") -> AsyncIterator[Level]:
        """Yield pages of the names after `after`, relative to the store's folder.

        Raises:
            BaseError: the storage refuses, or answers with something else than a listing.
        """
        query = {"encoding-type": "url", "list-type": "2", "prefix": f"{self.prefix}{prefix}"}
        query |= {"delimiter": delimiter} if delimiter else {}
        query |= {"start-after": f"{self.prefix}{after}"} if after else {}
        async with aiohttp.ClientSession() as session:
            while True:
                root = _parse(await self._get(session, query))
                yield self._level(root)
                token = _text(root, "NextContinuationToken")
                if not token:
                    return
                query = {**query, "continuation-token": token}

    async def _get(self, session: aiohttp.ClientSession, query: Mapping[str, str]) -> bytes:
        text = "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))
        try:
            async with session.get(
                _encoded(f"{self.url}?{text}"), headers=self._headers(text), allow_redirects=False
            ) as response:
                body = await response.content.read(_MAX_BYTES)
                while chunk := await response.content.read(_MAX_BYTES):
                    body += chunk
        except (aiohttp.ClientError, OSError) as error:
            raise GenericError(f"error sending request ({type(error).__name__})") from None
        if response.status != 200:
            raise GenericError(f"status code: {response.status} {body[:1000].decode(errors='replace')}")
        return body

    def _headers(self, query: str) -> Mapping[str, str]:
        """Return the headers of a GET request, signed by AWS' version 4 unless the bucket is anonymous."""
        if not self.key:
            return {}
        parts, now = urlsplit(self.url), datetime.now(UTC)
        time, scope = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}/{self.region}/s3/aws4_request"
        headers = {"host": parts.netloc, "x-amz-content-sha256": _EMPTY_HASH, "x-amz-date": time}
        headers |= {"x-amz-security-token": self.token} if self.token else {}
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"GET\n{parts.path or '/'}\n{query}\n{lines}\n{names}\n{_EMPTY_HASH}"
        signed = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, signed.encode(), "sha256").hex()
        credential = f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}"
        return {**headers, "Authorization": f"{credential}, SignedHeaders={names}, Signature={signature}"}

    def _level(self, root: ElementTree.Element) -> Level:
        decode = unquote_plus if _text(root, "EncodingType") == "url" else str
        objects = [
            StoredObject(
                decode(_text(each, "Key")).removeprefix(self.prefix),
                int(_text(each, "Size") or 0),
                _time(_text(each, "LastModified")),
                _text(each, "ETag") or None,
            )
            for each in root.iterfind("{*}Contents")
        ]
        folders = [decode(_text(each, "Prefix")) for each in root.iterfind("{*}CommonPrefixes")]
        return Level(
            [each for each in objects if each.name],  # the folder itself may be an object
            [folder.removeprefix(self.prefix).removesuffix("/") for folder in folders],
        )


def _bucket_url(config: Mapping[str, Any], region: str) -> str:
    bucket = str(config.get("bucket", ""))
    endpoint = str(config.get("endpoint", "")).rstrip("/")
    virtual = str(config.get("virtual_hosted_style_request", "")).lower() in ("true", "1", "yes", "on")
    if not endpoint:
        return (
            f"https://{bucket}.s3.{region}.amazonaws.com/" if virtual else f"https://s3.{region}.amazonaws.com/{bucket}"
        )
    return f"{endpoint}/" if virtual else f"{endpoint}/{bucket}"


def _encoded(url: str) -> Any:
    """Return an address that the HTTP client sends as it is: it was signed so."""
    from yarl import URL

    return URL(url, encoded=True)


def _parse(body: bytes) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - from the user's own storage; expat limits expansion
    except ElementTree.ParseError:
        raise GenericError("invalid list response") from None
    if root.tag.rpartition("}")[2] != "ListBucketResult":
        raise GenericError("invalid list response")
    return root


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""


def _time(text: str) -> float:
    """Return a time of the listing in seconds since 1970, which some storages write as in headers."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return parsedate_to_datetime(text).timestamp()
