"""The board of search clusters: their color and shards, the indices and aliases, and the searches."""

from grafana.dashboard import board, targets_of
from grafana.panels import graph, limits, query, row, states, timeline
from grafana.words import TARGET

EACH = "{{stack}} {{target}}"
INDEX = f"{EACH} {{{{index}}}}"
NO_CLUSTER = "not measured: search in the inventory has no cluster of this stack"
GOOD = states({0: ("bad", "red"), 1: ("good", "green")})


def _newest(metric: str, *more: str) -> str:
    return f"max by ({', '.join(('stack', 'target', *more))}) ({metric}{TARGET})"


def _rate(counter: str) -> str:
    return f"max by (stack, target, index) (rate({counter}{TARGET}[$__rate_interval]))"


CLUSTERS = row(
    "Clusters",
    8,
    timeline(
        "Cluster",
        "Whether each cluster answers, has all its data, and all copies of it. If the copies are missing, wait for the"
        " node; if data is missing, ask `_cluster/allocation/explain` for the reason.",
        [
            query(f"stack_target:elasticsearch_up:max{TARGET}", f"{EACH} answers"),
            query(f"1 - stack_target:elasticsearch_red:max{TARGET}", f"{EACH} data", "RED"),
            query(f"1 - stack_target:elasticsearch_yellow:max{TARGET}", f"{EACH} copies", "YELLOW"),
        ],
        mappings=GOOD,
        missing=NO_CLUSTER,
        alerts=["ElasticsearchDown", "ElasticsearchClusterRed", "ElasticsearchClusterYellow"],
    ),
    graph(
        "Shards without a node",
        "Shards that no node holds while none is moved, in clusters with more than one node. Above the limit, the"
        " cluster does not help itself: look for full disks, filters and missing nodes.",
        [
            query(f"stack_target:elasticsearch_unassigned_shards:max{TARGET}", EACH),
            limits("elasticsearch_unassigned_shards"),
        ],
        unit="short",
        missing=NO_CLUSTER,
        alerts=["ElasticsearchShardsUnassigned"],
    ),
    graph(
        "Shards on the way",
        "Shards that are started, moved, or wait for a node that may return. If they do not become fewer, a node is too"
        " slow or comes and goes.",
        [
            query(_newest("elasticsearch_cluster_health_initializing_shards"), f"{EACH} started"),
            query(_newest("elasticsearch_cluster_health_relocating_shards"), f"{EACH} moved", "MOVED"),
            query(_newest("elasticsearch_cluster_health_delayed_unassigned_shards"), f"{EACH} delayed", "DELAYED"),
        ],
        unit="short",
        missing=NO_CLUSTER,
    ),
    width=8,
)

INDICES = row(
    "Indices and aliases",
    8,
    graph(
        "Aliases",
        "Indices to which each alias leads. If one leads to none, searches through it fail: add the index that was"
        " meant in one call of `_aliases`.",
        [
            query(f"stack_target_alias:elasticsearch_alias_indices:min{TARGET}", f"{EACH} {{{{alias}}}}"),
            limits("elasticsearch_alias_indices"),
        ],
        unit="short",
        missing="not measured: name the aliases in search of the inventory",
        alerts=["ElasticsearchAliasEmpty"],
    ),
    graph(
        "Last change",
        "Time since the documents of each index were last seen to change, at most since the exporter started. Above the"
        " limit, look at what fills the index.",
        [
            query(f"stack_target_index:elasticsearch_index_change_age_seconds:max{TARGET}", INDEX),
            limits("elasticsearch_index_change_age_seconds"),
        ],
        unit="s",
        missing=NO_CLUSTER,
        alerts=["ElasticsearchIndexStale"],
    ),
    graph(
        "Documents",
        "Documents of each index, without copies. If they fall, something deletes; before you switch an alias, the new"
        " index has as many as the old one.",
        [query(_newest("elasticsearch_indices_docs_primary", "index"), INDEX)],
        unit="short",
        missing=NO_CLUSTER,
    ),
    graph(
        "Size",
        "Bytes of each index, without copies. If the sum with its copies nears the disks of the nodes, the cluster"
        " makes the indices read-only at 95 %.",
        [query(_newest("elasticsearch_indices_store_size_bytes_primary", "index"), INDEX)],
        unit="bytes",
        missing=NO_CLUSTER,
    ),
    width=6,
)

SEARCHES = row(
    "Searches",
    8,
    graph(
        "Searches per second",
        "Searches of the shards of each index; one request searches every shard. If they stop, users or the application"
        " do not reach the cluster.",
        [query(_rate("elasticsearch_index_stats_search_query_total"), INDEX)],
        unit="reqps",
        missing=NO_CLUSTER,
    ),
    graph(
        "Time of a search",
        "Mean time of a search on one shard. If it rises, look for deep pages, large results and merges, then at the"
        " memory of the nodes.",
        [
            query(
                f"{_rate('elasticsearch_index_stats_search_query_time_seconds_total')}"
                f" / {_rate('elasticsearch_index_stats_search_query_total')}",
                INDEX,
            )
        ],
        unit="s",
        missing=NO_CLUSTER,
    ),
    graph(
        "Documents indexed per second",
        "Documents that were written into each index. If nothing is written while the application changes data, the"
        " queue before it stands still.",
        [query(_rate("elasticsearch_index_stats_indexing_index_total"), INDEX)],
        unit="ops",
        missing=NO_CLUSTER,
    ),
    width=8,
)

BOARD = board(
    "search",
    "search",
    "Color and shards of the search clusters, their indices and aliases, and how fast they answer.",
    [*CLUSTERS, *INDICES, *SEARCHES],
    [targets_of("elasticsearch_cluster_health_status")],
)
