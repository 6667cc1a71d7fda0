"""The inventory: the typed model of stacks and targets, and its loader.

The exporter measures the targets that the inventory lists; the remediator touches no others.
"""

from runbookd.inventory.announcements import Announcement
from runbookd.inventory.backup_drill import Drill
from runbookd.inventory.backup_encryption import Decryption, Encryption
from runbookd.inventory.backup_names import BackupNames, ProofKind, key_before, marker_name, parse_marker_name
from runbookd.inventory.backup_proof import MAX_BYTES as MAX_MARKER_BYTES
from runbookd.inventory.backup_proof import Check, Marker, MarkerError, read_marker
from runbookd.inventory.backup_target import BackupReport, BackupTarget, DumpSource, Retention
from runbookd.inventory.bounds import (
    Breaker,
    Freeze,
    Limits,
    Mode,
    Protect,
    RemediationSettings,
    StackLimits,
    Storm,
    Window,
)
from runbookd.inventory.cache_keys import AddressBlock, KeyPrefix, RateLimit
from runbookd.inventory.changes import changed_keys
from runbookd.inventory.console import Console
from runbookd.inventory.durations import Duration, format_duration, parse_duration
from runbookd.inventory.duties import Duty
from runbookd.inventory.errors import InventoryError, Problem, SecretError
from runbookd.inventory.folders import FolderTarget
from runbookd.inventory.http import HttpTarget
from runbookd.inventory.load import (
    Change,
    PlacedBlock,
    load_inventory,
    place_of,
    read_block,
    read_placed_block,
    read_value,
)
from runbookd.inventory.model import (
    Alertmanager,
    Approvals,
    Contact,
    EscalationStep,
    Inventory,
    Role,
    Stack,
    own_approvals,
)
from runbookd.inventory.password_files import read_password_hash
from runbookd.inventory.postgres import PostgresTarget
from runbookd.inventory.queries import Query
from runbookd.inventory.queues import QueueTarget
from runbookd.inventory.redis import PrefixSettings, RedisTarget
from runbookd.inventory.reminders import Reminder
from runbookd.inventory.reports import WeeklyReport
from runbookd.inventory.secret_files import secret_files
from runbookd.inventory.secrets import Secret, SecretStr
from runbookd.inventory.section import Section, annotations_by_key, given_keys, values_as_json
from runbookd.inventory.services import ServiceTarget
from runbookd.inventory.storage_options import StorageOptions, read_storage_options

__all__ = [
    "MAX_MARKER_BYTES",
    "AddressBlock",
    "Alertmanager",
    "Announcement",
    "Approvals",
    "BackupNames",
    "BackupReport",
    "BackupTarget",
    "Breaker",
    "Change",
    "Check",
    "Console",
    "Contact",
    "Decryption",
    "Drill",
    "DumpSource",
    "Duration",
    "Duty",
    "Encryption",
    "EscalationStep",
    "FolderTarget",
    "Freeze",
    "HttpTarget",
    "Inventory",
    "InventoryError",
    "KeyPrefix",
    "Limits",
    "Marker",
    "MarkerError",
    "Mode",
    "PlacedBlock",
    "PostgresTarget",
    "PrefixSettings",
    "Problem",
    "ProofKind",
    "Protect",
    "Query",
    "QueueTarget",
    "RateLimit",
    "RedisTarget",
    "RemediationSettings",
    "Reminder",
    "Retention",
    "Role",
    "Secret",
    "SecretError",
    "SecretStr",
    "Section",
    "ServiceTarget",
    "Stack",
    "StackLimits",
    "StorageOptions",
    "Storm",
    "WeeklyReport",
    "Window",
    "annotations_by_key",
    "changed_keys",
    "format_duration",
    "given_keys",
    "key_before",
    "load_inventory",
    "marker_name",
    "own_approvals",
    "parse_duration",
    "parse_marker_name",
    "place_of",
    "read_block",
    "read_marker",
    "read_password_hash",
    "read_placed_block",
    "read_storage_options",
    "read_value",
    "secret_files",
    "values_as_json",
]
