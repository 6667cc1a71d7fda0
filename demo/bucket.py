"""The bucket with the product's backups: its access, and the names and ages of the dumps."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import yaml
from obstore.store import S3Store

from demo.credentials import BUCKET
from demo.paths import DemoPaths
from runbookd.inventory import parse_marker_name

if TYPE_CHECKING:
    from obstore.store import S3Config  # exists for type checkers only

FOLDER = "db"
PATTERN = "shop_%Y%m%d_%H%M%S.dump"


def open_bucket(paths: DemoPaths) -> S3Store:
    """Open the bucket with its owner's rights."""
    options = cast("S3Config", yaml.safe_load(paths.secret("s3_options.yml")))
    return S3Store(BUCKET, config=options)


def path_of(moment: datetime) -> str:
    """Return the path of the backup made at `moment`."""
    return f"{FOLDER}/{moment.astimezone(UTC).strftime(PATTERN)}"


def age_of(path: str) -> timedelta:
    """Return the age of the backup at `path`, from its name."""
    name = path.rpartition("/")[2]
    return datetime.now(UTC) - datetime.strptime(name, PATTERN).replace(tzinfo=UTC)


async def list_backups(paths: DemoPaths) -> Mapping[str, dict[str, Any]]:
    """Return every backup by path, with the properties that a change would alter."""
    entries = await open_bucket(paths).list_async(prefix=f"{FOLDER}/").collect_async()
    return {
        each["path"]: {"size": each["size"], "etag": each["e_tag"], "modified": each["last_modified"].isoformat()}
        for each in entries
        if parse_marker_name(each["path"]) is None
    }
