"""The files of `runbookctl init` with all that they have commented out."""

import re
from collections.abc import Mapping
from pathlib import Path

from runbookctl.starter.files import Starter
from runbookctl.starter.postgres_roles import PostgresPlace
from runbookctl.starter.redis_users import RedisPlace

_COMMENTED = re.compile(r"^(\s*)# (?=\s*(?:- \w|[a-z_]+:))", re.MULTILINE)
STARTER = Starter("shop", PostgresPlace("127.0.0.1", 5432, "shop"), RedisPlace("127.0.0.1", 6379, 0))


def full_texts(folder: Path) -> Mapping[str, str]:
    """Return inventory and thresholds of the stack `shop`, with dead letters, backups, an endpoint and a contact."""
    texts = STARTER.texts(folder)
    full = {name: _COMMENTED.sub(r"\1", texts[name]) for name in ("inventory.yml", "thresholds.yml")}
    inventory = full["inventory.yml"].replace("names: discover}", 'names: discover, dead_letter: "{name}-dlq"}')
    return {**full, "inventory.yml": inventory}
