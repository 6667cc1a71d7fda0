"""What we run: the typed model of stacks and targets, and its loader. Both daemons import it; it imports neither."""

from inventory.durations import Duration, format_duration, parse_duration
from inventory.errors import InventoryError, Problem, SecretError
from inventory.load import load_inventory, place_of, read_block
from inventory.model import (
    Alertmanager,
    BackupTarget,
    Breaker,
    DumpSource,
    Freeze,
    HttpTarget,
    Inventory,
    Limits,
    Mode,
    PostgresTarget,
    Protect,
    QueueTarget,
    RedisTarget,
    RemediationSettings,
    Stack,
    Storm,
    Window,
)
from inventory.queries import Query
from inventory.secrets import Secret
from inventory.storage_options import StorageOptions, read_storage_options

__all__ = [
    "Alertmanager",
    "BackupTarget",
    "Breaker",
    "DumpSource",
    "Duration",
    "Freeze",
    "HttpTarget",
    "Inventory",
    "InventoryError",
    "Limits",
    "Mode",
    "PostgresTarget",
    "Problem",
    "Protect",
    "Query",
    "QueueTarget",
    "RedisTarget",
    "RemediationSettings",
    "Secret",
    "SecretError",
    "Stack",
    "StorageOptions",
    "Storm",
    "Window",
    "format_duration",
    "load_inventory",
    "parse_duration",
    "place_of",
    "read_block",
    "read_storage_options",
]
