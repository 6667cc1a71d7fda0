"""The metrics of a search cluster, under elasticsearch_exporter's names; those of aliases and changes are our own."""

from exporter.metric import counter, gauge

HEALTH_API, STATS_API, ALIAS_API = "/_cluster/health", "/_stats", "/_alias"
UP = gauge("elasticsearch_up", "Whether the cluster tells its health (1).", source=HEALTH_API)
HEALTH = gauge(
    "elasticsearch_cluster_health_status",
    "Whether the cluster has this color (1).",
    "color",
    source=HEALTH_API,
    parts=3,
)
NODES = gauge("elasticsearch_cluster_health_number_of_nodes", "Nodes of the cluster.", source=HEALTH_API)
DATA_NODES = gauge("elasticsearch_cluster_health_number_of_data_nodes", "Nodes that hold data.", source=HEALTH_API)
PRIMARY_SHARDS = gauge(
    "elasticsearch_cluster_health_active_primary_shards", "Active primary shards.", source=HEALTH_API
)
SHARDS = gauge("elasticsearch_cluster_health_active_shards", "Active shards, copies included.", source=HEALTH_API)
RELOCATING = gauge(
    "elasticsearch_cluster_health_relocating_shards", "Shards on the way to another node.", source=HEALTH_API
)
INITIALIZING = gauge(
    "elasticsearch_cluster_health_initializing_shards", "Shards that are being started.", source=HEALTH_API
)
UNASSIGNED = gauge("elasticsearch_cluster_health_unassigned_shards", "Shards that no node holds.", source=HEALTH_API)
DELAYED = gauge(
    "elasticsearch_cluster_health_delayed_unassigned_shards",
    "Shards whose assignment waits for a node to return.",
    source=HEALTH_API,
)
PENDING = gauge(
    "elasticsearch_cluster_health_number_of_pending_tasks", "Changes that wait for the master.", source=HEALTH_API
)
HEALTH_FIELDS = {
    "number_of_nodes": NODES,
    "number_of_data_nodes": DATA_NODES,
    "active_primary_shards": PRIMARY_SHARDS,
    "active_shards": SHARDS,
    "relocating_shards": RELOCATING,
    "initializing_shards": INITIALIZING,
    "unassigned_shards": UNASSIGNED,
    "delayed_unassigned_shards": DELAYED,
    "number_of_pending_tasks": PENDING,
}
DOCS = gauge("elasticsearch_indices_docs_primary", "Documents of an index.", "index", source=STATS_API)
SIZE = gauge(
    "elasticsearch_indices_store_size_bytes_primary",
    "Size of an index without its copies in bytes.",
    "index",
    source=STATS_API,
)
SEARCHES = counter(
    "elasticsearch_index_stats_search_query_total", "Searches of the shards of an index.", "index", source=STATS_API
)
SEARCH_SECONDS = counter(
    "elasticsearch_index_stats_search_query_time_seconds_total",
    "Time of these searches in seconds.",
    "index",
    source=STATS_API,
)
INDEXED = counter(
    "elasticsearch_index_stats_indexing_index_total", "Documents that were indexed.", "index", source=STATS_API
)
CHANGED = gauge(
    "elasticsearch_index_last_change_timestamp_seconds",
    "When documents were last seen to change, or else the exporter's first reading, in seconds since 1970.",
    "index",
    source=STATS_API,
)
ALIAS = gauge(
    "elasticsearch_alias_indices",
    "Indices to which an alias of the inventory leads; 0 is nowhere.",
    "alias",
    source=ALIAS_API,
)
ALIAS_OF_INDEX = gauge(
    "elasticsearch_indices_aliases",
    "Whether an alias of the inventory leads to this index (1).",
    *("index", "alias"),
    source=ALIAS_API,
)
METRICS = (
    *(UP, HEALTH, *HEALTH_FIELDS.values()),
    *(DOCS, SIZE, SEARCHES, SEARCH_SECONDS, INDEXED, CHANGED, ALIAS, ALIAS_OF_INDEX),
)
